/* SPDX-License-Identifier: Apache-2.0 */
/* A policy answered PENDING: the engine asks the endpoint that it named, and the chain goes on with the
 * answer. */
#include "interceptor/exchange/kt_exchange_private.h"

#include "policyengine/base/kt_log.h"

#include <string.h>

static void go_on(struct kt_exchange *x, enum kt_step step)
{
    struct kt_x_phase *p = x->asking;
    if (x->filter.on && p == &x->res) {
        x->asking = NULL;
        kt_x_filter_resume(x, step);
        return;
    }
    if (!kt_x_phase_run(x, p, step)) {
        kt_x_external_start(x);
    } else if (p == &x->res) {
        kt_x_response_done(x);
    } else {
        kt_x_request_done(x);
        kt_x_go(x);
    }
}

static void resume_chain(struct kt_exchange *x)
{
    struct kt_span body = kt_buf_span(&x->external_answer);
    go_on(x, kt_chain_run_resume(x->asking->run, x->external_status, body));
}

static void on_head(void *arg, const struct kt_call_head *head)
{
    struct kt_exchange *x = arg;
    x->external_status = head->status;
}

static void on_data(void *arg, const char *data, size_t len)
{
    struct kt_exchange *x = arg;
    kt_x_enter(x);
    if (!kt_is_ok(kt_buf_append(&x->external_answer, data, len)))
        x->too_large = true;
    kt_x_leave(x);
}

static void on_done(void *arg, enum kt_call_outcome outcome, const char *detail)
{
    struct kt_exchange *x = arg;
    kt_x_enter(x);
    x->external = NULL;
    if (outcome != KT_CALL_OK || x->too_large) {
        KT_TRACE(POLICY, "external check: %s %s", kt_call_outcome_name(outcome), detail);
        x->external_status = 0;
        kt_buf_clear(&x->external_answer);
    }
    x->too_large = false;
    resume_chain(x);
    kt_x_leave(x);
}

/* A check sends the text away like a call does: where the config names no target for it, only one that may
 * get the call. */
static const struct kt_target *find_target(const struct kt_runtime *rt, const char *id)
{
    const struct kt_config *c = rt->config;
    for (size_t i = 0; i < c->providers.target_count; i++) {
        const struct kt_target *t = &c->providers.targets[i];
        if (id ? t->id && strcmp(t->id, id) == 0 : kt_chain_admits(rt->chain, t, NULL))
            return t;
    }
    return NULL;
}

static kt_result ask(struct kt_exchange *x, const struct kt_external *e)
{
    const struct kt_target *t = find_target(x->rt, e->target);
    KT_ENSURE(t && e->url_path, KT_ERR_NOTFOUND);
    KT_CLEANUP(kt_x_outgoing_free) struct kt_x_outgoing out;
    kt_x_outgoing_init(&out);
    char *key = NULL;
    KT_GUARD(kt_secret_resolve(t, &key, NULL));
    kt_result r = kt_x_outgoing_target(&out, t, e->url_path, key, false);
    kt_free_secret(key);
    KT_GUARD(r);
    struct kt_call_request q = {.method = "POST", .ca_file = t->tls.ca_file, .body = kt_buf_span(&e->body)};
    q.connect_ms = t->connect_timeout_seconds * 1000;
    q.total_ms = kt_x_time_left_ms(x, t->timeout_seconds * 1000);
    KT_ENSURE(q.total_ms >= 0, KT_ERR_LIMIT);
    kt_x_outgoing_fill(&out, &q);
    struct kt_call_handler h = {on_head, on_data, on_done, x};
    return kt_upstream_call(x->ctx->upstream, &q, &h, &x->external);
}

void kt_x_stop_asking(struct kt_exchange *x)
{
    if (x->external)
        kt_call_cancel(x->external);
    x->external = NULL;
    x->asking = NULL;
}

void kt_x_external_start(struct kt_exchange *x)
{
    x->external_status = 0;
    kt_buf_clear(&x->external_answer);
    if (++x->external_count > KT_X_MAX_EXTERNAL) { /* a policy that asks without end has failed */
        x->external_count = 0;
        go_on(x, kt_chain_run_give_up(x->asking->run));
        return;
    }
    const struct kt_external *e = kt_chain_run_external(x->asking->run);
    if (e && kt_is_ok(ask(x, e)))
        return;
    /* The policy hears of it as status 0, as of a call that failed. */
    KT_TRACE(POLICY, "external check could not be sent");
    resume_chain(x);
}
