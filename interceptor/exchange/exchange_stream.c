/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A target's event stream on its way to the client: unchanged bytes, whole events, as they arrive. Whole
 * events, because a cut in the middle of one must become an error event and not a torn line; nothing before
 * the first content, because until then another target can still answer.
 */
#include "interceptor/exchange/kt_exchange_private.h"

#include "policyengine/base/kt_log.h"

#include <stdio.h>
#include <string.h>

static void commit(struct kt_exchange *x)
{
    if (x->stream.committed)
        return;
    x->stream.committed = true;
    if (!x->first_byte_ns)
        x->first_byte_ns = kt_now_mono_ns();
    kt_x_keepalive_stream(x);
    if (x->head_sent)
        return;
    if (kt_x_attempt_now(x)->target)
        kt_x_add_route_fields(x);
    kt_x_send_head(x, x->status, -1);
}

/* The filter writes the chunks anew: the bytes as they came are not kept. */
static bool rewrites(const struct kt_exchange *x)
{
    return x->filter.on;
}

static void release(struct kt_exchange *x, uint64_t upto)
{
    struct kt_x_stream *s = &x->stream;
    if (!s->committed || x->over || rewrites(x) || upto <= s->held_base)
        return;
    size_t n = (size_t)(upto - s->held_base);
    kt_x_send(x, s->held.data, n);
    kt_buf_consume(&s->held, n);
    s->held_base = upto;
}

/* The event is written before the client can know that the stream is over. */
static bool record_success(struct kt_exchange *x)
{
    kt_x_attempt_end(x, "ok", NULL);
    if (!x->first_byte_ns) /* all of it came at once */
        x->first_byte_ns = kt_now_mono_ns();
    if (kt_x_record(x))
        return true;
    if (x->head_sent)
        kt_x_stream_unrecorded(x);
    else
        kt_x_audit_refusal(x, x->ctx->audit_error);
    return false;
}

static void finish(struct kt_exchange *x, uint64_t end)
{
    struct kt_x_stream *s = &x->stream;
    s->done = true;
    if (!record_success(x))
        return;
    commit(x);
    release(x, s->event_start);
    kt_x_send_usage_chunk(x);
    release(x, end);
    if (x->call)
        kt_call_release(x->call);
    x->call = NULL;
    kt_x_end(x);
}

/* ---- through the response phase ---- */

void kt_x_stream_filtered(struct kt_exchange *x, bool content)
{
    struct kt_buf *out = &x->filter.out;
    content |= x->filter.content_waits;
    x->filter.content_waits = content && x->filter.name_open;
    if (x->filter.name_open)
        return;
    if (content || out->len > KT_X_UNCOMMITTED_MAX)
        commit(x);
    if (!x->stream.committed || x->over)
        return;
    kt_x_send(x, out->data, out->len);
    kt_x_count_sent(x);
    kt_x_choices_sent(&x->filter);
    kt_buf_clear(out);
}

void kt_x_stream_filter_done(struct kt_exchange *x)
{
    if (kt_x_observe(x))
        return; /* it went through as it came */
    kt_x_response_verdict(x);
    struct kt_outcome o = x->res.run ? kt_chain_run_outcome(x->res.run) : (struct kt_outcome){.failed = NULL};
    if (o.internal_error)
        kt_x_policy_failed(x, o.failed, KT_FAILED_BY_MODE); /* under fail_mode: allow, or we were not here */
    if (!record_success(x))
        return;
    kt_x_stream_filtered(x, true);
    kt_x_send_usage_chunk(x);
    kt_x_send(x, "data: [DONE]\n\n", 14); /* clients wait for it, whether or not the target sent it */
    if (x->call)
        kt_call_release(x->call);
    x->call = NULL;
    kt_x_end(x);
}

void kt_x_stream_refused(struct kt_exchange *x, unsigned choice)
{
    x->filter.dead = true;
    kt_x_drop_call(x);
    kt_x_attempt_end(x, "ok", "stopped by a policy");
    if (!x->stream.committed && !x->early) {
        kt_x_reply_refusal(x);
        return;
    }
    x->stream.interruption = "policy";
    KT_CLEANUP(kt_buf_free) struct kt_buf out = KT_BUF_INIT(KT_X_MAX_ERROR_BODY + KT_X_MAX_STOPS);
    if (!kt_x_record(x) || !kt_is_ok(kt_x_put_refusal(x, choice, &out))) {
        kt_x_stream_unrecorded(x);
        return;
    }
    kt_x_send(x, out.data, out.len);
    kt_x_end(x);
}

static void fail(struct kt_exchange *x, const char *outcome, const char *detail);

void kt_x_stream_broken(struct kt_exchange *x, const char *word, const char *why)
{
    kt_x_break_off(&x->stream, word, why);
    if (!x->stream.feeding && x->mode == KT_X_STREAM)
        fail(x, "bad_body", why);
}

/* ---- events ---- */

/* The bytes of an error event that wait for their release. */
static void scrub_held(struct kt_exchange *x, uint64_t end)
{
    struct kt_x_stream *s = &x->stream;
    uint64_t from = s->event_start > s->held_base ? s->event_start - s->held_base : 0;
    uint64_t upto = end - s->held_base;
    if (upto > from && upto <= s->held.len)
        kt_x_scrub(x, s->held.data + from, (size_t)(upto - from));
}

static void on_done(struct kt_exchange *x, uint64_t end)
{
    struct kt_x_stream *s = &x->stream;
    bool usage_alone = !s->begun && s->usage_chunk_seen && !s->error_seen;
    if (!kt_x_is_whole(s) && !usage_alone) {
        kt_x_break_off(s, s->error_seen ? "provider_error" : "incomplete", kt_x_broken_why(s));
        return;
    }
    if (!rewrites(x)) {
        finish(x, end);
        return;
    }
    s->done = true;
    kt_x_filter_end(x);
}

static void drop_held(struct kt_x_stream *s, uint64_t end)
{
    kt_buf_consume(&s->held, (size_t)(end - s->held_base));
    s->held_base = end;
}

/* Instead of the bytes as they came. */
static void send_mended(struct kt_exchange *x, uint64_t end)
{
    struct kt_x_stream *s = &x->stream;
    KT_CLEANUP(kt_buf_free) struct kt_buf event = KT_BUF_INIT(KT_X_HELD_MAX + 16u);
    commit(x);
    release(x, s->event_start);
    if (!kt_is_ok(kt_x_put_event(&event, kt_buf_span(&s->mended)))) {
        kt_x_break_off(s, "too_large", "an event that is too large");
        return;
    }
    kt_x_send(x, event.data, event.len);
    drop_held(s, end);
}

/* A chunk that the client did not ask for; what came before it goes. */
static void swallow(struct kt_exchange *x, uint64_t end)
{
    struct kt_x_stream *s = &x->stream;
    if (!rewrites(x)) {
        commit(x);
        release(x, s->event_start);
        drop_held(s, end);
        s->counts.sent.chunks--;
    }
    s->event_start = end;
}

static bool on_event(void *arg, const struct kt_sse_event *e)
{
    struct kt_exchange *x = arg;
    struct kt_x_stream *s = &x->stream;
    if (kt_x_is_done(e->data) && s->counts.read) {
        on_done(x, e->end);
        return false;
    }
    if (!e->data.len && !kt_span_eq(e->name, "error")) { /* a comment; SDKs would stumble over it */
        s->event_start = e->end;
        return true;
    }
    KT_CLEANUP(kt_json_free) struct kt_json j = {0};
    struct kt_x_chunk c =
        kt_x_chunk_read(e->data, &j, &x->usage, x->endpoint, x->chat.include_usage ? &s->usage_chunk : NULL);
    if (kt_x_is_failure(x, e, &j, &c))
        return false;
    if (c.aside && (rewrites(x) || kt_span_eq(e->name, "ping"))) {
        s->event_start = e->end;
        if (rewrites(x))
            kt_x_filter_aside(x, e, &j);
        return !x->over && !s->broken;
    }
    struct kt_span data = e->data;
    bool mends = rewrites(x) || !kt_x_answer_is_native(x);
    if (mends && !kt_is_ok(kt_x_mend_calls(s, &data, &j))) {
        kt_x_break_off(s, "bad_chunk", "a chunk whose tool calls could not be written");
        return false;
    }
    kt_x_count_chunk(x, &j, c.error);
    kt_x_note_chunk(s, &c);
    if (c.usage_only && s->asked_usage) {
        swallow(x, e->end);
        return !x->over;
    }
    bool mended = data.data != e->data.data;
    if (c.error && !rewrites(x))
        scrub_held(x, e->end);
    else if (mended && !rewrites(x))
        send_mended(x, e->end);
    s->event_start = e->end;
    if (rewrites(x)) {
        kt_x_filter_chunk(x, data, &j, &c);
        return !x->over && !s->broken;
    }
    if (c.content)
        commit(x);
    return !x->over && !s->broken;
}

static bool needs_rewriting(struct kt_exchange *x)
{
    return kt_x_response_wanted(x) || (x->parsed && kt_x_answer_translated(x));
}

void kt_x_stream_begin(struct kt_exchange *x)
{
    x->mode = KT_X_STREAM;
    kt_sse_init(&x->stream.sse, on_event, x);
    x->stream.open = true;
    const struct kt_target *t = kt_x_attempt_now(x)->target;
    x->stream.asked_usage = t && kt_chat_adds_usage(&x->chat, t);
    if (needs_rewriting(x))
        kt_x_filter_begin(x);
}

void kt_x_stream_free(struct kt_x_stream *s)
{
    if (s->open)
        kt_sse_free(&s->sse);
    kt_buf_free(&s->held);
    kt_buf_free(&s->usage_chunk);
    kt_buf_free(&s->mended);
    struct kt_buf held = s->held, usage_chunk = s->usage_chunk;
    *s = (struct kt_x_stream){.held = held, .usage_chunk = usage_chunk};
}

static void interrupted(struct kt_exchange *x, const char *outcome, const char *detail)
{
    x->stream.interruption = kt_x_interruption(&x->stream, outcome);
    kt_x_attempt_end(x, outcome, detail);
    kt_x_response_verdict(x);
    x->error = "stream_interrupted";
    if (!kt_x_record(x)) {
        kt_x_stream_unrecorded(x);
        return;
    }
    release(x, x->stream.event_start);
    /* A provider that told of its failure itself has said enough. */
    if (!x->stream.error_seen)
        kt_x_send_interruption(x, outcome);
    kt_x_end(x);
}

/* Nobody else can answer in the origin's place. */
static void origin_failed(struct kt_exchange *x, const char *outcome, const char *detail)
{
    kt_x_attempt_end(x, outcome, detail);
    kt_x_all_failed(x);
}

static void fail(struct kt_exchange *x, const char *outcome, const char *detail)
{
    kt_x_drop_call(x);
    if (x->stream.committed)
        interrupted(x, outcome, detail);
    else if (x->stream.error_status)
        kt_x_failed(x, kt_failure_of_status(x->stream.error_status, kt_buf_span(&x->answer)), detail);
    else if (kt_x_attempt_now(x)->target)
        kt_x_attempt_failed(x, outcome, detail);
    else
        origin_failed(x, outcome, detail);
}

static void feed(struct kt_exchange *x, const char *data, size_t len)
{
    struct kt_x_stream *s = &x->stream;
    bool kept = rewrites(x) || kt_is_ok(kt_buf_append(&s->held, data, len));
    s->feeding = true;
    bool read = kept && kt_is_ok(kt_sse_feed(&s->sse, data, len));
    s->feeding = false;
    if (!read && !s->done && !s->broken && !x->over)
        kt_x_break_off(s, "too_large", "an event that is too large");
}

void kt_x_stream_data(struct kt_exchange *x, const char *data, size_t len)
{
    struct kt_x_stream *s = &x->stream;
    feed(x, data, len);
    if (x->over || (s->done && !s->broken))
        return;
    if (s->broken) {
        fail(x, kt_x_broken_outcome(s), s->broken);
        return;
    }
    if (!rewrites(x) && !s->committed && s->held.len > KT_X_UNCOMMITTED_MAX)
        commit(x);
    release(x, kt_sse_boundary(&s->sse));
    if (x->sink.push && !x->over) /* what libcurl does behind us takes as long as our part */
        x->sink.push(x->sink.flow);
}

static const char *outcome_word(enum kt_call_outcome o)
{
    return o == KT_CALL_TIMEOUT ? "timeout" : "connection_error";
}

/* What came before is not dealt with yet. */
static bool comes_later(struct kt_exchange *x, enum kt_call_outcome outcome, const char *detail)
{
    if (!x->asking)
        return false;
    x->filter.upstream_done = true;
    x->filter.upstream_outcome = outcome;
    snprintf(x->filter.upstream_detail, sizeof x->filter.upstream_detail, "%s", detail ? detail : "");
    return true;
}

void kt_x_stream_done(struct kt_exchange *x, enum kt_call_outcome outcome, const char *detail)
{
    struct kt_x_stream *s = &x->stream;
    if (comes_later(x, outcome, detail))
        return;
    if (rewrites(x))
        kt_x_filter_nothing_follows(x);
    if (x->over || comes_later(x, outcome, detail))
        return;
    if (outcome != KT_CALL_OK && !s->done) {
        fail(x, outcome_word(outcome), detail);
        return;
    }
    if (kt_sse_boundary(&s->sse) < s->sse.offset) { /* some servers leave out the last blank line */
        feed(x, "\n\n", 2);
        if (x->over)
            return;
    }
    if (s->broken || (!s->done && !kt_x_is_whole(s))) {
        fail(x, kt_x_broken_outcome(s), kt_x_broken_why(s));
        return;
    }
    if (rewrites(x)) {
        if (!s->done)
            kt_x_filter_end(x);
        return;
    }
    if (!record_success(x))
        return;
    release(x, s->held_base + s->held.len);
    if (!kt_x_observe(x)) { /* every choice is finished, only the last words are missing */
        kt_x_send_usage_chunk(x);
        kt_x_send(x, "data: [DONE]\n\n", 14);
    }
    kt_x_end(x);
}
