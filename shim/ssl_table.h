/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What is known of the SSLs that concern us. An entry is made when a handshake begins and dies at SSL_free or
 * SSL_clear. OpenSSL allows one thread at a time in an SSL, so an entry that was found stays valid until that
 * thread lets the SSL go.
 */
#include "interceptor/abi/kt_engine_abi.h"

#include <stdbool.h>
#include <stdint.h>

enum kt_ssl_state {
    KT_SSL_TRUSTED, /* has our CA; nothing was written yet */
    KT_SSL_TLS,     /* for good: what it writes goes through TLS */
    KT_SSL_HANDOFF, /* for good: what it writes goes to `flow` */
    KT_SSL_TAPPED,  /* on a connection of its own: copied to `tap` */
    KT_SSL_REFUSED  /* to an intercepted host on a connection that is not ours */
};

struct kt_ssl_entry {
    const void *ssl;
    struct kt_ssl_entry *next;
    enum kt_ssl_state state;
    bool by_random;           /* no fd tells that the connection is ours: the client random must */
    bool reported;            /* once is enough */
    char host[256];           /* the origin */
    struct kt_abi_flow *flow; /* KT_SSL_HANDOFF: owned reference */
    uint16_t port;            /* KT_SSL_TAPPED */
    bool opened;              /* KT_SSL_TAPPED: `tap` was asked for */
    uint64_t tap;
    uint64_t taken;     /* bytes that were read from the connection */
    uint8_t random[32]; /* of the handshake that `flow` belongs to */
    void *credentials;  /* of a GnuTLS session, which needs them to its end: ours (gnutls_credentials.h) */
};

/* The entry of this SSL, new or emptied. NULL where memory is short. */
struct kt_ssl_entry *kt_ssl_table_put(const void *ssl);
/* False: there is no entry. One load. */
bool kt_ssl_table_used(void);
/* NULL = none. */
struct kt_ssl_entry *kt_ssl_table_get(const void *ssl);
/* What went through an SSL: counted, and copied where it is tapped. Keeps errno. */
void kt_ssl_table_copy(const void *ssl, enum kt_abi_dir dir, const void *data, size_t len);
/* The peer and we have said farewell. */
void kt_ssl_table_end_tap(const void *ssl);
/* Is some session with that host tapped? */
bool kt_ssl_table_taps(const char *host);
/* How often plaintext for that host was copied so far; grows with other hosts' at times. */
unsigned kt_ssl_table_copies(const char *host);
/* Ends the entry and its flow. */
void kt_ssl_table_drop(const void *ssl);

/* Around fork. In the child no flow lives on: what was handed off goes through TLS. */
void kt_ssl_table_lock(void);
void kt_ssl_table_unlock(void);
void kt_ssl_table_forked(void);
