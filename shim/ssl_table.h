/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What is known of the SSLs that concern us. An entry is made when a handshake begins and dies at SSL_free or
 * SSL_clear. OpenSSL allows one thread at a time in an SSL, so an entry that was found stays valid until that
 * thread lets the SSL go.
 */
#include "interceptor/abi/kt_engine_abi.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct kt_ssl_account;

enum kt_ssl_state {
    KT_SSL_TRUSTED, /* has our CA; nothing was written yet */
    KT_SSL_TLS,     /* for good: what it writes goes through TLS */
    KT_SSL_HANDOFF, /* for good: what it writes goes to `flow` */
    KT_SSL_TAPPED,  /* on a connection of its own: copied to `tap` */
    KT_SSL_REFUSED  /* to an intercepted host on a connection that is not ours */
};

/* Which ClientHello is that of a session that concerns us, and goes past us with our knowledge. */
struct kt_ssl_hello {
    size_t (*random_of)(const void *api, const void *ssl, uint8_t out[32]); /* 32 where it is known */
    const void *api;
    pid_t teller; /* the thread inside of the call that says it; 0 = none */
    bool known;   /* else `random` is not there yet */
    uint8_t random[32];
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
    struct kt_ssl_account *account; /* KT_SSL_TAPPED: owned reference */
    const void *wbio;               /* what `written` was asked of; compared, not read */
    uint64_t written;               /* bytes that this BIO has taken behind the last hooked call */
    struct kt_ssl_hello hello;
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
/* The session, which has an entry and has said nothing yet, is about to, by a call of this thread. */
void kt_ssl_table_tells(const void *ssl, const struct kt_ssl_hello *how);
/* False: no thread is inside of such a call. One load. */
bool kt_ssl_table_telling(void);
/* That call is over. */
void kt_ssl_table_told(const void *ssl);
/* Is a ClientHello with this random one of those? *account (NULL is allowed): of a tapped session, a new
 * reference, else NULL. */
bool kt_ssl_table_claims(const uint8_t random[32], struct kt_ssl_account **account);
/* Ends the entry and its flow. */
void kt_ssl_table_drop(const void *ssl);

/* Around fork. In the child no flow lives on: what was handed off goes through TLS. */
void kt_ssl_table_lock(void);
void kt_ssl_table_unlock(void);
void kt_ssl_table_forked(void);
