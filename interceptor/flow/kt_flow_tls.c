/* SPDX-License-Identifier: Apache-2.0 */
/* The TLS end of a flow: OpenSSL over the non-blocking fd, the leaf by SNI, the client random for handoff. */
#include "interceptor/flow/kt_flow_private.h"

#include "policyengine/base/kt_log.h"

#include <errno.h>
#include <openssl/err.h>
#include <sys/socket.h>

/* --- a BIO over send and recv: the stock one writes with write(2), which can raise SIGPIPE --- */

static int bio_write(BIO *b, const char *data, int len)
{
    const struct kt_flow *f = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    ssize_t n = send(f->watch.fd, data, (size_t)len, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_write(b);
    return (int)n;
}

static int bio_read(BIO *b, char *data, int len)
{
    const struct kt_flow *f = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    ssize_t n = recv(f->watch.fd, data, (size_t)len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_read(b);
    return (int)n;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
    (void)b, (void)num, (void)ptr;
    return cmd == BIO_CTRL_FLUSH;
}

static int bio_create(BIO *b)
{
    BIO_set_init(b, 1);
    return 1;
}

/* --- the handshake's callbacks --- */

static int on_hello(SSL *ssl, int *alert, void *arg)
{
    (void)alert, (void)arg;
    struct kt_flow *f = SSL_get_app_data(ssl);
    const unsigned char *random;
    if (SSL_client_hello_get0_random(ssl, &random) == sizeof f->random)
        kt_flows_map(f, random);
    f->hello = true;
    return SSL_CLIENT_HELLO_SUCCESS;
}

static int on_name(SSL *ssl, int *alert, void *arg)
{
    (void)arg;
    struct kt_flow *f = SSL_get_app_data(ssl);
    const struct kt_flow_door *door = f->fs->o.door;
    if (door && door->identify(f->fs->o.owner, ssl))
        return SSL_TLSEXT_ERR_OK;
    struct kt_ca *ca = door ? NULL : f->fs->o.ca(f->fs->o.owner);
    const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    SSL_CTX *leaf = NULL;
    bool found = ca && sni && kt_ca_server_ctx(ca, sni, &leaf).code == KT_OK;
    if (!found)
        found = ca && kt_ca_server_ctx(ca, f->host, &leaf).code == KT_OK;
    KT_TRACE(TLS, "ClientHello for %s, server name %s%s", f->host, sni ? sni : "(none)",
             found ? "" : ": no leaf");
    if (found && SSL_set_SSL_CTX(ssl, leaf))
        return SSL_TLSEXT_ERR_OK;
    *alert = SSL_AD_INTERNAL_ERROR;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

kt_result kt_flow_tls_setup(struct kt_flows *fs)
{
    fs->bio = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "kt flow");
    fs->front = SSL_CTX_new(TLS_server_method());
    KT_ENSURE(fs->bio && fs->front, KT_ERR_CRYPTO);
    BIO_meth_set_write(fs->bio, bio_write);
    BIO_meth_set_read(fs->bio, bio_read);
    BIO_meth_set_ctrl(fs->bio, bio_ctrl);
    BIO_meth_set_create(fs->bio, bio_create);
    /* An SSL takes its options from the context that made it, so they stand here and not in the leaf's. */
    SSL_CTX_set_options(fs->front, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(fs->front, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                    SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(fs->front, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(fs->front, 0);
    SSL_CTX_set_client_hello_cb(fs->front, on_hello, NULL);
    SSL_CTX_set_tlsext_servername_callback(fs->front, on_name);
    KT_ENSURE(SSL_CTX_set_min_proto_version(fs->front, TLS1_2_VERSION) == 1, KT_ERR_CRYPTO);
    return kt_ok();
}

void kt_flow_tls_teardown(struct kt_flows *fs)
{
    SSL_CTX_free(fs->front);
    BIO_meth_free(fs->bio);
}

kt_result kt_flow_tls_begin(struct kt_flow *f)
{
    BIO *b = BIO_new(f->fs->bio);
    KT_ENSURE(b, KT_ERR_MEMORY);
    BIO_set_data(b, f);
    f->ssl = SSL_new(f->fs->front);
    if (!f->ssl) {
        BIO_free(b);
        return kt_err(KT_ERR_MEMORY);
    }
    SSL_set_bio(f->ssl, b, b);
    SSL_set_app_data(f->ssl, f);
    SSL_set_accept_state(f->ssl);
    f->tls = true;
    return kt_ok();
}

/* --- why a client left --- */

/* The alert of RFC 8446 6.2 that the client sent, 0 = none. OpenSSL numbers received alerts from 1000 up. */
static int alert_of(unsigned long error)
{
    int reason = ERR_GET_REASON(error);
    return ERR_GET_LIB(error) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET &&
                   reason < SSL_AD_REASON_OFFSET + 256
               ? reason - SSL_AD_REASON_OFFSET
               : 0;
}

static const char *distrust_of(int alert)
{
    switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
        return "the client refused our certificate: bad_certificate";
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
        return "the client refused our certificate: unsupported_certificate";
    case SSL_AD_CERTIFICATE_REVOKED:
        return "the client refused our certificate: certificate_revoked";
    case SSL_AD_CERTIFICATE_EXPIRED:
        return "the client refused our certificate: certificate_expired";
    case SSL_AD_CERTIFICATE_UNKNOWN:
        return "the client refused our certificate: certificate_unknown";
    case SSL_AD_UNKNOWN_CA:
        return "the client refused our certificate: unknown_ca";
    case SSL_AD_ACCESS_DENIED:
        return "the client refused our certificate: access_denied";
    default:
        return NULL;
    }
}

/* A client that cannot be served must not leave in silence, also where it gave no reason. */
static void report_leaving(struct kt_flow *f, unsigned long error, bool in_handshake)
{
    if (f->fs->o.door)
        return; /* the certificate is the operator's, and anybody may knock */
    int alert = alert_of(error);
    const char *why = distrust_of(alert);
    if (!why && in_handshake && f->hello && !alert && ERR_GET_LIB(error) == 0)
        why = "the client closed the connection inside the TLS handshake, without a reason";
    KT_TRACE(TLS, "%s: the client left: alert %d, error %lx", f->host, alert, error);
    f->reported = why != NULL;
    if (why)
        f->fs->o.event(f->fs->o.owner, "client_distrusts", f->host, f->port, 0, why);
}

enum kt_flow_io kt_flow_tls_handshake(struct kt_flow *f)
{
    ERR_clear_error();
    int rc = SSL_do_handshake(f->ssl);
    if (rc == 1)
        return KT_IO_DONE;
    int why = SSL_get_error(f->ssl, rc);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return KT_IO_AGAIN;
    report_leaving(f, ERR_peek_error(), true);
    ERR_clear_error();
    return KT_IO_GONE;
}

/* SSL_get_error looks at the thread's queue, which is mostly empty; to clear it costs more than to look. */
static void forget_errors(void)
{
    if (ERR_peek_error() != 0)
        ERR_clear_error();
}

enum kt_flow_io kt_flow_tls_read(struct kt_flow *f, char *buf, size_t size, size_t *got)
{
    forget_errors();
    int rc = SSL_read_ex(f->ssl, buf, size, got);
    if (rc == 1)
        return KT_IO_DONE;
    *got = 0;
    int why = SSL_get_error(f->ssl, rc);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return KT_IO_AGAIN;
    if (why == SSL_ERROR_ZERO_RETURN)
        return KT_IO_ENDED;
    if (!atomic_load(&f->spoken))
        report_leaving(f, ERR_peek_error(), false);
    ERR_clear_error();
    return KT_IO_GONE;
}

enum kt_flow_io kt_flow_tls_write(struct kt_flow *f, const char *data, size_t len, size_t *sent)
{
    forget_errors();
    int rc = SSL_write_ex(f->ssl, data, len, sent);
    if (rc == 1)
        return KT_IO_DONE;
    *sent = 0;
    int why = SSL_get_error(f->ssl, rc);
    ERR_clear_error();
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? KT_IO_AGAIN : KT_IO_GONE;
}
