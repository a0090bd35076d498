/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* TLS on a watched socket, from outside: is it a session of a library that our hooks stand in front of, and
 * did what it says come through them? */
#include "shim/client_hello.h"
#include "shim/tls_records.h"

#include <sys/uio.h>

#define KT_TAP_TLS_HEAD 43 /* of a ClientHello, as far as its random */

struct kt_ssl_account;

struct kt_tap_tls { /* zeroed at the beginning of the connection */
    bool begun;
    uint8_t have;
    uint8_t head[KT_TAP_TLS_HEAD];
    struct kt_ssl_account *account; /* of its session, once known: owned reference */
    struct kt_tls_records records;
};

enum kt_tap_tls_state {
    KT_TAP_TLS_OPEN,      /* not known yet */
    KT_TAP_TLS_READ,      /* our hooks have copied from it */
    KT_TAP_TLS_UNKNOWN,   /* no session of our hooks begins so */
    KT_TAP_TLS_PAST_HOOKS /* one does, but what it says comes by other ways */
};

/* `n` bytes went one way: out = from the program. */
enum kt_tap_tls_state kt_tap_tls_feed(struct kt_tap_tls *t, bool out, const struct iovec *iov, size_t count,
                                      size_t n);
/* The connection ends, and `fd` is still open: KT_TAP_TLS_OPEN or KT_TAP_TLS_PAST_HOOKS. */
enum kt_tap_tls_state kt_tap_tls_ends(struct kt_tap_tls *t, int fd);
/* Does the end of it have to be looked at, where it was KT_TAP_TLS_READ? */
bool kt_tap_tls_counts(const struct kt_tap_tls *t);
/* Gives back what it owns. */
void kt_tap_tls_forget(struct kt_tap_tls *t);
