/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The tap lane's account of one session: what our hooks have seen of it. The session's entry (ssl_table.h)
 * and its socket (tap_tls.h) hold it together; what leaves by the socket and is not in it went past every
 * hook.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* More than alerts and updates of keys need, and less than any HTTP request. */
#define KT_ACCOUNT_SLACK 100u

struct kt_ssl_account {
    atomic_uint refs;
    atomic_uint copies; /* how often plaintext was copied */
    atomic_ullong said; /* bytes of TLS that hooked calls have made, where `counts` */
    atomic_bool counts;
    atomic_bool reported; /* once is enough */
};

/* With one reference. NULL where memory is short. */
struct kt_ssl_account *kt_ssl_account_new(void);
struct kt_ssl_account *kt_ssl_account_ref(struct kt_ssl_account *a);
/* NULL is allowed. */
void kt_ssl_account_unref(struct kt_ssl_account *a);
