/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside interceptor/tls: the CA object. */
#include "interceptor/tls/kt_ca.h"

#include <pthread.h>

struct kt_ca_leaf {
    char *name;                /* owned; canonical */
    SSL_CTX *ctx[KT_CA_KINDS]; /* owned; NULL = not asked for yet */
};

struct kt_ca {
    X509 *cert;
    EVP_PKEY *key, *leaf_key[KT_CA_KINDS]; /* one of a kind for all leaves */
    unsigned char *der;
    size_t der_len;
    time_t expires;
    pthread_mutex_t lock; /* leaves */
    struct kt_ca_leaf *leaves;
    size_t leaf_count;
};

/* new. Takes `cert` and `key`. KT_ERR_STATE where the certificate has expired. */
kt_result kt_ca_adopt(X509 *cert, EVP_PKEY *key, struct kt_ca **out, struct kt_error *err) KT_MUST;
/* OpenSSL's error queue belongs to the thread, and the thread may be the program's: each entry of ours leaves
 * it as it was. __attribute__((unused)) KT_CLEANUP(kt_ca_errors_end) int mark = ERR_set_mark(); */
void kt_ca_errors_end(const int *mark);
