/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Of odd_ssl.c and odd_ssl_*.c. */
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stddef.h>
#include <sys/socket.h>

#define HOST "api.openai.com"

extern SSL_CTX *ctx;
extern _Thread_local char answer[1 << 16];

typedef void (*wait_fn)(int fd, int want_write);

int dial(int flags);
SSL *new_ssl(void);
SSL *dial_ssl(void);
void done(SSL *s); /* with its fd */
/* A request with `size` bytes of text at least. new. */
char *request(size_t size, size_t *len);
/* Is the answer there? `got` bytes of it are. */
int whole(size_t got);
/* Of `answer`; below zero where it is no completion. */
int status(void);
/* Waits, where the SSL wants to; 0 = it failed. */
int again(SSL *s, int rc, wait_fn wait);
/* A handshake, a request in pieces, its answer: its status. */
int exchange(SSL *s, wait_fn wait, size_t size, size_t piece);
int plain(void);

struct step {
    const char *name;
    int (*fn)(void);
};
/* `plain` with everything made for it. */
int odd_call(void);
extern const struct step odd_ways[], odd_lives[], odd_hosts[], odd_forks[], odd_sleeps[],
    odd_pasts[]; /* the last has no name */
