/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/tls/kt_tls_rehearsal.h"

#include "interceptor/tls/kt_ca.h"
#include "interceptor/tls/kt_ca_object.h"

#include <openssl/err.h>

#define NAME "rehearsal.invalid"
#define TURNS 8 /* a handshake of TLS 1.3 takes three */

static bool trust(SSL_CTX *ctx, struct kt_span der)
{
    const unsigned char *at = (const unsigned char *)der.data;
    X509 *cert = d2i_X509(NULL, &at, (long)der.len);
    bool added = cert && X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), cert) == 1;
    X509_free(cert);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    return added;
}

static bool shake_hands(SSL *client, SSL *server)
{
    for (int i = 0; i < TURNS && !(SSL_is_init_finished(client) && SSL_is_init_finished(server)); i++) {
        int c = SSL_do_handshake(client), s = SSL_do_handshake(server);
        if ((c != 1 && SSL_get_error(client, c) != SSL_ERROR_WANT_READ) ||
            (s != 1 && SSL_get_error(server, s) != SSL_ERROR_WANT_READ))
            return false;
    }
    return SSL_is_init_finished(client) && SSL_is_init_finished(server);
}

static bool join(SSL *client, SSL *server)
{
    BIO *near = NULL, *far = NULL;
    if (!client || !server || BIO_new_bio_pair(&near, 0, &far, 0) != 1)
        return false;
    SSL_set_bio(client, near, near);
    SSL_set_bio(server, far, far);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    return SSL_set_tlsext_host_name(client, NAME) == 1 && SSL_set1_host(client, NAME) == 1 &&
           shake_hands(client, server);
}

static bool rehearse(struct kt_ca *ca)
{
    SSL_CTX *front = NULL, *back = SSL_CTX_new(TLS_client_method());
    SSL *client = NULL, *server = NULL;
    bool ready = back && kt_ca_server_ctx(ca, NAME, &front).code == KT_OK && trust(back, kt_ca_der(ca));
    if (ready) {
        client = SSL_new(back);
        server = SSL_new(front);
    }
    bool good = ready && join(client, server);
    SSL_free(client);
    SSL_free(server);
    SSL_CTX_free(back);
    return good;
}

bool kt_tls_rehearsal(void)
{
    __attribute__((unused)) KT_CLEANUP(kt_ca_errors_end) int mark = ERR_set_mark();
    char *name = (char *)(uintptr_t)NAME;
    const struct kt_strings hosts = {&name, 1};
    struct kt_error err = {KT_OK, ""};
    struct kt_ca *ca = NULL;
    bool good = kt_ca_new(&hosts, &ca, &err).code == KT_OK && rehearse(ca);
    kt_ca_free(ca);
    return good;
}
