/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/tls/kt_ca_mint.h"
#include "interceptor/tls/kt_ca_object.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

/* A client that offers h2 only gets no answer, as from a server that does not know ALPN: many then speak
 * HTTP/1.1 anyway. */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                       unsigned in_len, void *arg)
{
    static const char want[] = "http/1.1";
    (void)ssl, (void)arg;
    for (unsigned at = 0; at < in_len && in[at] < in_len - at; at += 1u + in[at]) {
        if (in[at] == sizeof want - 1 && memcmp(in + at + 1, want, sizeof want - 1) == 0) {
            *out = in + at + 1;
            *out_len = in[at];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_NOACK;
}

static void set_up(SSL_CTX *ctx)
{
    SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    /* A request carries its own length, so a client that leaves without close_notify cuts nothing off
     * unnoticed. */
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
}

static kt_result make_ctx(struct kt_ca *ca, const struct kt_ca_name *name, EVP_PKEY *key, SSL_CTX **out)
{
    KT_CLEANUP(kt_cleanup_x509) X509 *leaf = NULL;
    KT_GUARD(kt_mint_leaf(ca->cert, ca->key, key, name, &leaf));
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    KT_ENSURE(ctx, KT_ERR_CRYPTO);
    set_up(ctx);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 || SSL_CTX_use_certificate(ctx, leaf) != 1 ||
        SSL_CTX_use_PrivateKey(ctx, key) != 1) {
        SSL_CTX_free(ctx);
        return kt_err(KT_ERR_CRYPTO);
    }
    *out = ctx;
    return kt_ok();
}

/* Lock held, as below. */
static kt_result key_of(struct kt_ca *ca, enum kt_ca_kind kind, EVP_PKEY **out)
{
    if (!ca->leaf_key[kind])
        ca->leaf_key[kind] = EVP_RSA_gen(2048);
    *out = ca->leaf_key[kind];
    KT_ENSURE(*out, KT_ERR_CRYPTO);
    return kt_ok();
}

static struct kt_ca_leaf *find_leaf(struct kt_ca *ca, const char *name)
{
    for (size_t i = 0; i < ca->leaf_count; i++)
        if (strcmp(ca->leaves[i].name, name) == 0)
            return &ca->leaves[i];
    return NULL;
}

static kt_result add_leaf(struct kt_ca *ca, const struct kt_ca_name *name, SSL_CTX *ctx, enum kt_ca_kind kind)
{
    struct kt_ca_leaf *leaves = realloc(ca->leaves, (ca->leaf_count + 1) * sizeof *leaves);
    KT_ENSURE(leaves, KT_ERR_MEMORY);
    ca->leaves = leaves;
    struct kt_ca_leaf leaf = {.name = strdup(name->text)};
    KT_ENSURE(leaf.name, KT_ERR_MEMORY);
    leaf.ctx[kind] = ctx;
    leaves[ca->leaf_count++] = leaf;
    return kt_ok();
}

static kt_result find_or_make(struct kt_ca *ca, const struct kt_ca_name *name, enum kt_ca_kind kind,
                              SSL_CTX **out)
{
    EVP_PKEY *key;
    struct kt_ca_leaf *known = name->wildcard ? NULL : find_leaf(ca, name->text);
    *out = known ? known->ctx[kind] : NULL;
    if (*out)
        return kt_ok();
    KT_ENSURE(known || ca->leaf_count < KT_CA_MAX_NAMES, KT_ERR_LIMIT);
    KT_GUARD(key_of(ca, kind, &key));
    KT_GUARD(make_ctx(ca, name, key, out));
    if (known) {
        known->ctx[kind] = *out;
        return kt_ok();
    }
    kt_result r = add_leaf(ca, name, *out, kind);
    if (r.code != KT_OK)
        SSL_CTX_free(*out);
    return r;
}

kt_result kt_ca_server_ctx_of(struct kt_ca *ca, const char *name, enum kt_ca_kind kind, SSL_CTX **out)
{
    __attribute__((unused)) KT_CLEANUP(kt_ca_errors_end) int mark = ERR_set_mark();
    struct kt_ca_name parsed;
    KT_GUARD(kt_ca_name_parse(name, &parsed));
    pthread_mutex_lock(&ca->lock);
    kt_result r = find_or_make(ca, &parsed, kind, out);
    pthread_mutex_unlock(&ca->lock);
    return r;
}

kt_result kt_ca_server_ctx(struct kt_ca *ca, const char *name, SSL_CTX **out)
{
    return kt_ca_server_ctx_of(ca, name, KT_CA_P256, out);
}
