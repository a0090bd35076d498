/* SPDX-License-Identifier: Apache-2.0 */
/* The listener's own certificate. A renewed one is taken in without a restart. */
#include "interceptor/gateway/kt_gateway_private.h"

#include <openssl/err.h>
#include <string.h>

static const char *reason(void)
{
    unsigned long e =
        ERR_peek_error(); /* the first: "No such file or directory", not "system lib" behind it */
    const char *text =
        ERR_SYSTEM_ERROR(e) ? strerror(ERR_GET_REASON(e)) : ERR_reason_error_string(ERR_peek_last_error());
    return text ? text : "unknown reason";
}

/* An encrypted key would ask on the terminal. */
static int no_password(char *buf, int size, int writing, void *arg)
{
    (void)buf, (void)size, (void)writing, (void)arg;
    return 0;
}

static kt_result fill(SSL_CTX *ctx, const char *cert, const char *key, struct kt_error *err)
{
    SSL_CTX_set_default_passwd_cb(ctx, no_password);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1)
        return kt_fail(err, KT_ERR_CRYPTO, "TLS 1.2 is not available: %s", reason());
    if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
        return kt_fail(err, KT_ERR_USAGE, "--tls-cert %s cannot be used: %s", cert, reason());
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        return kt_fail(err, KT_ERR_USAGE, "--tls-key %s cannot be used: %s", key, reason());
    if (SSL_CTX_check_private_key(ctx) != 1)
        return kt_fail(err, KT_ERR_USAGE, "--tls-key %s is not the key of %s", key, cert);
    return kt_ok();
}

kt_result kt_gateway_tls_load(struct kt_gateway *g, struct kt_error *err)
{
    if (!g->tls_cert)
        return kt_ok();
    ERR_clear_error();
    SSL_CTX *fresh = SSL_CTX_new(TLS_server_method());
    KT_ENSURE(fresh, KT_ERR_MEMORY);
    kt_result r = fill(fresh, g->tls_cert, g->tls_key, err);
    ERR_clear_error();
    if (r.code != KT_OK) {
        SSL_CTX_free(fresh);
        return r;
    }
    pthread_mutex_lock(&g->tls_lock);
    SSL_CTX *old = g->tls;
    g->tls = fresh;
    pthread_mutex_unlock(&g->tls_lock);
    SSL_CTX_free(old); /* SSLs that use it hold it themselves */
    return kt_ok();
}

bool kt_gateway_identify(void *gateway, SSL *ssl)
{
    struct kt_gateway *g = gateway;
    pthread_mutex_lock(&g->tls_lock);
    bool done = g->tls && SSL_set_SSL_CTX(ssl, g->tls) != NULL;
    pthread_mutex_unlock(&g->tls_lock);
    return done;
}
