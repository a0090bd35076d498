/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The one-shot listener on loopback that the program's socket is connected to. */
#include "shim/fdtab.h"

struct kt_loopback {
    int fd;
    union kt_addr addr; /* in the family of the program's socket: what it must connect to */
    socklen_t len;
};

/* Listens for the socket `app_fd` (its family and IPV6_V6ONLY decide where). 0 or -1 with errno. */
int kt_loopback_open(int app_fd, struct kt_loopback *l);
/* Takes the connection that app_fd has begun; strangers that got in first are closed. Returns an fd (CLOEXEC,
 * non-blocking, TCP_NODELAY) or -1 after timeout_ms. */
int kt_loopback_accept(const struct kt_loopback *l, int app_fd, int timeout_ms);
void kt_loopback_close(struct kt_loopback *l);
