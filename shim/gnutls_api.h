/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One GnuTLS (3.x) of this process: its functions by address. A session is never looked into. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct gnutls_session_int *gnutls_session_t;
typedef struct gnutls_certificate_credentials_st *gnutls_certificate_credentials_t;
struct kt_gnutls_datum { /* gnutls_datum_t */
    const unsigned char *data;
    unsigned size;
};

/* The hooks. */
int gnutls_handshake(gnutls_session_t session);
int gnutls_server_name_set(gnutls_session_t session, int type, const void *name, size_t len);
void gnutls_deinit(gnutls_session_t session);
ssize_t gnutls_record_send(gnutls_session_t session, const void *data, size_t len);
ssize_t gnutls_record_send2(gnutls_session_t session, const void *data, size_t len, size_t pad,
                            unsigned flags);
ssize_t gnutls_record_send_range(gnutls_session_t session, const void *data, size_t len, const void *range);
ssize_t gnutls_record_send_early_data(gnutls_session_t session, const void *data, size_t len);
int gnutls_record_uncork(gnutls_session_t session, unsigned flags);
ssize_t gnutls_record_recv(gnutls_session_t session, void *data, size_t len);
ssize_t gnutls_record_recv_seq(gnutls_session_t session, void *data, size_t len, unsigned char *seq);
typedef int (*kt_gnutls_verify_fn)(gnutls_session_t);
void gnutls_certificate_set_verify_function(gnutls_certificate_credentials_t cred, kt_gnutls_verify_fn fn);
void gnutls_certificate_free_credentials(gnutls_certificate_credentials_t cred);

struct kt_gnutls_api {
    void *(*gnutls_transport_get_ptr)(gnutls_session_t);
    int (*gnutls_credentials_get)(gnutls_session_t, int type, void **cred);
    int (*gnutls_credentials_set)(gnutls_session_t, int type, void *cred);
    int (*gnutls_certificate_allocate_credentials)(gnutls_certificate_credentials_t *);
    void (*gnutls_certificate_free_credentials)(gnutls_certificate_credentials_t);
    void (*gnutls_certificate_set_verify_function)(gnutls_certificate_credentials_t, kt_gnutls_verify_fn);
    int (*gnutls_certificate_set_x509_trust_mem)(gnutls_certificate_credentials_t,
                                                 const struct kt_gnutls_datum *, int format);
    void (*gnutls_session_get_random)(gnutls_session_t, struct kt_gnutls_datum *client,
                                      struct kt_gnutls_datum *server);
    bool complete;
};

/* What the hooks stand in for: KT_GNUTLS_FN(id, name). */
#define KT_GNUTLS_HOOKS(KT_GNUTLS_FN)                                                                        \
    KT_GNUTLS_FN(KT_GNUTLS_HANDSHAKE, gnutls_handshake)                                                      \
    KT_GNUTLS_FN(KT_GNUTLS_SERVER_NAME_SET, gnutls_server_name_set)                                          \
    KT_GNUTLS_FN(KT_GNUTLS_DEINIT, gnutls_deinit)                                                            \
    KT_GNUTLS_FN(KT_GNUTLS_SEND, gnutls_record_send)                                                         \
    KT_GNUTLS_FN(KT_GNUTLS_SEND2, gnutls_record_send2)                                                       \
    KT_GNUTLS_FN(KT_GNUTLS_SEND_RANGE, gnutls_record_send_range)                                             \
    KT_GNUTLS_FN(KT_GNUTLS_SEND_EARLY, gnutls_record_send_early_data)                                        \
    KT_GNUTLS_FN(KT_GNUTLS_UNCORK, gnutls_record_uncork)                                                     \
    KT_GNUTLS_FN(KT_GNUTLS_RECV, gnutls_record_recv)                                                         \
    KT_GNUTLS_FN(KT_GNUTLS_RECV_SEQ, gnutls_record_recv_seq)                                                 \
    KT_GNUTLS_FN(KT_GNUTLS_SET_VERIFY, gnutls_certificate_set_verify_function)                               \
    KT_GNUTLS_FN(KT_GNUTLS_FREE_CREDENTIALS, gnutls_certificate_free_credentials)

enum kt_gnutls_id {
#define KT_GNUTLS_FN(id, name) id,
    KT_GNUTLS_HOOKS(KT_GNUTLS_FN)
#undef KT_GNUTLS_FN
        KT_GNUTLS_COUNT
};

struct kt_gnutls_target {
    void *fn; /* the real function; NULL where the process has none */
    const struct kt_gnutls_api *api;
};
/* The real function for the caller at `return_address`. Keeps errno. */
struct kt_gnutls_target kt_gnutls_resolve(enum kt_gnutls_id id, const void *return_address);
