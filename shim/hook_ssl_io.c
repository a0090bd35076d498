/* SPDX-License-Identifier: Apache-2.0 */
/* Writing on an SSL: the capture point of the handoff lane, and of the tap lane behind a success. Never a
 * short count: Node ends the process on one. */
#include "shim/caller.h"
#include "shim/hook_ssl.h"
#include "shim/ssl_handoff.h"

static enum kt_ssl_write step(const struct kt_ssl_target *t, SSL *ssl, const void *buf, size_t num,
                              int *failed)
{
    *failed = -1;
    if (!t->fn)
        return KT_SSL_WRITE_FAIL;
    return kt_bypass() ? KT_SSL_WRITE_REAL : kt_ssl_write(t->api, ssl, buf, num, failed);
}

KT_HOOK int SSL_write(SSL *ssl, const void *buf, int num)
{
    int failed;
    struct kt_ssl_target t = KT_SSL_REAL(SSL_write);
    enum kt_ssl_write w = step(&t, ssl, buf, num > 0 ? (size_t)num : 0, &failed);
    if (w == KT_SSL_WRITE_REAL) {
        kt_ssl_call_begins(&t, ssl);
        int rc = KT_SSL_CALL(t, SSL_write)(ssl, buf, num);
        kt_ssl_call_is_over(&t, ssl);
        kt_ssl_copied(ssl, KT_ABI_OUT, buf, rc > 0 ? (size_t)rc : 0);
        return rc;
    }
    return w == KT_SSL_WRITE_DONE ? num : failed;
}

KT_HOOK int SSL_write_ex(SSL *ssl, const void *buf, size_t num, size_t *done)
{
    int failed;
    struct kt_ssl_target t = KT_SSL_REAL(SSL_write_ex);
    enum kt_ssl_write w = step(&t, ssl, buf, num, &failed);
    if (w == KT_SSL_WRITE_REAL) {
        struct kt_inside here;
        KT_INSIDE(&here, t.fn); /* OpenSSL 3.3 goes on in SSL_write_ex2 */
        kt_ssl_call_begins(&t, ssl);
        int rc = KT_SSL_CALL(t, SSL_write_ex)(ssl, buf, num, done);
        kt_ssl_call_is_over(&t, ssl);
        kt_inside = NULL;
        kt_ssl_copied(ssl, KT_ABI_OUT, buf, rc == 1 ? *done : 0);
        return rc;
    }
    if (w == KT_SSL_WRITE_DONE)
        *done = num;
    return w == KT_SSL_WRITE_DONE;
}

KT_HOOK int SSL_write_ex2(SSL *ssl, const void *buf, size_t num, uint64_t flags, size_t *done)
{
    int failed;
    struct kt_ssl_target t = kt_ssl_resolve(KT_SSL_ID_SSL_write_ex2, KT_CALLER());
    if (kt_inside_now())
        return t.fn ? KT_SSL_CALL(t, SSL_write_ex2)(ssl, buf, num, flags, done) : 0;
    enum kt_ssl_write w = step(&t, ssl, buf, num, &failed);
    if (w == KT_SSL_WRITE_REAL) {
        kt_ssl_call_begins(&t, ssl);
        int rc = KT_SSL_CALL(t, SSL_write_ex2)(ssl, buf, num, flags, done);
        kt_ssl_call_is_over(&t, ssl);
        kt_ssl_copied(ssl, KT_ABI_OUT, buf, rc == 1 ? *done : 0);
        return rc;
    }
    if (w == KT_SSL_WRITE_DONE)
        *done = num;
    return w == KT_SSL_WRITE_DONE;
}
