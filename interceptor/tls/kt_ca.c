/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/tls/kt_ca_mint.h"
#include "interceptor/tls/kt_ca_object.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

void kt_ca_errors_end(const int *mark)
{
    (void)mark; /* also without a mark, on an empty queue: everything in it is ours then */
    ERR_pop_to_mark();
}

/* Everything that is derived from certificate and key. */
static kt_result complete(struct kt_ca *ca)
{
    struct tm tm;
    int n = i2d_X509(ca->cert, &ca->der);
    KT_ENSURE(n > 0, KT_ERR_CRYPTO);
    ca->der_len = (size_t)n;
    KT_ENSURE(ASN1_TIME_to_tm(X509_get0_notAfter(ca->cert), &tm) == 1, KT_ERR_CRYPTO);
    ca->expires = timegm(&tm);
    ca->leaf_key[KT_CA_P256] = kt_mint_key();
    KT_ENSURE(ca->leaf_key[KT_CA_P256], KT_ERR_CRYPTO);
    KT_ENSURE(ca->expires > time(NULL), KT_ERR_STATE);
    return kt_ok();
}

kt_result kt_ca_adopt(X509 *cert, EVP_PKEY *key, struct kt_ca **out, struct kt_error *err)
{
    struct kt_ca *ca = calloc(1, sizeof *ca);
    if (!ca) {
        X509_free(cert);
        EVP_PKEY_free(key);
        return kt_fail(err, KT_ERR_MEMORY, "out of memory");
    }
    ca->cert = cert;
    ca->key = key;
    pthread_mutex_init(&ca->lock, NULL);
    kt_result r = complete(ca);
    if (kt_is_ok(r)) {
        *out = ca;
        return r;
    }
    kt_ca_free(ca);
    return kt_fail(err, r.code,
                   r.code == KT_ERR_STATE ? "the CA certificate has expired" : "OpenSSL cannot make a key");
}

kt_result kt_ca_new(const struct kt_strings *hosts, struct kt_ca **out, struct kt_error *err)
{
    __attribute__((unused)) KT_CLEANUP(kt_ca_errors_end) int mark = ERR_set_mark();
    KT_CLEANUP(kt_cleanup_pkey) EVP_PKEY *key = kt_mint_key();
    KT_CLEANUP(kt_cleanup_x509) X509 *cert = NULL;
    kt_result r = key ? kt_mint_ca(hosts, key, &cert, err) : kt_err(KT_ERR_CRYPTO);
    if (kt_is_ok(r))
        return kt_ca_adopt(KT_TAKE(cert), KT_TAKE(key), out, err);
    return r.code == KT_ERR_USAGE
               ? r
               : kt_fail(err, r.code, "cannot make a CA certificate: %s", kt_code_name(r.code));
}

void kt_ca_free(struct kt_ca *ca)
{
    if (!ca)
        return;
    for (size_t i = 0; i < ca->leaf_count; i++) {
        for (int kind = 0; kind < KT_CA_KINDS; kind++)
            SSL_CTX_free(ca->leaves[i].ctx[kind]);
        free(ca->leaves[i].name);
    }
    free(ca->leaves);
    pthread_mutex_destroy(&ca->lock);
    OPENSSL_free(ca->der);
    X509_free(ca->cert);
    for (int kind = 0; kind < KT_CA_KINDS; kind++)
        EVP_PKEY_free(ca->leaf_key[kind]);
    EVP_PKEY_free(ca->key);
    free(ca);
}

struct kt_span kt_ca_der(const struct kt_ca *ca)
{
    return kt_span((const char *)ca->der, ca->der_len);
}

kt_result kt_ca_pem(const struct kt_ca *ca, struct kt_buf *out)
{
    __attribute__((unused)) KT_CLEANUP(kt_ca_errors_end) int mark = ERR_set_mark();
    char *text = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    kt_result r = kt_err(KT_ERR_CRYPTO);
    if (bio && PEM_write_bio_X509(bio, ca->cert) == 1) {
        long n = BIO_get_mem_data(bio, &text);
        r = kt_buf_append(out, text, (size_t)n);
    }
    BIO_free(bio);
    return r;
}

time_t kt_ca_expires(const struct kt_ca *ca)
{
    return ca->expires;
}
