/* SPDX-License-Identifier: Apache-2.0 */
/* Where a handshake may start: the two calls that say so, and reading, whose results the tap lane copies.
 * (Writing: hook_ssl_io.c.) */
#include "shim/caller.h"
#include "shim/hook_ssl.h"
#include "shim/ssl_await.h"
#include "shim/ssl_life.h"
#include "shim/ssl_table.h"
#include "shim/ssl_trust.h"

/* `early`: data in front of the handshake, which cannot be made first. */
static bool may_not(const struct kt_ssl_target *t, SSL *ssl, bool early)
{
    int rc;
    enum kt_ssl_verdict v = KT_SSL_PASS;
    if (t->fn && !kt_bypass())
        v = kt_ssl_before_handshake(t->api, ssl, false);
    return !t->fn || v == KT_SSL_REFUSE ||
           (v == KT_SSL_NAMELESS && !early && !kt_ssl_shake_nameless(t->api, ssl, &rc));
}

/* Behind the real read, which did not read from the fd where it found an error first. */
static inline void has_read(void)
{
    if (__builtin_expect(kt_interrupted_read, 0))
        kt_interrupted_read = 0;
}

static int judged(const struct kt_ssl_target *t, SSL *ssl, int rc)
{
    if (rc <= 0 && !kt_bypass())
        kt_ssl_after_failure(t->api, ssl);
    return rc;
}

static int shake_hands(const struct kt_ssl_target *t, SSL *ssl, bool is_connect)
{
    int (*real)(SSL *) = (int (*)(SSL *))t->fn;
    struct kt_ssl_nameless this;
    const struct kt_ssl_nameless *outer = kt_ssl_nameless;
    enum kt_ssl_verdict v = KT_SSL_PASS;
    if (real && !kt_bypass())
        v = kt_ssl_before_handshake(t->api, ssl, is_connect);
    if (!real || v == KT_SSL_REFUSE)
        return -1;
    if (v == KT_SSL_NAMELESS) {
        this = (struct kt_ssl_nameless){t->api, ssl, KT_SEAL(&this)};
        kt_ssl_nameless = &this;
    }
    kt_ssl_call_begins(t, ssl);
    int rc = real(ssl);
    kt_ssl_call_is_over(t, ssl);
    kt_ssl_nameless = outer;
    return judged(t, ssl, rc);
}

KT_HOOK int SSL_connect(SSL *ssl)
{
    struct kt_ssl_target t = KT_SSL_REAL(SSL_connect);
    return shake_hands(&t, ssl, true);
}

KT_HOOK int SSL_do_handshake(SSL *ssl)
{
    struct kt_ssl_target t = KT_SSL_REAL(SSL_do_handshake);
    return shake_hands(&t, ssl, false);
}

KT_HOOK int SSL_read(SSL *ssl, void *buf, int num)
{
    struct kt_ssl_target t = KT_SSL_REAL(SSL_read);
    if (may_not(&t, ssl, false))
        return -1;
    size_t n = kt_bypass() || num <= 0 ? 0 : kt_ssl_await(t.api, ssl, buf, (size_t)num);
    if (n > 0)
        return (int)n;
    kt_ssl_call_begins(&t, ssl);
    int rc = KT_SSL_CALL(t, SSL_read)(ssl, buf, num);
    kt_ssl_call_is_over(&t, ssl);
    has_read();
    kt_ssl_copied(ssl, KT_ABI_IN, buf, rc > 0 ? (size_t)rc : 0);
    return rc;
}

KT_HOOK int SSL_read_ex(SSL *ssl, void *buf, size_t num, size_t *got)
{
    struct kt_ssl_target t = KT_SSL_REAL(SSL_read_ex);
    if (may_not(&t, ssl, false))
        return 0;
    size_t n = kt_bypass() ? 0 : kt_ssl_await(t.api, ssl, buf, num);
    if (n > 0) {
        *got = n;
        return 1;
    }
    kt_ssl_call_begins(&t, ssl);
    int rc = KT_SSL_CALL(t, SSL_read_ex)(ssl, buf, num, got);
    kt_ssl_call_is_over(&t, ssl);
    has_read();
    kt_ssl_copied(ssl, KT_ABI_IN, buf, rc == 1 ? *got : 0);
    return rc;
}

KT_HOOK int SSL_peek(SSL *ssl, void *buf, int num)
{
    struct kt_ssl_target t = KT_SSL_REAL(SSL_peek);
    if (may_not(&t, ssl, false))
        return -1;
    kt_ssl_call_begins(&t, ssl);
    int rc = KT_SSL_CALL(t, SSL_peek)(ssl, buf, num);
    kt_ssl_call_is_over(&t, ssl);
    return rc;
}

KT_HOOK int SSL_peek_ex(SSL *ssl, void *buf, size_t num, size_t *got)
{
    struct kt_ssl_target t = KT_SSL_REAL(SSL_peek_ex);
    if (may_not(&t, ssl, false))
        return 0;
    kt_ssl_call_begins(&t, ssl);
    int rc = KT_SSL_CALL(t, SSL_peek_ex)(ssl, buf, num, got);
    kt_ssl_call_is_over(&t, ssl);
    return rc;
}

KT_HOOK int SSL_write_early_data(SSL *ssl, const void *buf, size_t num, size_t *done)
{
    struct kt_ssl_target t = KT_SSL_REAL(SSL_write_early_data);
    if (may_not(&t, ssl, true))
        return 0;
    kt_ssl_call_begins(&t, ssl);
    int rc = KT_SSL_CALL(t, SSL_write_early_data)(ssl, buf, num, done);
    kt_ssl_call_is_over(&t, ssl);
    kt_ssl_copied(ssl, KT_ABI_OUT, buf, rc == 1 ? *done : 0);
    return rc;
}

/* 1: both sides have said farewell. */
KT_HOOK int SSL_shutdown(SSL *ssl)
{
    struct kt_ssl_target t = KT_SSL_REAL(SSL_shutdown);
    kt_ssl_call_begins(&t, ssl);
    int rc = t.fn ? KT_SSL_CALL(t, SSL_shutdown)(ssl) : -1;
    kt_ssl_call_is_over(&t, ssl);
    if (rc == 1 && !kt_bypass())
        kt_ssl_table_end_tap(ssl);
    return rc;
}

KT_HOOK void SSL_free(SSL *ssl)
{
    struct kt_ssl_target t = KT_SSL_REAL(SSL_free);
    if (kt_ssl_nameless && KT_SEALED(kt_ssl_nameless) && kt_ssl_nameless->ssl == ssl)
        kt_ssl_nameless = NULL;
    kt_ssl_call_begins(&t, ssl); /* of the last one nobody else would see what it said before */
    if (!kt_bypass() && !kt_ssl_life_is_followed(t.api))
        kt_ssl_table_drop(ssl);
    if (t.fn)
        KT_SSL_CALL(t, SSL_free)(ssl);
}

/* libssl itself clears an SSL when its first handshake begins, through this hook: what was decided just
 * before must stay. */
KT_HOOK int SSL_clear(SSL *ssl)
{
    struct kt_ssl_target t = KT_SSL_REAL(SSL_clear);
    if (!kt_bypass() && t.api && t.api->complete && ssl && !t.api->SSL_in_before(ssl))
        kt_ssl_table_drop(ssl);
    return t.fn ? KT_SSL_CALL(t, SSL_clear)(ssl) : 0;
}
