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

static kt_result make_ctx(struct kt_ca *ca, const struct kt_ca_name *name, SSL_CTX **out)
{
    KT_CLEANUP(kt_cleanup_x509) X509 *leaf = NULL;
    KT_GUARD(kt_mint_leaf(ca->cert, ca->key, ca->leaf_key, name, &leaf));
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    KT_ENSURE(ctx, KT_ERR_CRYPTO);
    set_up(ctx);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 || SSL_CTX_use_certificate(ctx, leaf) != 1 ||
        SSL_CTX_use_PrivateKey(ctx, ca->leaf_key) != 1) {
        SSL_CTX_free(ctx);
        return kt_err(KT_ERR_CRYPTO);
    }
    *out = ctx;
    return kt_ok();
}

/* Lock held. */
static kt_result add_leaf(struct kt_ca *ca, const struct kt_ca_name *name, SSL_CTX **out)
{
    KT_ENSURE(ca->leaf_count < KT_CA_MAX_NAMES, KT_ERR_LIMIT);
    struct kt_ca_leaf *leaves = realloc(ca->leaves, (ca->leaf_count + 1) * sizeof *leaves);
    KT_ENSURE(leaves, KT_ERR_MEMORY);
    ca->leaves = leaves;
    KT_CLEANUP(kt_cleanup_free) char *text = strdup(name->text);
    KT_ENSURE(text, KT_ERR_MEMORY);
    KT_GUARD(make_ctx(ca, name, out));
    leaves[ca->leaf_count].name = KT_TAKE(text);
    leaves[ca->leaf_count].ctx = *out;
    ca->leaf_count++;
    return kt_ok();
}

kt_result kt_ca_server_ctx(struct kt_ca *ca, const char *name, SSL_CTX **out)
{
    __attribute__((unused)) KT_CLEANUP(kt_ca_errors_end) int mark = ERR_set_mark();
    struct kt_ca_name parsed;
    KT_GUARD(kt_ca_name_parse(name, &parsed));
    pthread_mutex_lock(&ca->lock);
    for (size_t i = 0; i < ca->leaf_count; i++) {
        if (strcmp(ca->leaves[i].name, parsed.text) == 0 && !parsed.wildcard) {
            *out = ca->leaves[i].ctx;
            pthread_mutex_unlock(&ca->lock);
            return kt_ok();
        }
    }
    kt_result r = add_leaf(ca, &parsed, out);
    pthread_mutex_unlock(&ca->lock);
    return r;
}
