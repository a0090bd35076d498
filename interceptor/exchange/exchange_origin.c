/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host that the program meant, with the program's own credentials: observe mode, no providers, and what
 * passes unseen. The answer goes through as it comes; only its very last byte (or the [DONE] of a stream)
 * waits until the event is written. A whole answer in which policies may change something is collected first.
 */
#include "interceptor/exchange/kt_exchange_private.h"

#include "policyengine/base/kt_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KT_X_ORIGIN_CONNECT_MS 30000

static void send_head_once(struct kt_exchange *x)
{
    if (!x->head_sent)
        kt_x_send_head(x, x->status, x->pass_stream ? -1 : x->pass_left);
}

static void flush(struct kt_exchange *x)
{
    struct kt_x_stream *s = &x->stream;
    send_head_once(x);
    kt_x_send(x, s->held.data, s->held.len);
    s->held_base += s->held.len;
    kt_buf_clear(&s->held);
}

static const char *word_for(int status)
{
    if (status == 429)
        return "rate_limit";
    return status >= 500 ? "server_error" : status >= 400 ? "client_error" : "ok";
}

/* False where the answer must not go on; the client has been told then. */
static bool record_or_stop(struct kt_exchange *x)
{
    if (kt_x_record(x))
        return true;
    kt_x_drop_call(x);
    if (!x->head_sent)
        kt_x_audit_refusal(x, x->ctx->audit_error);
    else if (x->pass_stream)
        kt_x_stream_unrecorded(x);
    else
        kt_x_abort(x, "audit_unavailable");
    return false;
}

/* ---- a stream ---- */

static void release(struct kt_exchange *x, uint64_t upto)
{
    struct kt_x_stream *s = &x->stream;
    if (x->over || upto <= s->held_base)
        return;
    size_t n = (size_t)(upto - s->held_base);
    send_head_once(x);
    kt_x_send(x, s->held.data, n);
    kt_buf_consume(&s->held, n);
    s->held_base = upto;
}

/* Observe mode: the policies see what went through. */
void kt_x_origin_watch_end(struct kt_exchange *x)
{
    if (x->filter.on && !x->filter.chain_ended)
        kt_x_filter_end(x);
    if (!x->filter.on || !x->res.run || x->filter.judged)
        return;
    x->filter.judged = true;
    struct kt_outcome o = kt_chain_run_outcome(x->res.run);
    kt_x_response_verdict(x);
    kt_x_phase_judge(x, &o, KT_PHASE_RESPONSE);
}

static bool on_event(void *arg, const struct kt_sse_event *e)
{
    struct kt_exchange *x = arg;
    if (kt_span_eq(e->data, "[DONE]")) {
        release(x, x->stream.event_start);
        kt_x_origin_watch_end(x);
        kt_x_attempt_end(x, "ok", NULL);
        return record_or_stop(x);
    }
    KT_CLEANUP(kt_json_free) struct kt_json j = {0};
    struct kt_x_chunk c = kt_x_chunk_read(e->data, &j, &x->usage, NULL);
    if (!c.valid)
        KT_TRACE(HTTP, "exchange %s: an event of the origin is not JSON", x->id);
    else
        kt_x_count_chunk(x, &j, c.error);
    if (c.valid && x->filter.on && c.aside)
        kt_x_filter_aside(x, e, &j);
    else if (c.valid && x->filter.on)
        kt_x_filter_chunk(x, e->data, &j, &c);
    x->stream.event_start = e->end;
    return true;
}

static void pass_events(struct kt_exchange *x, const char *data, size_t len)
{
    struct kt_x_stream *s = &x->stream;
    if (!x->first_byte_ns)
        x->first_byte_ns = kt_now_mono_ns();
    if (!s->broken && kt_is_ok(kt_buf_append(&s->held, data, len))) {
        if (kt_is_ok(kt_sse_feed(&s->sse, data, len)))
            release(x, kt_sse_boundary(&s->sse));
        else
            s->broken = "not an event stream"; /* it is not ours to mend: from here on bytes are bytes */
        if (s->broken && !x->over)
            flush(x);
        return;
    }
    s->broken = "not an event stream";
    flush(x);
    kt_x_send(x, data, len);
}

/* ---- anything else ---- */

static bool collects(struct kt_exchange *x)
{
    bool good = x->status >= 200 && x->status < 300;
    return good && !x->pass_stream && !kt_x_observe(x) && kt_x_response_wanted(x);
}

static void collect_bytes(struct kt_exchange *x, const char *data, size_t len)
{
    if (kt_is_ok(kt_buf_append(&x->answer, data, len)))
        return;
    kt_x_response_unreadable(x, "it is larger than limits.max_response_bytes");
    if (x->plan == KT_X_REFUSE) {
        kt_x_drop_call(x);
        kt_x_attempt_end(x, "too_large", "the answer is larger than limits.max_response_bytes");
        kt_x_reply_refusal(x);
        return;
    }
    x->mode = KT_X_PASS; /* from here on as it comes */
    x->too_large = true;
    send_head_once(x);
    kt_x_send(x, x->answer.data, x->answer.len);
    x->pass_left = -1;
    kt_x_send(x, data, len);
}

static void pass_bytes(struct kt_exchange *x, const char *data, size_t len)
{
    if (x->parsed && !x->too_large && !kt_is_ok(kt_buf_append(&x->answer, data, len)))
        x->too_large = true; /* only our copy for the usage */
    if (!len)
        return;
    send_head_once(x);
    if (x->pass_left < 0) {
        kt_x_send(x, data, len);
        return;
    }
    bool last = (uint64_t)len >= (uint64_t)x->pass_left;
    x->pass_left = last ? 0 : x->pass_left - (int64_t)len;
    size_t now = last && !x->stream.held.len ? len - 1 : len;
    if (last && !kt_is_ok(kt_buf_append(&x->stream.held, data + now, len - now)))
        now = len;
    kt_x_send(x, data, now);
}

/* ---- libcurl's slots ---- */

static int64_t body_length(const struct kt_exchange *x, const struct kt_call_head *head)
{
    if (kt_span_eq(x->request.method, "HEAD") || head->status == 204 || head->status == 304)
        return 0;
    const char *length = kt_call_head_get(head, "content-length");
    if (!length || kt_call_head_get(head, "content-encoding") || kt_call_head_get(head, "transfer-encoding"))
        return -1;
    char *end = NULL;
    long long n = strtoll(length, &end, 10);
    return *length >= '0' && *length <= '9' && *end == '\0' && n >= 0 ? n : -1;
}

void kt_x_origin_head(struct kt_exchange *x, const struct kt_call_head *head)
{
    kt_x_enter(x);
    kt_x_attempt_now(x)->status = x->status = head->status;
    kt_x_fields_keep(&x->fields, head, kt_x_wanted_of_origin);
    const char *type = kt_call_head_get(head, "content-type");
    x->pass_stream = kt_x_is_event_stream(x, type);
    x->pass_left = body_length(x, head);
    x->mode = collects(x) ? KT_X_BUFFER : KT_X_PASS;
    x->answer.max =
        x->mode == KT_X_BUFFER ? (size_t)x->rt->config->limits.max_response_bytes : KT_X_MAX_OBSERVED;
    bool wanted = x->pass_stream && x->status == 200 && kt_x_response_wanted(x);
    if (wanted && !kt_x_observe(x)) {
        kt_x_stream_begin(x); /* as a target's: its texts are written anew */
    } else if (x->pass_stream) {
        kt_sse_init(&x->stream.sse, on_event, x);
        x->stream.open = true;
        if (wanted)
            kt_x_filter_begin(x);
    }
    kt_x_leave(x);
}

static void on_head(void *arg, const struct kt_call_head *head)
{
    kt_x_origin_head(arg, head);
}

void kt_x_origin_data(struct kt_exchange *x, const char *data, size_t len)
{
    kt_x_enter(x);
    if (x->mode == KT_X_STREAM)
        kt_x_stream_data(x, data, len);
    else if (x->pass_stream)
        pass_events(x, data, len);
    else if (x->mode == KT_X_BUFFER)
        collect_bytes(x, data, len);
    else
        pass_bytes(x, data, len);
    kt_x_leave(x);
}

static void on_data(void *arg, const char *data, size_t len)
{
    kt_x_origin_data(arg, data, len);
}

static void origin_failed(struct kt_exchange *x, enum kt_call_outcome outcome, const char *detail)
{
    char message[512];
    kt_x_attempt_end(x, outcome == KT_CALL_TIMEOUT ? "timeout" : "connection_error", detail);
    if (x->head_sent) {
        x->error = "stream_interrupted";
        x->stream.interruption = outcome == KT_CALL_TIMEOUT ? "timeout" : "cut";
        flush(x);
        kt_x_abort(x, NULL);
        return;
    }
    x->error = "origin_unreachable";
    snprintf(message, sizeof message, "ktwrap: %.253s could not be reached (%s%s%.200s)", x->host,
             kt_call_outcome_name(outcome), *detail ? ": " : "", detail);
    kt_x_reply_error(x, 502, "upstream_error", x->error, message);
}

void kt_x_origin_finish(struct kt_exchange *x)
{
    if (record_or_stop(x)) {
        flush(x);
        kt_x_end(x);
    }
}

/* The answer is whole, and went through already unless it was collected. */
void kt_x_origin_answered(struct kt_exchange *x)
{
    kt_x_attempt_end(x, word_for(x->status), NULL);
    kt_x_origin_watch_end(x);
    bool copied = x->parsed && !x->pass_stream && !x->too_large && x->answer.len;
    if (x->too_large && kt_x_observe(x) && kt_x_response_wanted(x))
        kt_x_response_unreadable(x, "it is larger than what is kept of an answer that went through");
    if (copied)
        kt_usage_read(x->answer.data, x->answer.len, &x->usage);
    bool checks = copied && kt_x_observe(x) && x->status >= 200 && x->status < 300 && kt_x_response_wanted(x);
    if (x->mode == KT_X_BUFFER || checks)
        kt_x_respond(x, NULL);
    else
        kt_x_origin_finish(x);
}

static void on_done(void *arg, enum kt_call_outcome outcome, const char *detail)
{
    struct kt_exchange *x = arg;
    kt_x_enter(x);
    if (outcome != KT_CALL_OK)
        kt_x_note_library(x);
    x->call = NULL;
    if (x->mode == KT_X_STREAM) {
        kt_x_stream_done(x, outcome, detail);
    } else if (outcome != KT_CALL_OK) {
        origin_failed(x, outcome, detail);
    } else {
        kt_x_origin_answered(x);
    }
    kt_x_leave(x);
}

/* ---- start ---- */

static kt_result body_of(struct kt_exchange *x, struct kt_span *out)
{
    *out = kt_buf_span(&x->request.body);
    if (!x->req.edits.count)
        return kt_ok();
    KT_GUARD(kt_edits_apply(&x->req.edits, out->data, out->len, &x->out_body));
    *out = kt_buf_span(&x->out_body);
    return kt_ok();
}

static kt_result launch(struct kt_exchange *x)
{
    KT_CLEANUP(kt_x_outgoing_free) struct kt_x_outgoing out;
    kt_x_outgoing_init(&out);
    KT_GUARD(kt_x_outgoing_origin(&out, x));
    char method[32];
    KT_ENSURE(x->request.method.len < sizeof method, KT_ERR_USAGE);
    memcpy(method, x->request.method.data, x->request.method.len);
    method[x->request.method.len] = '\0';
    struct kt_call_request q = {.method = method, .connect_ms = KT_X_ORIGIN_CONNECT_MS};
    KT_GUARD(body_of(x, &q.body));
    q.stream = x->chat.stream;
    q.total_ms = kt_x_time_left_ms(x, 0);
    KT_ENSURE(q.total_ms >= 0, KT_ERR_LIMIT);
    kt_x_outgoing_fill(&out, &q);
    struct kt_call_handler h = {on_head, on_data, on_done, x};
    return kt_upstream_call(x->ctx->upstream, &q, &h, &x->call);
}

void kt_x_to_origin(struct kt_exchange *x)
{
    x->pass_left = -1;
    x->tries = 1;
    if (!kt_x_attempt_begin(x, NULL, x->parsed ? x->chat.model : NULL))
        return;
    kt_result r = launch(x);
    if (!kt_is_ok(r))
        origin_failed(x, KT_CALL_ABORTED, kt_code_name(r.code));
}
