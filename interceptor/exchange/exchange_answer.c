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
}

void kt_x_send(struct kt_exchange *x, const char *data, size_t len)
{
    if (x->over || !len)
        return;
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

/* The audit log may not be lost: what was to be answered is withheld. */
void kt_x_audit_refusal(struct kt_exchange *x)
{
    const char *why = x->ctx->audit_error[0] ? x->ctx->audit_error : "the event could not be written";
    kt_warn("an LLM call was refused: no audit log: %s", why);
    if (!x->recorded) {
        x->recorded = true;
        x->record_ok = false;
    }
    x->error = "audit_unavailable";
    kt_x_refuse(x, 503, "configuration_error", "audit_unavailable",
                "ktwrap: the audit log cannot be written, and fail_mode is block: %s", why);
    set_own_fields(x, true);
    kt_x_send_head(x, 503, (int64_t)x->refuse_body.len);
    kt_x_send(x, x->refuse_body.data, x->refuse_body.len);
    kt_x_end(x);
}

void kt_x_reply(struct kt_exchange *x, int status, struct kt_span body)
{
    x->status = status;
    if (!kt_x_record(x) && x->plan != KT_X_REFUSE) {
        kt_x_audit_refusal(x);
        return;
    }
    kt_x_send_head(x, status, (int64_t)body.len);
    kt_x_send(x, body.data, body.len);
    kt_x_end(x);
}

void kt_x_reply_refusal(struct kt_exchange *x)
{
    set_own_fields(x, true);
    kt_x_reply(x, x->refuse_status, kt_buf_span(&x->refuse_body));
}

void kt_x_reply_error(struct kt_exchange *x, int status, const char *type, const char *code,
                      const char *message)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf body = KT_BUF_INIT(256u << 10);
    if (!kt_is_ok(kt_openai_error(&body, message, type, code, NULL)))
        KT_TRACE(FLOW, "exchange %s: no memory for an error body", x->id);
    set_own_fields(x, false);
    kt_x_add_route_fields(x);
    kt_x_reply(x, status, kt_buf_span(&body));
}

/* ---- a target's answer ---- */

void kt_x_add_route_fields(struct kt_exchange *x)
{
    char number[24];
    const struct kt_x_attempt *a = kt_x_attempt_now(x);
    snprintf(number, sizeof number, "%zu", x->tries);
    if (a && a->target && a->target->id)
        kt_x_fields_add(&x->fields, "x-kt-target", a->target->id);
    kt_x_fields_add(&x->fields, "x-kt-attempts", number);
}

static bool is_object(struct kt_span body)
{
    struct kt_json j = {0};
    bool yes =
        kt_is_ok(kt_json_parse(&j, body.data, body.len, NULL)) && j.count && j.tok[0].type == KT_JSON_OBJECT;
    kt_json_free(&j);
    return yes;
}

static void give_success(struct kt_exchange *x)
{
    struct kt_span body = kt_buf_span(&x->answer);
    if (x->chat.stream || !is_object(body)) {
        kt_x_attempt_failed(x, "bad_body", x->chat.stream ? "no event stream" : "no JSON object");
        return;
    }
    kt_usage_read(body.data, body.len, &x->usage);
    kt_x_attempt_end(x, "ok", NULL);
    kt_x_respond(x);
}

/* The target says that the request is wrong: another one would say so too. */
static void give_refusal(struct kt_exchange *x)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf wrapped = KT_BUF_INIT(KT_X_MAX_RESPONSE);
    if (!kt_is_ok(kt_error_wrap(x->status, x->answer.data ? x->answer.data : "", x->answer.len, &wrapped)))
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
    snprintf(detail, sizeof detail, "status %d", x->status);
    if (x->status >= 200 && x->status < 300) {
        give_success(x);
    } else if (x->status == 429) {
        kt_x_attempt_failed(x, "rate_limit", detail);
    } else if (x->status >= 500 || x->status < 400) {
        kt_x_attempt_failed(x, "server_error",
                            detail); /* a redirect is not followed: the target is misconfigured */
    } else {
        kt_x_attempt_end(x, "client_error", detail);
        x->error = "client_error";
        give_refusal(x);
    }
}

static kt_result list_attempts(const struct kt_exchange *x, struct kt_buf *out)
{
    KT_GUARD(kt_buf_puts(out, "ktwrap: no target could answer: "));
    for (size_t i = 0; i < x->attempt_count; i++) {
        const struct kt_x_attempt *a = &x->attempts[i];
        const char *id = a->target && a->target->id ? a->target->id : "?";
        KT_GUARD(kt_buf_printf(out, "%s%s (%s)", i ? ", " : "", id, a->outcome ? a->outcome : "unknown"));
    }
    return x->attempt_count ? kt_ok() : kt_buf_puts(out, "none is configured");
}

static bool was_tried(const struct kt_x_attempt *a)
{
    const char *outcome = a->outcome ? a->outcome : "";
    return strcmp(outcome, "unavailable") != 0 && strcmp(outcome, "excluded") != 0;
}

/* The last real try was told to come back later: the client's own back-off knows what to do with that. */
static bool ended_in_rate_limit(const struct kt_exchange *x)
{
    for (size_t i = x->attempt_count; i-- > 0;)
        if (was_tried(&x->attempts[i]))
            return x->attempts[i].status == 429 && x->status == 429;
    return false;
}

void kt_x_all_failed(struct kt_exchange *x)
{
    kt_x_drop_call(x);
    if (ended_in_rate_limit(x)) {
        x->error = "rate_limit";
        give_refusal(x);
        return;
    }
    KT_CLEANUP(kt_buf_free) struct kt_buf message = KT_BUF_INIT(16u << 10);
    x->error = "all_targets_failed";
    bool listed = kt_is_ok(list_attempts(x, &message));
    kt_x_reply_error(x, 502, "upstream_error", x->error,
                     listed ? message.data : "ktwrap: no target could answer");
}
