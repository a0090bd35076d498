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

#define KT_X_UNCOMMITTED_MAX (256u << 10)

static void commit(struct kt_exchange *x)
{
    if (x->stream.committed)
        return;
    x->stream.committed = true;
    x->first_byte_ns = kt_now_mono_ns();
    kt_x_add_route_fields(x);
    kt_x_send_head(x, x->status, -1);
}

static void release(struct kt_exchange *x, uint64_t upto)
{
    struct kt_x_stream *s = &x->stream;
    if (!s->committed || x->over || upto <= s->held_base)
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
    if (kt_x_record(x))
        return true;
    if (x->head_sent)
        kt_x_abort(x, "audit_unavailable");
    else
        kt_x_audit_refusal(x);
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
    if (x->chat.include_usage && !s->usage_chunk_seen)
        kt_x_send(x, s->usage_chunk.data, s->usage_chunk.len);
    release(x, end);
    if (x->call)
        kt_call_release(x->call);
    x->call = NULL;
    kt_x_end(x);
}

static bool on_event(void *arg, const struct kt_sse_event *e)
{
    struct kt_exchange *x = arg;
    struct kt_x_stream *s = &x->stream;
    if (kt_span_eq(e->data, "[DONE]") && s->chunks) {
        finish(x, e->end);
        return false;
    }
    struct kt_x_chunk c = kt_x_chunk_read(e->data, &x->usage, x->chat.include_usage ? &s->usage_chunk : NULL);
    if (!c.valid || (c.error && !s->committed)) {
        s->broken = c.valid ? "an error instead of an answer" : "a chunk that is not JSON";
        return false;
    }
    s->chunks++;
    s->error_seen |= c.error;
    s->finished |= c.finished;
    s->usage_chunk_seen |= c.usage_only;
    s->event_start = e->end;
    if (c.content)
        commit(x);
    return !x->over;
}

void kt_x_stream_begin(struct kt_exchange *x)
{
    x->mode = KT_X_STREAM;
    kt_sse_init(&x->stream.sse, on_event, x);
    x->stream.open = true;
}

void kt_x_stream_free(struct kt_x_stream *s)
{
    if (s->open)
        kt_sse_free(&s->sse);
    kt_buf_free(&s->held);
    kt_buf_free(&s->usage_chunk);
    struct kt_buf held = s->held, usage_chunk = s->usage_chunk;
    *s = (struct kt_x_stream){.held = held, .usage_chunk = usage_chunk};
}

static void send_error_event(struct kt_exchange *x, const char *outcome)
{
    const struct kt_x_attempt *a = kt_x_attempt_now(x);
    char message[256];
    snprintf(message, sizeof message, "ktwrap: the answer of target %.100s was interrupted (%s)",
             a && a->target && a->target->id ? a->target->id : "?", outcome);
    KT_CLEANUP(kt_buf_free) struct kt_buf event = KT_BUF_INIT(8192);
    kt_result r = kt_buf_puts(&event, "data: ");
    if (kt_is_ok(r))
        r = kt_openai_error(&event, message, "upstream_error", "stream_interrupted", NULL);
    if (kt_is_ok(r) && kt_is_ok(kt_buf_puts(&event, "\n\n")))
        kt_x_send(x, event.data, event.len);
}

static void interrupted(struct kt_exchange *x, const char *outcome, const char *detail)
{
    kt_x_attempt_end(x, outcome, detail);
    x->error = "stream_interrupted";
    if (!kt_x_record(x)) {
        kt_x_abort(x, NULL);
        return;
    }
    release(x, x->stream.event_start);
    /* A provider that told of its failure itself has said enough. */
    if (!x->stream.error_seen)
        send_error_event(x, outcome);
    kt_x_end(x);
}

static void fail(struct kt_exchange *x, const char *outcome, const char *detail)
{
    kt_x_drop_call(x);
    if (x->stream.committed)
        interrupted(x, outcome, detail);
    else
        kt_x_attempt_failed(x, outcome, detail);
}

static void feed(struct kt_exchange *x, const char *data, size_t len)
{
    struct kt_x_stream *s = &x->stream;
    bool kept = kt_is_ok(kt_buf_append(&s->held, data, len));
    bool read = kept && kt_is_ok(kt_sse_feed(&s->sse, data, len));
    if (!read && !s->done && !s->broken)
        s->broken = "an event that is too large";
}

void kt_x_stream_data(struct kt_exchange *x, const char *data, size_t len)
{
    struct kt_x_stream *s = &x->stream;
    feed(x, data, len);
    if (x->over || s->done)
        return;
    if (s->broken) {
        fail(x, "bad_body", s->broken);
        return;
    }
    if (!s->committed && s->held.len > KT_X_UNCOMMITTED_MAX)
        commit(x);
    release(x, kt_sse_boundary(&s->sse));
}

static const char *outcome_word(enum kt_call_outcome o)
{
    return o == KT_CALL_TIMEOUT ? "timeout" : "connection_error";
}

void kt_x_stream_done(struct kt_exchange *x, enum kt_call_outcome outcome, const char *detail)
{
    struct kt_x_stream *s = &x->stream;
    if (outcome != KT_CALL_OK) {
        fail(x, outcome_word(outcome), detail);
        return;
    }
    if (kt_sse_boundary(&s->sse) < s->sse.offset) { /* some servers leave out the last blank line */
        feed(x, "\n\n", 2);
        if (x->over)
            return;
    }
    if (s->broken || !s->finished) {
        fail(x, s->error_seen ? "server_error" : "bad_body",
             s->broken ? s->broken : "it ended without a finish_reason");
        return;
    }
    if (!record_success(x))
        return;
    release(x, s->held_base + s->held.len);
    kt_x_end(x);
}
