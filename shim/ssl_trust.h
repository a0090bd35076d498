/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Trust: an SSL that is about to shake hands with an intercepted host gets a store with our CA, that SSL
 * alone. The same place is the tripwire: such a handshake on a connection that was not diverted is reported
 * and follows fail_mode.
 */
#include "shim/ssl_api.h"
#include "shim/ssl_table.h"

enum kt_ssl_verdict {
    KT_SSL_PASS,
    KT_SSL_REFUSE,
    KT_SSL_NAMELESS /* pass; who the peer is shows when the first bytes leave */
};

/* Called wherever a handshake may start. `is_connect`: from SSL_connect, which makes an undecided SSL a
 * client. KT_SSL_REFUSE: the call must fail; errno is set. */
enum kt_ssl_verdict kt_ssl_before_handshake(const struct kt_ssl_api *api, SSL *ssl, bool is_connect);

/* An SSL without a server name and without an fd (curl's own BIO to an address): set while its handshake
 * runs. A signal handler may jump out of that: what a frame left that is gone counts for nothing. */
struct kt_ssl_nameless { /* in the frame of the hook */
    const struct kt_ssl_api *api;
    SSL *ssl;
    uintptr_t seal; /* KT_SEAL */
};
extern __thread const struct kt_ssl_nameless *kt_ssl_nameless
    __attribute__((tls_model("initial-exec"), visibility("hidden")));
/* This thread, which has one, sent on `fd`. Keeps errno. */
void kt_ssl_met_socket(int fd);

/* Its handshake, by a call that would make it on the way to something else. False: *rc is what that call
 * returns. */
bool kt_ssl_shake_nameless(const struct kt_ssl_api *api, SSL *ssl, int *rc);

/* Behind a refusal: an SSL over memory says by its error queue that it failed. With errno alone (a system
 * error) asyncio would wait for more. Keeps errno. */
void kt_ssl_say_refused(const struct kt_ssl_api *api, SSL *ssl);

/* Called when a handshake failed: reports a peer that was not ours. Keeps errno. */
void kt_ssl_after_failure(const struct kt_ssl_api *api, SSL *ssl);

/* Reports once per entry; true where fail_mode lets the program go on. */
bool kt_ssl_unseen(struct kt_ssl_entry *e, const char *detail);

/* False where the engine does not know the handshake of this SSL. Gives the flow to *flow (new reference)
 * where that is not NULL. */
bool kt_ssl_find_flow(const struct kt_ssl_api *api, SSL *ssl, uint8_t random[32], struct kt_abi_flow **flow);
