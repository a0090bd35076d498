/* SPDX-License-Identifier: Apache-2.0 */
/* The life of an exchange: birth, entries from outside, end. */
#include "interceptor/exchange/kt_exchange_private.h"

#include "policyengine/base/kt_log.h"

#include <stdlib.h>
#include <string.h>

kt_result kt_exchange_new(struct kt_engine_ctx *ctx, struct kt_request *request,
                          const struct kt_exchange_origin *origin, struct kt_exchange **out)
{
    *out = NULL;
    struct kt_exchange *x = malloc(sizeof *x); /* 9 KiB: cleared once, below */
    KT_ENSURE(x, KT_ERR_MEMORY);
    *x = (struct kt_exchange){
        .ctx = ctx,
        .port = origin->port,
        .tls = origin->tls,
        .origin_unknown = origin->unknown,
        .lane = origin->lane,
        .program = kt_event_program_ref(origin->program),
        .real_ns = kt_now_real_ns(),
        .mono_ns = kt_now_mono_ns(),
        .external_answer = KT_BUF_INIT(KT_X_MAX_ERROR_BODY),
        .refuse_body = KT_BUF_INIT(KT_X_MAX_ERROR_BODY),
        .out_body = KT_BUF_INIT(SIZE_MAX / 2),
        .answer = KT_BUF_INIT(KT_X_MAX_RESPONSE),
        .fields.text = KT_BUF_INIT(KT_X_MAX_HEAD),
        .stream.held = KT_BUF_INIT(KT_X_HELD_MAX),
        .stream.usage_chunk = KT_BUF_INIT(KT_X_MAX_HEAD),
        .asked_ms = -1,
        .retry_after_ms = -1,
        .least_asked_ms = INT64_MAX,
        .breaker_wait_ms = INT64_MAX,
        .event_type = "decision",
        .verdict = "allow",
    };
    x->host = strdup(origin->host);
    kt_result r = x->host ? kt_event_new_id(x->id) : kt_err(KT_ERR_MEMORY);
    if (!kt_is_ok(r)) {
        kt_event_program_unref(x->program);
        free(x->host);
        free(x);
        return r;
    }
    x->request = *request;
    memset(request, 0, sizeof *request);
    kt_x_mark(x);
    *out = x;
    return kt_ok();
}

static void destroy(struct kt_exchange *x)
{
    kt_x_unlist(x);
    kt_x_commit_cancel(x);
    kt_x_drop_call(x);
    kt_x_keepalive_stop(x);
    kt_x_settle_limits(x);
    if (x->key_wait.due_ns)
        kt_loop_timer_set(x->ctx->loop, &x->key_wait, 0);
    if (x->retry.due_ns)
        kt_loop_timer_set(x->ctx->loop, &x->retry, 0);
    kt_x_stop_asking(x);
    kt_route_free(&x->route);
    for (size_t i = 0; i < x->attempt_count; i++) {
        free(x->attempts[i].model);
        free(x->attempts[i].said);
        free(x->attempts[i].library);
    }
    free(x->attempts);
    kt_x_stream_free(&x->stream);
    kt_x_filter_free(&x->filter);
    kt_x_phase_free(&x->req);
    kt_x_phase_free(&x->res);
    kt_restorer_free(x->restorer);
    kt_said_free(&x->said);
    free(x->conversation);
    kt_placeholders_free(x->names);
    if (x->replied)
        kt_chat_free(&x->reply);
    if (x->parsed)
        kt_chat_free(&x->chat);
    kt_buf_free(&x->external_answer);
    kt_buf_free(&x->refuse_body);
    kt_buf_free(&x->out_body);
    kt_buf_free(&x->answer);
    kt_x_fields_free(&x->fields);
    /* The head holds the program's own Authorization. */
    if (x->request.head.data)
        kt_wipe(x->request.head.data, x->request.head.len);
    kt_request_free(&x->request);
    kt_runtime_unref(x->rt);
    free(x->host);
    free(x->message);
    const struct kt_exchange_watcher w = x->watcher;
    free(x);
    if (w.gone)
        w.gone(w.owner);
}

/* Its mark stays: the call has no event, and whoever looks at the marks says so. */
void kt_exchange_free(struct kt_exchange *x)
{
    if (x)
        destroy(x);
}

void kt_x_enter(struct kt_exchange *x)
{
    if (x->depth++ == 0)
        x->entered_ns = kt_now_mono_ns();
}

void kt_x_leave(struct kt_exchange *x)
{
    if (--x->depth)
        return;
    x->overhead_ns += kt_now_mono_ns() - x->entered_ns;
    if (x->over)
        destroy(x);
}

/* A call that cannot have its event may not leave the process, unless fail_mode says so. True: it was
 * refused.
 */
static bool refused_without_audit(struct kt_exchange *x)
{
    struct kt_error err = {KT_OK, ""};
    if (kt_x_fail_open(x) || (x->ctx->audit && kt_is_ok(kt_audit_ready(x->ctx->audit, &err))))
        return false;
    kt_x_audit_refusal(x, x->ctx->audit ? err.text : x->ctx->audit_error);
    return true;
}

/* A gateway's client names no host that the call could go on to. */
static void refuse_unknown_origin(struct kt_exchange *x)
{
    x->verdict = "block";
    x->reason_code = "no_origin";
    kt_x_refuse(x, 503, "configuration_error", "no_origin",
                "ktwrap: a gateway does not know where this call was meant to go; it needs `mode: enforce`, "
                "`pack.enabled: true`, `providers.targets` in the policy configuration, and an endpoint that "
                "its policies know");
}

void kt_x_go(struct kt_exchange *x)
{
    if (x->plan == KT_X_ORIGIN && x->origin_unknown)
        refuse_unknown_origin(x);
    if (x->tapped)
        kt_x_tap_ready(x);
    else if (x->plan == KT_X_REFUSE)
        kt_x_reply_refusal(x);
    else if (refused_without_audit(x) || !kt_x_take_limits(x))
        return;
    else if (x->plan == KT_X_ORIGIN)
        kt_x_to_origin(x);
    else
        kt_x_try_next(x);
}

static void set_deadline(struct kt_exchange *x)
{
    int64_t total = x->rt->config ? x->rt->config->limits.total_seconds : 0;
    if (total > 0)
        x->deadline_ns = x->mono_ns + (uint64_t)total * 1000000000ull;
}

static void key_wait_over(void *exchange);

/* A command that prints a key may take seconds; the other exchanges of the loop do not wait for it. */
static bool wait_for_keys(struct kt_exchange *x)
{
    if (!x->rt->config || !kt_secrets_pending(x->rt->config))
        return false;
    x->key_wait.fn = key_wait_over;
    x->key_wait.arg = x;
    kt_loop_timer_set(x->ctx->loop, &x->key_wait, kt_now_mono_ns() + KT_X_KEY_WAIT_NS);
    return true;
}

static void begin(struct kt_exchange *x)
{
    if (wait_for_keys(x))
        return;
    if (x->asking && refused_without_audit(x))
        return; /* an outside check sends the text away, too */
    if (x->asking)
        kt_x_external_start(x);
    else
        kt_x_go(x);
}

static void key_wait_over(void *exchange)
{
    struct kt_exchange *x = exchange;
    kt_x_enter(x);
    begin(x);
    kt_x_leave(x);
}

void kt_exchange_start(struct kt_exchange *x, const struct kt_reply_sink *sink)
{
    kt_x_enter(x);
    x->sink = *sink;
    x->started = true;
    kt_x_list(x);
    set_deadline(x);
    kt_x_keepalive_begin(x);
    begin(x);
    kt_x_leave(x);
}

void kt_exchange_client_gone(struct kt_exchange *x)
{
    kt_x_enter(x);
    if (!x->over) {
        kt_x_commit_cancel(x);
        x->over = true;
        x->error = "client_gone";
        kt_x_drop_call(x);
        kt_x_stop_asking(x);
        kt_x_attempt_end(x, "aborted", "the client went away");
        if (!x->head_sent)
            x->status = 0;
        else if (x->stream.open || x->early)
            x->stream.interruption = "client_gone";
        if (x->early)
            x->status = 200;
        if (!kt_x_record(x))
            KT_TRACE(FLOW, "exchange %s: event lost", x->id);
    }
    kt_x_leave(x);
}

void kt_exchange_writable(struct kt_exchange *x)
{
    kt_x_enter(x);
    if (!x->over && x->call && !x->asking && x->sink.backlog(x->sink.flow) <= KT_X_BACKLOG_LOW)
        kt_call_resume(x->call);
    kt_x_leave(x);
}

bool kt_exchange_busy(struct kt_engine_ctx *ctx)
{
    return ctx->audit && kt_audit_busy(ctx->audit);
}

struct kt_loop_watch *kt_exchange_waits_for(const struct kt_exchange *x)
{
    return x->call && !x->asking && !x->over ? kt_call_waits_for(x->call) : NULL;
}
