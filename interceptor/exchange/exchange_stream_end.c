/* SPDX-License-Identifier: Apache-2.0 */
/* How a stream ends: whole, by a failure that the provider tells of, or as one that we must tell of. */
#include "interceptor/exchange/kt_exchange_private.h"

#include <stdio.h>
#include <string.h>

void kt_x_break_off(struct kt_x_stream *s, const char *word, const char *why)
{
    s->broken_by = word;
    s->broken = why;
}

bool kt_x_is_event_stream(const struct kt_exchange *x, const char *type)
{
    return type ? strncasecmp(type, "text/event-stream", 17) == 0 : x->chat.stream && x->status == 200;
}

bool kt_x_is_done(struct kt_span data)
{
    while (data.len && data.data[data.len - 1] == ' ')
        data.len--;
    return kt_span_eq(data, "[DONE]");
}

void kt_x_note_chunk(struct kt_x_stream *s, const struct kt_x_chunk *c)
{
    s->error_seen |= c->error;
    s->begun |= c->begun;
    s->finished = (s->finished & ~c->says) | c->finished; /* what goes on has not ended */
    s->usage_chunk_seen |= c->usage_only;
}

/* Each choice that began must have said that it ends: else the answer is half of one, whatever else says that
 * it is whole. */
bool kt_x_is_whole(const struct kt_x_stream *s)
{
    return !s->error_seen && s->finished && !(s->begun & ~s->finished);
}

/* In front of any content it is as good as a status: retries and the next target follow it. */
static void refused_by_event(struct kt_exchange *x, struct kt_span json, const struct kt_json *j)
{
    struct kt_x_attempt *a = kt_x_attempt_now(x);
    kt_x_break_off(&x->stream, "provider_error",
                   x->stream.committed ? "an error event" : "an error event instead of an answer");
    if (!a->target || !kt_is_ok(kt_buf_append(&x->answer, json.data, json.len)))
        return;
    kt_x_scrub(x, x->answer.data, x->answer.len);
    kt_x_note_said(x, kt_buf_span(&x->answer));
    if (x->stream.committed)
        return;
    a->status = x->status = x->stream.error_status = kt_x_error_status(j);
}

/* True where the event ends the stream. */
bool kt_x_is_failure(struct kt_exchange *x, const struct kt_sse_event *e, const struct kt_json *j,
                     const struct kt_x_chunk *c)
{
    struct kt_x_stream *s = &x->stream;
    bool foreign = c->foreign_error || (kt_span_eq(e->name, "error") && !c->error);
    if (!c->valid)
        kt_x_break_off(s, "bad_chunk", "a chunk that is not JSON");
    else if (foreign || (c->error && !s->committed))
        refused_by_event(x, e->data, j);
    else if (c->failed && !c->error && kt_x_attempt_now(x)->target)
        kt_x_break_off(s, "provider_error", "the provider ended it with the finish_reason error");
    return s->broken != NULL;
}

const char *kt_x_interruption(const struct kt_x_stream *s, const char *outcome)
{
    if (s->broken_by)
        return s->broken_by;
    if (strcmp(outcome, "connection_error") == 0)
        return "cut";
    return strcmp(outcome, "timeout") == 0 ? "timeout" : s->error_seen ? "provider_error" : "incomplete";
}

/* A healthy stream that was cut by its total time: the setting is the user's to raise. */
static bool took_all_its_time(const struct kt_x_attempt *a, const char *outcome)
{
    uint64_t most = a && a->target ? (uint64_t)a->target->stream_timeout_seconds * 1000000000u : UINT64_MAX;
    return strcmp(outcome, "timeout") == 0 && a->target && kt_now_mono_ns() - a->start_ns + 50000000u >= most;
}

static void send_error(struct kt_exchange *x, const char *message, const char *type, const char *code)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf event = KT_BUF_INIT(8192);
    kt_result r = kt_buf_puts(&event, "data: ");
    if (kt_is_ok(r))
        r = kt_openai_error(&event, message, type, code, NULL);
    if (kt_is_ok(r) && kt_is_ok(kt_buf_puts(&event, "\n\n")))
        kt_x_send(x, event.data, event.len);
}

void kt_x_send_interruption(struct kt_exchange *x, const char *outcome)
{
    const struct kt_x_attempt *a = kt_x_attempt_now(x);
    char message[704], hint[448] = "";
    if (a && a->target && *a->detail) /* our words and the provider's, without the key */
        snprintf(hint, sizeof hint, a->said ? ": %s: \"%s\"" : ": %s", a->detail, a->said);
    if (took_all_its_time(a, outcome))
        snprintf(hint, sizeof hint, ": stream_timeout_seconds is %lld",
                 (long long)a->target->stream_timeout_seconds);
    snprintf(message, sizeof message, "ktwrap: the answer of target %.100s was interrupted (%s%s)",
             a && a->target && a->target->id ? a->target->id : "?", outcome, hint);
    send_error(x, message, "upstream_error", "stream_interrupted");
}

kt_result kt_x_put_refusal(struct kt_exchange *x, unsigned choice, struct kt_buf *out)
{
    KT_GUARD(kt_x_put_stops(x, choice, out));
    KT_GUARD(kt_buf_puts(out, "data: "));
    KT_GUARD(kt_buf_append(out, kt_buf_span(&x->refuse_body).data, x->refuse_body.len));
    return kt_buf_puts(out, "\n\ndata: [DONE]\n\n");
}

void kt_x_send_usage_chunk(struct kt_exchange *x)
{
    if (x->chat.include_usage && !x->stream.usage_chunk_seen)
        kt_x_send(x, x->stream.usage_chunk.data, x->stream.usage_chunk.len);
}

void kt_x_stream_unrecorded(struct kt_exchange *x)
{
    if (x->over)
        return;
    kt_x_drop_call(x);
    x->error = "audit_unavailable";
    send_error(x, "ktwrap: the audit log cannot be written, and fail_mode is block", "configuration_error",
               "audit_unavailable");
    kt_x_end(x);
}

const char *kt_x_broken_outcome(const struct kt_x_stream *s)
{
    bool told = s->error_seen || (s->broken_by && strcmp(s->broken_by, "provider_error") == 0);
    return told ? "server_error" : "bad_body";
}

const char *kt_x_broken_why(const struct kt_x_stream *s)
{
    if (s->broken)
        return s->broken;
    return s->error_seen ? "an error event in the answer" : "it ended without a finish_reason";
}
