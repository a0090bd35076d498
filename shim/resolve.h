/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Names of intercepted hosts answered with their synthetic address. */
#include <netdb.h>
#include <stdbool.h>

#define KT_LITERAL_MAX 32

enum kt_resolve {
    KT_RESOLVE_REAL, /* not ours */
    KT_RESOLVE_SYNTHETIC,
    KT_RESOLVE_WATCH, /* ours, and only to be watched: the real answer, then kt_tap_learn */
    KT_RESOLVE_REFUSE /* ours, but no address is left, and fail_mode is block */
};

struct kt_resolved {
    char literal[KT_LITERAL_MAX]; /* "127.183.x.y", or "::ffff:127.183.x.y" for AF_INET6 */
    const char *name;             /* as in the plan; borrowed for ever */
};

/* `family` AF_INET6 asks for the v4-mapped form. `service` as of getaddrinfo; NULL = not known. */
enum kt_resolve kt_resolve_name(const char *name, const char *service, int family, struct kt_resolved *out);

/* getaddrinfo for a name that kt_resolve_name answered. */
int kt_resolve_addrinfo(const struct kt_resolved *r, const char *node, const char *service,
                        const struct addrinfo *hints, struct addrinfo **res);
