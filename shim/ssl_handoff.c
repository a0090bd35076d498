/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/ssl_handoff.h"

#include "shim/engine.h"
#include "shim/guard.h"
#include "shim/ssl_table.h"
#include "shim/ssl_trust.h"
#include "shim/stack.h"
#include "shim/trace.h"

#include <errno.h>
#include <string.h>

static enum kt_ssl_write fail(int *failed, int error)
{
    *failed = -1;
    errno = error;
    return KT_SSL_WRITE_FAIL;
}

/* After a failure SSL_get_error must not find the WANT_READ of an earlier SSL_read, or the program would wait
 * for a connection that is over. A write of nothing sends nothing and resets it. */
static void forget_want(const struct kt_ssl_api *api, SSL *ssl)
{
    api->ERR_clear_error();
    api->SSL_write(ssl, "", 0);
    api->ERR_clear_error();
}

struct write {
    const struct kt_engine_abi *engine;
    struct kt_abi_flow *flow;
    const void *data;
    size_t len;
    ssize_t n;
    int error;
};

static void write_now(void *arg)
{
    struct write *w = arg;
    w->n = w->engine->flow_write(w->flow, w->data, w->len);
    w->error = errno;
}

static enum kt_ssl_write hand_over(const struct kt_ssl_api *api, struct kt_ssl_entry *e, SSL *ssl,
                                   const void *data, size_t len, int *failed)
{
    const struct kt_engine_abi *engine = kt_engine_here();
    if (!engine)
        return fail(failed, EPIPE); /* the parent's flow, in a child that has none */
    int saved = kt_guard_enter();
    struct write w = {engine, e->flow, data, len, -1, 0};
    /* The connection may have begun on a larger stack than this one. */
    w.error = kt_stack_call(write_now, &w) ? w.error : EAGAIN;
    ssize_t n = w.n;
    int err = w.error;
    kt_guard_leave(saved);
    if (n == (ssize_t)len)
        return KT_SSL_WRITE_DONE;
    KT_TRACE_SHIM("ssl %p: the flow to %s took %zd of %zu bytes, errno %d", (void *)ssl, e->host, n, len,
                  err);
    forget_want(api, ssl);
    kt_ssl_say_refused(api, ssl);
    return fail(failed, n < 0 && err ? err : EPIPE);
}

/* The first write after the handshake decides for the life of this SSL: the two ways may never mix. */
static enum kt_ssl_write decide(const struct kt_ssl_api *api, struct kt_ssl_entry *e, SSL *ssl, int *failed)
{
    const struct kt_engine_abi *engine = kt_engine_here();
    struct kt_abi_flow *flow = NULL;
    bool known = kt_ssl_find_flow(api, ssl, e->random, &flow);
    if (!known && e->by_random) {
        if (kt_ssl_unseen(e, "TLS with a peer that is not ours, over memory"))
            return KT_SSL_WRITE_REAL;
        forget_want(api, ssl);
        kt_ssl_say_refused(api, ssl);
        return fail(failed, EACCES);
    }
    int saved = kt_guard_enter();
    bool on = known && kt_stack_suffices() && engine->handoff_enabled();
    if (known && !on)
        engine->flow_release(flow);
    kt_guard_leave(saved);
    e->flow = on ? flow : NULL;
    e->state = on ? KT_SSL_HANDOFF : KT_SSL_TLS;
    KT_TRACE_SHIM("ssl %p: %s writes by %s", (void *)ssl, e->host, on ? "handoff" : "TLS");
    return KT_SSL_WRITE_REAL;
}

/* An entry may outlive its SSL where libssl frees one inside itself; then another SSL can sit at its address.
 */
static bool is_stale(const struct kt_ssl_api *api, const struct kt_ssl_entry *e, SSL *ssl)
{
    uint8_t now[32];
    return api->SSL_get_client_random(ssl, now, sizeof now) != sizeof now ||
           memcmp(now, e->random, sizeof now) != 0;
}

/* Before the first write, or behind SSL_key_update, which a real write or read would send. */
static bool finish_handshake(const struct kt_ssl_api *api, SSL *ssl, int *failed)
{
    int rc = api->SSL_is_init_finished(ssl) ? 1 : api->SSL_do_handshake(ssl);
    if (rc > 0)
        return true;
    kt_ssl_after_failure(api, ssl);
    *failed = rc < 0 ? rc : -1;
    return false;
}

enum kt_ssl_write kt_ssl_write(const struct kt_ssl_api *api, SSL *ssl, const void *data, size_t len,
                               int *failed)
{
    enum kt_ssl_verdict v = kt_ssl_before_handshake(api, ssl, false);
    *failed = -1;
    if (v == KT_SSL_REFUSE || (v == KT_SSL_NAMELESS && !kt_ssl_shake_nameless(api, ssl, failed)))
        return KT_SSL_WRITE_FAIL;
    if (!kt_ssl_table_used())
        return KT_SSL_WRITE_REAL;
    kt_signals_hold(); /* once for all that nests in it: two system calls each */
    struct kt_ssl_entry *e = api && api->complete ? kt_ssl_table_get(ssl) : NULL;
    bool closed = e && kt_ssl_has_closed(api, ssl, KT_SSL_SENT_SHUTDOWN); /* it says so itself */
    bool flows = e && e->state == KT_SSL_HANDOFF && len > 0 && !closed && api->SSL_is_init_finished(ssl) &&
                 !is_stale(api, e, ssl);
    enum kt_ssl_write done = flows ? hand_over(api, e, ssl, data, len, failed) : KT_SSL_WRITE_REAL;
    kt_signals_let_go();
    if (flows)
        return done;
    if (!e || e->state == KT_SSL_TLS || e->state == KT_SSL_TAPPED || len == 0 || closed)
        return KT_SSL_WRITE_REAL;
    if (e->state == KT_SSL_REFUSED) {
        kt_ssl_say_refused(api, ssl);
        return fail(failed, EACCES);
    }
    if (!finish_handshake(api, ssl, failed))
        return KT_SSL_WRITE_FAIL;
    if (e->state == KT_SSL_TRUSTED) {
        enum kt_ssl_write w = decide(api, e, ssl, failed);
        if (w != KT_SSL_WRITE_REAL || e->state != KT_SSL_HANDOFF)
            return w;
    }
    if (is_stale(api, e, ssl)) {
        kt_ssl_table_drop(ssl);
        return KT_SSL_WRITE_REAL;
    }
    return hand_over(api, e, ssl, data, len, failed);
}
