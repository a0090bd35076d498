/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One OpenSSL (1.1 or 3) of this process: its functions by address. SSL* is never looked into. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct ssl_st SSL;

/* What the hooks stand in for: KT_SSL_FN(name). */
#define KT_SSL_HOOKS(KT_SSL_FN)                                                                              \
    KT_SSL_FN(SSL_connect)                                                                                   \
    KT_SSL_FN(SSL_do_handshake)                                                                              \
    KT_SSL_FN(SSL_read)                                                                                      \
    KT_SSL_FN(SSL_read_ex)                                                                                   \
    KT_SSL_FN(SSL_peek)                                                                                      \
    KT_SSL_FN(SSL_peek_ex)                                                                                   \
    KT_SSL_FN(SSL_write)                                                                                     \
    KT_SSL_FN(SSL_write_ex)                                                                                  \
    KT_SSL_FN(SSL_write_ex2)                                                                                 \
    KT_SSL_FN(SSL_write_early_data)                                                                          \
    KT_SSL_FN(SSL_shutdown)                                                                                  \
    KT_SSL_FN(SSL_free)                                                                                      \
    KT_SSL_FN(SSL_clear)

enum kt_ssl_id {
#define KT_SSL_FN(name) KT_SSL_ID_##name,
    KT_SSL_HOOKS(KT_SSL_FN)
#undef KT_SSL_FN
        KT_SSL_COUNT
};

struct kt_ssl_api {
    const char *(*SSL_get_servername)(const SSL *, int);
    int (*SSL_get_rfd)(const SSL *);
    int (*SSL_get_wfd)(const SSL *);
    long (*SSL_ctrl)(SSL *, int, long, void *);
    int (*SSL_is_server)(const SSL *);
    int (*SSL_in_before)(const SSL *);
    int (*SSL_is_init_finished)(const SSL *);
    size_t (*SSL_get_client_random)(const SSL *, unsigned char *, size_t);
    long (*SSL_get_verify_result)(const SSL *);
    int (*SSL_do_handshake)(SSL *);
    int (*SSL_write)(SSL *, const void *, int);
    void *(*d2i_X509)(void *, const unsigned char **, long);
    void (*X509_free)(void *);
    void *(*X509_STORE_new)(void);
    int (*X509_STORE_add_cert)(void *, void *);
    void (*X509_STORE_free)(void *);
    void (*ERR_clear_error)(void);
    /* These may be missing (OpenSSL 1.1). */
    int (*SSL_has_pending)(const SSL *);
    int (*SSL_get_shutdown)(const SSL *);
    void *(*SSL_get_rbio)(const SSL *);
    void *(*SSL_get_wbio)(const SSL *);
    int (*BIO_method_type)(const void *);
    uint64_t (*BIO_number_written)(void *);
    int (*CRYPTO_get_ex_new_index)(int, long, void *, void *, void *,
                                   void (*)(void *, void *, void *, int, long, void *));
    int (*SSL_get_ex_new_index)(void); /* no function of OpenSSL, but of its relatives */
    void *(*SSL_get0_param)(SSL *);
    void (*ERR_new)(void);
    void (*ERR_set_error)(int lib, int reason, const char *fmt, ...);
    void (*ERR_put_error)(int lib, int func, int reason, const char *file, int line); /* 1.1 has this one */
    char *(*X509_VERIFY_PARAM_get1_ip_asc)(void *);
    void (*CRYPTO_free)(void *, const char *, int);
    _Atomic(void *) store; /* X509_STORE with nothing but our CA; made when first wanted, lives for ever */
    _Atomic(const unsigned char *) ca; /* the CA that was added last; compared, not read */
    _Atomic(pid_t) maker;              /* the process that made `store` */
    _Atomic(int) life;                 /* of shim/ssl_life.h */
    bool complete;                     /* no function is missing */
};

struct kt_ssl_target {
    void *fn;                     /* the real function; NULL where the process has none */
    const struct kt_ssl_api *api; /* NULL or incomplete: nothing but passing on is possible */
};

enum { KT_SSL_SENT_SHUTDOWN = 1, KT_SSL_RECEIVED_SHUTDOWN = 2 }; /* SSL_get_shutdown */

static inline bool kt_ssl_has_closed(const struct kt_ssl_api *api, const SSL *ssl, int which)
{
    return api->SSL_get_shutdown && (api->SSL_get_shutdown(ssl) & which);
}

/* The real function `id` for the caller at `return_address`. Keeps errno. */
struct kt_ssl_target kt_ssl_resolve(enum kt_ssl_id id, const void *return_address);
