/* SPDX-License-Identifier: Apache-2.0 */
/* What the client gets: whole answers, and the ways to end any answer. */
#include "interceptor/exchange/kt_exchange_private.h"

#include "policyengine/base/kt_log.h"

#include <stdio.h>
#include <string.h>

/* ---- primitives ---- */

void kt_x_send_head(struct kt_exchange *x, int status, int64_t length)
{
    struct kt_header view[KT_X_MAX_FIELDS];
    x->status = status;
    x->head_sent = true;
    size_t n = kt_x_fields_view(&x->fields, view);
    x->sink.head(x->sink.flow, status, view, n, length);
    if (x->mode == KT_X_STREAM) /* it may last */
        kt_x_fields_free(&x->fields);
}

void kt_x_send(struct kt_exchange *x, const char *data, size_t len)
{
    if (x->over || !len)
        return;
    if (x->keepalive.due_ns)
        x->sent_ns = kt_now_mono_ns();
    x->sink.body(x->sink.flow, data, len);
    if (!x->over && x->call && x->sink.backlog(x->sink.flow) > KT_X_BACKLOG_HIGH)
        kt_call_pause(x->call);
}

void kt_x_end(struct kt_exchange *x)
{
    if (x->over)
        return;
    x->over = true;
    x->sink.end(x->sink.flow);
}

void kt_x_abort(struct kt_exchange *x, const char *error)
{
    if (x->over)
        return;
    kt_x_drop_call(x);
    if (!x->error)
        x->error = error;
    if (!kt_x_record(x))
        KT_TRACE(AUDIT, "exchange %s: event lost", x->id);
    x->over = true;
    x->sink.abort(x->sink.flow);
}

/* ---- answers of our own ---- */

static void set_own_fields(struct kt_exchange *x, bool no_retry)
{
    kt_x_fields_clear(&x->fields);
    kt_x_fields_add(&x->fields, "content-type", "application/json");
    if (no_retry)
        kt_x_fields_add(&x->fields, "x-should-retry", "false");
}

/* The head of a stream is out already: an error is an event then, on one line. */
static void give_event(struct kt_exchange *x, struct kt_span body)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf event = KT_BUF_INIT(KT_X_MAX_RESPONSE + 16u);
    bool put = kt_is_ok(kt_buf_puts(&event, "data: ")) &&
               kt_is_ok(kt_buf_append(&event, body.data ? body.data : "", body.len));
    for (size_t i = 0; i < event.len; i++)
        if (event.data[i] == '\n' || event.data[i] == '\r') /* between tokens: in strings they are escaped */
            event.data[i] = ' ';
    if (put && kt_is_ok(kt_buf_puts(&event, "\n\n")))
        kt_x_send(x, event.data, event.len);
}

static void give(struct kt_exchange *x, int status, struct kt_span body)
{
    if (x->early) {
        give_event(x, body);
    } else {
        kt_x_send_head(x, status, (int64_t)body.len);
        kt_x_send(x, body.data, body.len);
    }
    kt_x_end(x);
}

/* The audit log may not be lost: nothing is sent, or what was to be answered is withheld. */
void kt_x_audit_refusal(struct kt_exchange *x, const char *why)
{
    why = why && *why ? why : "the event could not be written";
    kt_warn("an LLM call was refused: no audit log: %s", why);
    if (!x->recorded) {
        kt_mark_clear(&x->mark);
        kt_state_event_lost(x->ctx->state);
        x->recorded = true;
        x->record_ok = false;
    }
    x->error = "audit_unavailable";
    kt_x_refuse(x, 503, "configuration_error", "audit_unavailable",
                "ktwrap: the audit log cannot be written, and fail_mode is block: %s", why);
    set_own_fields(x, true);
    give(x, 503, kt_buf_span(&x->refuse_body));
}

static void set_result(struct kt_exchange *x, int status)
{
    x->status = x->early ? 200 : status;
    if (x->early)
        x->stream.interruption = "no_answer";
}

void kt_x_reply_recorded(struct kt_exchange *x, int status, struct kt_span body)
{
    if (!x->record_ok && x->plan != KT_X_REFUSE)
        kt_x_audit_refusal(x, x->ctx->audit_error);
    else
        give(x, status, body);
}

void kt_x_reply(struct kt_exchange *x, int status, struct kt_span body)
{
    set_result(x, status);
    (void)!kt_x_record(x); /* x->record_ok */
    kt_x_reply_recorded(x, status, body);
}

void kt_x_reply_kept(struct kt_exchange *x, int status, struct kt_span body)
{
    set_result(x, status);
    if (!kt_x_commit_later(x, status, body))
        kt_x_reply(x, status, body);
}

void kt_x_reply_refusal(struct kt_exchange *x)
{
    set_own_fields(x, x->refuse_status >= 400);
    kt_x_reply_kept(x, x->refuse_status, kt_buf_span(&x->refuse_body));
}

void kt_x_add_retry_after(struct kt_exchange *x, int64_t ms)
{
    char seconds[24];
    snprintf(seconds, sizeof seconds, "%lld", (long long)((ms + 999) / 1000));
    kt_x_fields_add(&x->fields, "retry-after", seconds);
}

void kt_x_reply_error(struct kt_exchange *x, int status, const char *type, const char *code,
                      const char *message)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf body = KT_BUF_INIT(256u << 10);
    if (!kt_is_ok(kt_openai_error(&body, message, type, code, NULL)))
        KT_TRACE(FLOW, "exchange %s: no memory for an error body", x->id);
    set_own_fields(x, false);
    kt_x_add_route_fields(x);
    if (x->retry_after_ms >= 0)
        kt_x_add_retry_after(x, x->retry_after_ms);
    kt_x_reply(x, status, kt_buf_span(&body));
}

/* ---- a target's answer ---- */

void kt_x_add_route_fields(struct kt_exchange *x)
{
    char number[24];
    const struct kt_x_attempt *a = kt_x_attempt_now(x);
    if (x->rt->config && !x->rt->config->response_headers)
        return;
    snprintf(number, sizeof number, "%zu", x->tries);
    kt_x_fields_add(&x->fields, "x-kt-request-id", x->id);
    if (a && a->target && a->target->id)
        kt_x_fields_add(&x->fields, "x-kt-target", a->target->id);
    kt_x_fields_add(&x->fields, "x-kt-attempts", number);
}

#define READ_VECTORS_UPTO                                                                                    \
    (1u << 20) /* bytes; longer ones would be a hundred thousand tokens of no interest */

/* Of a long list of vectors only the usage matters, which stands in front of it or, with most, behind it. */
static void read_vectors_usage(struct kt_exchange *x, struct kt_span body)
{
    static const char name[] = "\"usage\"";
    const char *end = body.data + body.len, *p = end - READ_VECTORS_UPTO / 16, *from = NULL;
    while ((p = memmem(p, (size_t)(end - p), name, sizeof name - 1)) != NULL)
        from = p++;
    if (!from)
        from = memmem(body.data, READ_VECTORS_UPTO / 16, name, sizeof name - 1);
    const char *open = from ? memchr(from, '{', (size_t)(end - from)) : NULL;
    size_t len = 0, depth = 0;
    for (; open && open + len < end; len++) {
        depth += open[len] == '{';
        depth -= open[len] == '}';
        if (!depth)
            break;
    }
    KT_CLEANUP(kt_buf_free) struct kt_buf alone = KT_BUF_INIT(READ_VECTORS_UPTO);
    if (open && open + len < end && kt_is_ok(kt_buf_puts(&alone, "{\"usage\":")) &&
        kt_is_ok(kt_buf_append(&alone, open, len + 1)) && kt_is_ok(kt_buf_puts(&alone, "}")))
        kt_usage_read(alone.data, alone.len, &x->usage);
}

static bool is_vectors(const struct kt_exchange *x, struct kt_span body)
{
    return x->endpoint == KT_EP_EMBEDDINGS && body.len > READ_VECTORS_UPTO && body.data[0] == '{';
}

/* Mistral's word for an answer that broke off; as in a stream. */
static bool ended_by_error(const struct kt_json *j, uint32_t choices)
{
    bool failed = false;
    for (uint32_t c = choices + 1; c < j->tok[choices].next; c = j->tok[c].next) {
        uint32_t finish = j->tok[c].type == KT_JSON_OBJECT ? kt_json_member(j, c, "finish_reason", NULL) : 0;
        failed |= finish && kt_json_str_eq(j, finish, "error");
    }
    return failed;
}

/* NULL where the body is what the endpoint answers with, and its usage is read; else what is wrong with it.
 */
static const char *wrong_body(struct kt_exchange *x, struct kt_span body, struct kt_json *j,
                              enum kt_failure *f)
{
    if (is_vectors(x, body)) {
        read_vectors_usage(x, body);
        return NULL;
    }
    if (!kt_is_ok(kt_json_parse(j, body.data, body.len, NULL)) || !j->count ||
        j->tok[0].type != KT_JSON_OBJECT)
        return "no JSON object";
    if (kt_answer_has_text(x->endpoint)) {
        uint32_t tok = kt_json_member(j, 0, "choices", NULL);
        if (!tok || j->tok[tok].type != KT_JSON_ARRAY || !j->tok[tok].size)
            return "no choices";
        if (ended_by_error(j, tok)) {
            *f = KT_FAILED_SERVER_ERROR;
            return "the provider ended it with the finish_reason error";
        }
    }
    kt_usage_of(j, &x->usage);
    return NULL;
}

static void give_success(struct kt_exchange *x)
{
    KT_CLEANUP(kt_json_free) struct kt_json j = {0};
    struct kt_span body = kt_buf_span(&x->answer);
    enum kt_failure failure = KT_FAILED_BAD_BODY;
    const char *wrong = x->chat.stream
                            ? "a whole answer or something else, where an event stream was asked for"
                            : wrong_body(x, body, &j, &failure);
    if (!wrong && !kt_is_ok(kt_x_mend_answer(x, &j)))
        wrong = "tool calls that could not be written anew";
    if (wrong) {
        kt_x_scrub(x, x->answer.data, x->answer.len);
        kt_x_note_said(x, body); /* some tell of a failure with a 200 */
        kt_x_failed(x, failure, wrong);
        return;
    }
    kt_x_attempt_end(x, "ok", NULL);
    kt_x_respond(x, &j);
}

/* A 404 that is no error of an LLM API comes of a base_url that leads elsewhere. */
static bool no_such_endpoint(const struct kt_exchange *x)
{
    KT_CLEANUP(kt_json_free) struct kt_json j = {0};
    struct kt_span body = kt_buf_span(&x->answer);
    if (x->status != 404 || !x->attempt_count || !x->attempts[x->attempt_count - 1].target)
        return false;
    return !body.len || !kt_is_ok(kt_json_parse(&j, body.data, body.len, NULL)) || !j.count ||
           (!kt_json_member(&j, 0, "error", NULL) && !kt_json_member(&j, 0, "message", NULL));
}

/* The bare "Not Found" of a provider would not tell whose it is. */
static kt_result wrap_refusal(const struct kt_exchange *x, struct kt_buf *out)
{
    if (!no_such_endpoint(x))
        return kt_error_wrap(x->status, x->answer.data ? x->answer.data : "", x->answer.len, out);
    KT_CLEANUP(kt_buf_free) struct kt_buf message = KT_BUF_INIT(1024);
    KT_GUARD(kt_buf_printf(
        &message, "ktwrap: the target '%.200s' has no such endpoint (HTTP 404): is its base_url right?",
        x->attempts[x->attempt_count - 1].target->id));
    return kt_openai_error(out, message.data, "invalid_request_error", "no_such_endpoint", NULL);
}

void kt_x_give_refusal(struct kt_exchange *x, const char *error)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf wrapped = KT_BUF_INIT(KT_X_MAX_RESPONSE);
    x->error = error;
    if (!kt_is_ok(wrap_refusal(x, &wrapped)))
        kt_buf_clear(&wrapped);
    size_t kept = 0;
    for (size_t i = 0; i < x->fields.count; i++) /* the body is JSON now, whatever it was */
        if (x->fields.at[i].name_len != 12 ||
            strncasecmp(x->fields.text.data + x->fields.at[i].name, "content-type", 12) != 0)
            x->fields.at[kept++] = x->fields.at[i];
    x->fields.count = kept;
    kt_x_fields_add(&x->fields, "content-type", "application/json");
    kt_x_add_route_fields(x);
    kt_x_reply(x, x->status, kt_buf_span(&wrapped));
}

void kt_x_target_done(struct kt_exchange *x)
{
    char detail[32];
    if (x->status >= 200 && x->status < 300) {
        give_success(x);
        return;
    }
    kt_x_scrub(x, x->answer.data, x->answer.len);
    kt_x_note_said(x, kt_buf_span(&x->answer));
    snprintf(detail, sizeof detail, "status %d", x->status);
    kt_x_failed(x, kt_failure_of_status(x->status, kt_buf_span(&x->answer)), detail);
}
