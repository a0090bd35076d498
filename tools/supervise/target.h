/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside tools/supervise: what can be asked of the process whose call was notified. It may die or be killed
 * at any time; every answer must be checked with the notification's id before it is used. */
#include "policyengine/base/kt_base.h"

#include <netinet/in.h>
#include <sys/types.h>

/* Reads `len` bytes at `at` of the thread `tid`. Returns how many could be read, 0 where none. */
size_t target_read(pid_t tid, uint64_t at, void *to, size_t len);
/* The process of a thread; 0 where it is gone. */
pid_t target_process(pid_t tid);
/* A copy of its fd (CLOEXEC), or -1. */
int target_fd(pid_t tid, int fd);
/* True where our shim is loaded in it; `known` gets false where that cannot be read. */
bool target_has_shim(pid_t tid, bool *known);
/* A signal that the thread has a handler for waits, and no other thread can take it. */
bool target_signal_waits(pid_t tid);

union target_addr {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    char room[sizeof(struct sockaddr_storage)];
};
struct target_dest {
    union target_addr addr;
    socklen_t len;
    uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d */
    uint32_t v4;    /* host byte order; 0 for a real IPv6 address */
    uint16_t port;
    bool inet;    /* an internet address; else the rest is 0 */
    bool meant;   /* the shim or the engine makes this connect: kt_connect_mark.h */
    bool engines; /* the engine does */
};
/* The socket address at `at`. False where it cannot be read. */
bool target_dest(pid_t tid, uint64_t at, uint64_t len, struct target_dest *d);
