/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A destination in one form for both families. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct kt_dest {
    uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d */
    uint32_t v4;    /* host byte order; 0 for a real IPv6 address */
    uint16_t port;
};

/* False where these bytes cannot be read: the kernel is to say so (EFAULT), not a signal. `len` is that of an
 * address. Keeps errno. */
bool kt_dest_is_readable(const struct sockaddr *sa, socklen_t len);
/* False where it is no internet address. */
bool kt_dest_parse(const struct sockaddr *sa, socklen_t len, struct kt_dest *d);
/* Is `fd` a stream socket? Keeps errno. */
bool kt_dest_is_stream(int fd);
