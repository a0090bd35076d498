/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL used in the rarer ways: odd_ssl STEP..., each one call or more with connections of their own. A
 * step prints what it came to, and nothing that may differ between two servers. "plain" is the ordinary way;
 * the tables at the ends of odd_ssl_ways.c and odd_ssl_life.c have the others. */
#define _GNU_SOURCE
#include "odd_ssl.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

SSL_CTX *ctx;
_Thread_local char answer[1 << 16];

int dial(int flags)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *at = NULL;
    if (getaddrinfo(HOST, "443", &hints, &at) != 0)
        exit(3);
    int fd = socket(at->ai_family, SOCK_STREAM | flags, 0);
    int rc = connect(fd, at->ai_addr, at->ai_addrlen);
    if (fd < 0 || (rc != 0 && errno != EINPROGRESS)) {
        printf("connect %d\n", errno);
        exit(3);
    }
    freeaddrinfo(at);
    return fd;
}

SSL *new_ssl(void)
{
    SSL *s = SSL_new(ctx);
    if (!s || SSL_set_tlsext_host_name(s, HOST) != 1 || SSL_set1_host(s, HOST) != 1)
        exit(3);
    SSL_set_connect_state(s);
    return s;
}

SSL *dial_ssl(void)
{
    SSL *s = new_ssl();
    SSL_set_fd(s, dial(0));
    return s;
}

void done(SSL *s)
{
    int fd = SSL_get_fd(s);
    SSL_free(s);
    close(fd);
}

char *request(size_t size, size_t *len)
{
    char *body = malloc(size + 256), *all = malloc(size + 1024);
    int n = sprintf(body, "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"hello ");
    for (size_t i = 0; i < size; i++)
        body[n + (int)i] = i % 60 == 59 ? ' ' : (char)('a' + i % 7);
    strcpy(body + n + size, "\"}]}");
    *len = (size_t)sprintf(all,
                           "POST /v1/chat/completions HTTP/1.1\r\nHost: " HOST "\r\n"
                           "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                           strlen(body), body);
    free(body);
    return all;
}

int whole(size_t got)
{
    answer[got] = '\0';
    const char *end = strstr(answer, "\r\n\r\n"), *length = strcasestr(answer, "content-length:");
    return end && length && got >= (size_t)(end + 4 - answer) + (size_t)atol(length + 15);
}

int status(void)
{
    int n = 0;
    return sscanf(answer, "HTTP/1.1 %d", &n) == 1 && strstr(answer, "chat.completion") ? n : -n - 1;
}

int again(SSL *s, int rc, wait_fn wait)
{
    int error = SSL_get_error(s, rc);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        return 0;
    if (wait)
        wait(SSL_get_fd(s), error == SSL_ERROR_WANT_WRITE);
    return 1;
}

int exchange(SSL *s, wait_fn wait, size_t size, size_t piece)
{
    size_t len, sent = 0, got = 0;
    char *all = request(size, &len), *copy = malloc(len);
    int rc;
    answer[0] = '\0';
    while ((rc = SSL_connect(s)) != 1)
        if (!again(s, rc, wait))
            return -1000 - SSL_get_error(s, rc);
    while (sent < len) {
        size_t part = len - sent < piece ? len - sent : piece, n = 0;
        if (SSL_get_mode(s) & SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER) {
            free(copy);
            copy = malloc(part);
        }
        memcpy(copy, all + sent, part);
        rc = SSL_write_ex(s, copy, part, &n);
        if (rc == 1)
            sent += n;
        else if (!again(s, rc, wait))
            return -2000 - SSL_get_error(s, rc);
    }
    while (!whole(got)) {
        rc = SSL_read(s, answer + got, (int)(sizeof answer - 1 - got));
        if (rc > 0)
            got += (size_t)rc;
        else if (!again(s, rc, wait))
            return -3000 - SSL_get_error(s, rc);
    }
    free(all);
    free(copy);
    return status();
}

int plain(void)
{
    SSL *s = dial_ssl();
    int rc = exchange(s, NULL, 10, 1 << 20);
    done(s);
    return rc;
}

static void begin(void)
{
    ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_default_verify_paths(ctx);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
}

int odd_call(void)
{
    begin();
    int rc = plain();
    SSL_CTX_free(ctx);
    return rc;
}

static int run(const char *name)
{
    const struct step *const tables[] = {odd_ways, odd_lives, odd_hosts, odd_forks, odd_sleeps, odd_pasts};
    if (strcmp(name, "plain") == 0)
        return plain();
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        for (const struct step *s = tables[i]; s->name; s++)
            if (strcmp(s->name, name) == 0)
                return s->fn();
    return -9;
}

static void say_bye(void)
{
    printf("bye\n");
}

static int all(int argc, char **argv);
static int count;

static void *behind_main(void *argv)
{
    usleep(100000);
    all(count, argv);
    return NULL;
}

/* With MAIN_LEAVES: by pthread_exit, "first" before the steps or "last" behind them. */
int main(int argc, char **argv)
{
    const char *leaves = getenv("MAIN_LEAVES");
    pthread_t t;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!leaves)
        return all(argc, argv);
    atexit(say_bye);
    count = argc;
    if (strcmp(leaves, "first") == 0)
        pthread_create(&t, NULL, behind_main, argv);
    else
        all(argc, argv);
    pthread_exit(NULL);
}

static int all(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        begin();
        printf("%s %d\n", argv[i], run(argv[i]));
        SSL_CTX_free(ctx);
    }
    return 0;
}
