/* SPDX-License-Identifier: Apache-2.0 */
/* From a request to a plan: config state, endpoint, dialect, request chain. Runs in whatever thread feeds the
 * flow. */
#include "interceptor/exchange/kt_exchange_private.h"

#include "policyengine/chain/kt_numbers.h"
#include "policyengine/base/kt_log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void kt_x_keep_message(struct kt_exchange *x, const char *text)
{
    free(x->message);
    x->message = strdup(text);
    if (x->message && strlen(x->message) > KT_X_MAX_MESSAGE)
        x->message[KT_X_MAX_MESSAGE] = '\0';
}

static void refuse_body(struct kt_exchange *x, int status, const char *type, const char *code,
                        const char *policy, const char *message)
{
    x->plan = KT_X_REFUSE;
    x->refuse_status = status;
    kt_buf_clear(&x->refuse_body);
    if (!kt_is_ok(kt_openai_error(&x->refuse_body, message, type, code, policy)))
        KT_TRACE(FLOW, "exchange %s: no memory for an error body", x->id); /* the answer has no body then */
}

void kt_x_refuse(struct kt_exchange *x, int status, const char *type, const char *code, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    kt_x_keep_message(x, text);
    refuse_body(x, status, type, code, NULL, text);
}

/* To the origin without the chain: what we cannot look at, where the settings let it pass. */
static void pass_unseen(struct kt_exchange *x, const char *reason_code, const char *message)
{
    x->plan = KT_X_ORIGIN;
    x->event_type = "unseen";
    x->verdict = "allow";
    x->reason_code = reason_code;
    kt_x_keep_message(x, message);
}

static void broken_config(struct kt_exchange *x)
{
    const char *why = x->rt->broken ? x->rt->broken : "it could not be loaded";
    if (kt_x_fail_open(x) || x->tapped) {
        kt_warn(
            "an LLM call passes unchecked (fail_mode: allow), the policy configuration cannot be used: %s",
            why);
        pass_unseen(x, "config_unusable", why);
        return;
    }
    x->event_type = "config_error";
    x->verdict = "block";
    x->reason_code = "config_unusable";
    kt_x_refuse(x, 503, "configuration_error", "policy_unavailable",
                "ktwrap: the policy configuration cannot be used: %s", why);
}

/* Many a newer SDK asks there first; what it can do instead is one setting away. */
static const char *instead_of(struct kt_span path)
{
    static const char responses[] = "/responses";
    size_t n = sizeof responses - 1;
    bool its = path.len >= n && memcmp(path.data + path.len - n, responses, n) == 0;
    return its ? "use chat completions instead (in OpenAI's SDKs client.chat.completions.create)" : "";
}

static void unknown_endpoint(struct kt_exchange *x)
{
    bool pass = kt_x_observe(x) || x->rt->config->intercept.unknown_endpoints == KT_UNKNOWN_PASS;
    pass &= !x->origin_unknown; /* to whom? */
    if (pass) {
        pass_unseen(x, "unknown_endpoint", "no policy knows this endpoint");
        return;
    }
    x->verdict = "block";
    x->reason_code = "unknown_endpoint";
    struct kt_span path = kt_x_path(x);
    const char *query = memchr(path.data, '?', path.len);
    size_t len = query ? (size_t)(query - path.data) : path.len;
    const char *instead = instead_of(kt_span(path.data, len));
    int method = (int)(x->request.method.len < 16 ? x->request.method.len : 16);
    int shown = (int)(len < 200 ? len : 200);
    if (x->origin_unknown) {
        kt_x_refuse(x, 501, "invalid_request_error", "unknown_endpoint",
                    "ktwrap: this gateway does not serve %.*s %.*s%s%s", method, x->request.method.data,
                    shown, path.data, *instead ? "; " : "", instead);
        return;
    }
    kt_x_refuse(
        x, 501, "invalid_request_error", "unknown_endpoint",
        "ktwrap: no policy knows the endpoint %.*s %.*s; %s%sset `intercept.unknown_endpoints: pass` in "
        "the policy configuration to let such calls through to %s unchecked",
        method, x->request.method.data, shown, path.data, instead, *instead ? ", or " : "", x->host);
}

/* What a program may ask for is in the config; without targets its origin knows. */
static void list_models(struct kt_exchange *x)
{
    if (!x->rt->config->has_providers || kt_x_observe(x)) {
        x->plan = KT_X_ORIGIN;
        return;
    }
    x->plan = KT_X_REFUSE;
    x->refuse_status = 200;
    kt_buf_clear(&x->refuse_body);
    if (!kt_is_ok(kt_models_answer(x->rt->config, x->request.target, &x->refuse_body)))
        kt_x_refuse(x, 503, "policy_error", "policy_failed",
                    "ktwrap: the list of models could not be written");
}

static bool wants_websocket(const struct kt_exchange *x)
{
    return x->request.upgrade && kt_span_ieq(kt_request_header(&x->request, "upgrade"), "websocket");
}

static void unparsable(struct kt_exchange *x, enum kt_code code, const struct kt_error *err,
                       const char *param)
{
    if (kt_x_observe(x)) {
        pass_unseen(x, "invalid_request", err->text);
        return;
    }
    x->verdict = "error";
    x->reason_code = "invalid_request";
    if (code == KT_ERR_MEMORY || code == KT_ERR_INTERNAL) {
        kt_x_refuse(x, 503, "policy_error", "policy_failed", "ktwrap: the request could not be read (%s)",
                    kt_code_name(code));
        return;
    }
    kt_x_refuse(x, 400, "invalid_request_error", "invalid_request", "%s%s%s%s",
                *err->text ? err->text : "invalid body", param ? " (" : "", param ? param : "",
                param ? ")" : "");
}

/* ---- the chain ---- */

void kt_x_refuse_by_policy(struct kt_exchange *x, int status, const char *code, const char *policy,
                           const char *message)
{
    kt_x_keep_message(x, message);
    refuse_body(x, status, "policy_violation", code, policy, message);
}

void kt_x_refuse_failed(struct kt_exchange *x, const char *policy, const char *message)
{
    kt_x_keep_message(x, message);
    refuse_body(x, 503, "policy_error", "policy_failed", policy, message);
}

static KT_MUST kt_result collect_edits(struct kt_exchange *x)
{
    size_t n = 0;
    const struct kt_redaction *all = kt_chain_run_redactions(x->req.run, &n);
    for (size_t i = 0; i < n; i++)
        KT_GUARD(kt_chat_redact(&x->chat, &x->req.edits, all[i].segment, all[i].start, all[i].end,
                                all[i].text, all[i].len));
    return kt_x_observe(x) ? kt_ok() : kt_restorer_new(x->names, &x->restorer);
}

void kt_x_request_done(struct kt_exchange *x)
{
    struct kt_outcome o = kt_chain_run_outcome(x->req.run);
    x->verdict = kt_verdict_name(o.verdict);
    x->reason_code = o.reason_code;
    if (o.failed_open)
        x->error = "policy_error";
    x->plan = x->rt->config->has_providers && !kt_x_observe(x) ? KT_X_TARGETS : KT_X_ORIGIN;
    kt_x_phase_judge(x, &o, KT_PHASE_REQUEST);
    if (x->plan == KT_X_ORIGIN && !kt_x_observe(x))
        kt_x_origin_admitted(x);
    /* A redaction that cannot be written is never sent without it, whatever fail_mode says. */
    if (x->plan != KT_X_REFUSE && !kt_is_ok(collect_edits(x)))
        kt_x_refuse(x, 503, "policy_error", "policy_failed",
                    "ktwrap: the redacted request could not be written");
}

/* Text that a tokenizer made numbers of: no policy can look at it. True where the call may go on. */
static bool readable(struct kt_exchange *x)
{
    if (!x->chat.token_ids || !kt_chain_has_phase(x->rt->chain, KT_PHASE_REQUEST))
        return true;
    x->error = "unreadable_input";
    if (kt_x_unseen_passes(x, KT_PHASE_REQUEST)) {
        kt_warn("token ids pass unchecked (fail_mode: allow, or mode: observe)");
        return true;
    }
    x->verdict = "block";
    x->reason_code = "unreadable_input";
    kt_x_refuse(x, 400, "invalid_request_error", "unreadable_input",
                "ktwrap: the policies cannot read token ids; send the text itself");
    return false;
}

static void avoid_up_to(struct kt_exchange *x, size_t end)
{
    for (; x->avoided < end; x->avoided++)
        kt_placeholders_avoid(x->names, x->chat.segments[x->avoided].text, x->chat.segments[x->avoided].len);
}

static void avoid_look_alikes(void *arg)
{
    struct kt_exchange *x = arg;
    avoid_up_to(x, x->chat.segment_count);
}

/* A name that stands in front of a value is somebody else's: of an answer whose own values got it, or of a
 * message that is no longer sent. One that stands behind may be its own, quoted by an answer to it. */
static void avoid_earlier(void *arg)
{
    struct kt_exchange *x = arg;
    avoid_up_to(x, x->req.ended ? x->chat.segment_count : x->req.reached);
}

/* Whom the gateway let in, and whom the program calls for. False: somebody of many. */
static bool caller_of(const struct kt_exchange *x, uint64_t *caller)
{
    struct kt_span user = kt_x_user(x);
    *caller = x->caller;
    if (user.len)
        return kt_conversation_caller(user.data, user.len, caller);
    return x->caller || !x->shared;
}

/* Only where something is named. Inputs of other endpoints are no conversation. */
static struct kt_conversation *conversation(void *arg)
{
    struct kt_exchange *x = arg;
    uint64_t caller = 0;
    if (x->endpoint != KT_EP_CHAT)
        return NULL;
    if (!x->conversation && !(x->conversation = calloc(1, sizeof *x->conversation)))
        return NULL; /* as one that cannot be told */
    struct kt_conversation *c = x->conversation;
    if (!c->made) {
        bool known = caller_of(x, &caller);
        kt_conversation_begin(c, caller);
        for (size_t i = 0; known && i < x->chat.segment_count; i++)
            kt_conversation_add(c, x->chat.segments[i].from, x->chat.segments[i].text,
                                x->chat.segments[i].len);
        kt_conversation_end(c); /* nothing was added: nothing is kept */
    }
    c->answering = x->req.ended;
    return c;
}

static kt_result begin(struct kt_exchange *x)
{
    x->names = kt_placeholders_new();
    KT_ENSURE(x->names, KT_ERR_MEMORY);
    kt_placeholders_converse(x->names, conversation, x);
    kt_placeholders_on_restore(x->names, avoid_look_alikes, x);
    kt_placeholders_on_new(x->names, avoid_earlier, x);
    if (kt_numbers_used()) /* also where nothing is named: what is said goes on */
        (void)conversation(x);
    return kt_x_phase_begin(x, &x->req, KT_PHASE_REQUEST, &x->chat);
}

static void call(struct kt_exchange *x)
{
    struct kt_error err = {KT_OK, ""};
    const char *param = NULL;
    kt_result r = kt_request_parse(&x->chat, x->endpoint, x->request.body.data ? x->request.body.data : "",
                                   x->request.body.len, &err, &param);
    if (!kt_is_ok(r)) {
        unparsable(x, r.code, &err, param);
        return;
    }
    x->parsed = true;
    if (!readable(x))
        return;
    if (!kt_is_ok(begin(x))) {
        x->plan = x->rt->config->has_providers && !kt_x_observe(x) ? KT_X_TARGETS : KT_X_ORIGIN;
        kt_x_chain_failed(x, KT_PHASE_REQUEST);
    } else if (kt_x_phase_run(x, &x->req, KT_STEP_DONE)) {
        kt_x_request_done(x);
    }
}

void kt_exchange_caller(struct kt_exchange *x, uint64_t caller)
{
    x->shared = true;
    x->caller = caller;
}

void kt_exchange_prepare(struct kt_exchange *x)
{
    kt_x_enter(x);
    x->rt = x->ctx->runtime(x->ctx->owner);
    x->endpoint = kt_endpoint_of(x->request.method, x->request.target);
    x->dialect = kt_client_dialect(x->host, kt_request_header(&x->request, "user-agent"), x->request.target);
    if (wants_websocket(x) && x->tapped) {
        pass_unseen(x, "websocket", "what a WebSocket carries is not looked at");
    } else if (wants_websocket(x)) {
        x->verdict = "block";
        x->reason_code = "websocket_not_supported";
        kt_x_refuse(x, 426, "invalid_request_error", "websocket_not_supported",
                    "ktwrap: WebSocket connections are not supported; use POST");
    } else if (!x->rt->config || !x->rt->chain) {
        broken_config(x);
    } else if (!x->rt->config->pack.enabled) {
        pass_unseen(x, "pack_disabled", "pack.enabled is false: no policy runs");
    } else if (x->endpoint == KT_EP_UNKNOWN) {
        unknown_endpoint(x);
    } else if (x->endpoint == KT_EP_MODELS) {
        list_models(x);
    } else {
        call(x);
    }
    kt_x_leave(x);
}
