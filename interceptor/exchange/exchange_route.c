/* SPDX-License-Identifier: Apache-2.0 */
/* Between an exchange and what all processes know: which targets, in which order. */
#include "interceptor/exchange/kt_exchange_private.h"

#include "interceptor/route/kt_tokens.h"
#include "policyengine/base/kt_log.h"

#include <string.h>

/* Policies that say which target may get the call (data routing). */
static bool admits(void *arg, const struct kt_target *t, const char **reason)
{
    struct kt_exchange *x = arg;
    const char *by = kt_chain_refuser(x->rt->chain, t, reason);
    if (by) {
        x->excluded_by = by;
        x->excluded_why = *reason;
    }
    return !by;
}

/* A chat may go to a model that nobody knows; what else is asked has a usual model, which is the better
 * guess.
 */
static bool is_for(const struct kt_exchange *x, const struct kt_target *t)
{
    const char *reason;
    enum kt_model_fit fit = kt_model_fit(t, x->endpoint);
    bool meant = fit == KT_MODEL_FITS || (fit == KT_MODEL_UNKNOWN && x->endpoint == KT_EP_CHAT);
    return meant && !kt_chain_refuser(x->rt->chain, t, &reason);
}

/* A target whose model is for something else steps back where another one's is for this. */
static bool serves(void *arg, const struct kt_target *t)
{
    const struct kt_exchange *x = arg;
    const struct kt_config *c = x->rt->config;
    if (c->providers.strategy == KT_STRATEGY_SINGLE || kt_model_fit(t, x->endpoint) != KT_MODEL_WRONG)
        return true;
    for (size_t i = 0; i < c->providers.target_count; i++)
        if (is_for(x, &c->providers.targets[i]))
            return false;
    return true;
}

static bool all_excluded(const struct kt_route *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (!r->steps[i].excluded)
            return false;
    return r->count > 0;
}

/* The call goes on, and its event says that it should not have. */
static void goes_on_excluded(struct kt_exchange *x)
{
    x->excluded_warns = true;
    if (strcmp(x->reason_code, "all_policies_passed") == 0)
        x->reason_code = x->excluded_why;
}

static void none_admitted(struct kt_exchange *x)
{
    for (size_t i = 0; i < x->route.count; i++)
        if (kt_x_attempt_begin(x, x->route.steps[i].target, x->route.steps[i].target->model))
            kt_x_attempt_end(x, "excluded", x->route.steps[i].excluded);
    x->verdict = "block";
    x->reason_code = x->route.steps[0].excluded;
    kt_x_refuse_by_policy(x, (int)x->rt->config->block_status, "input_blocked", x->excluded_by,
                          "Blocked by policy: no configured target may process this request.");
    kt_x_reply_refusal(x);
}

void kt_x_origin_admitted(struct kt_exchange *x)
{
    const struct kt_target *origin = kt_chain_origin();
    const char *reason = NULL, *by = kt_chain_refuser(x->rt->chain, origin, &reason);
    if (!by)
        return;
    x->excluded_by = by;
    x->excluded_why = reason;
    if (kt_chain_admits_none_warns(x->rt->chain)) {
        kt_warn("policy %s does not admit the origin (%s); it is used, as it is configured", by, reason);
        goes_on_excluded(x);
        return;
    }
    x->verdict = "block";
    x->reason_code = reason;
    kt_x_refuse_by_policy(
        x, (int)x->rt->config->block_status, "input_blocked", by,
        "Blocked by policy: no targets are configured, and nothing is known of the data policy of the "
        "host that the program calls.");
}

/* ---- size ---- */

static int64_t number_at(const struct kt_json *j, const char *name)
{
    uint32_t tok = kt_json_member(j, 0, name, NULL);
    if (!tok || j->tok[tok].type != KT_JSON_NUMBER)
        return 0;
    struct kt_span raw = kt_json_raw(j, tok);
    int64_t n = 0;
    for (size_t i = 0; i < raw.len && raw.data[i] >= '0' && raw.data[i] <= '9' && n < 1000000000; i++)
        n = n * 10 + (raw.data[i] - '0');
    return n;
}

/* Only where somebody wants to know: the text may be long. */
static bool size_matters(const struct kt_config *c)
{
    bool matters = c->providers.strategy == KT_STRATEGY_COST || c->limits.max_cost_per_request >= 0;
    for (size_t i = 0; i < c->providers.target_count && !matters; i++)
        matters = c->providers.targets[i].max_context_tokens > 0;
    return matters;
}

void kt_x_estimate(struct kt_exchange *x)
{
    if (x->prompt_tokens || !x->parsed)
        return;
    for (size_t i = 0; i < x->chat.segment_count; i++) {
        const struct kt_segment *s = &x->chat.segments[i];
        if (s->from != KT_FROM_LABEL && s->from != KT_FROM_NAME)
            x->prompt_tokens += kt_tokens_estimate(s->text, s->len) + KT_TOKENS_PER_MESSAGE;
    }
    int64_t newer = number_at(&x->chat.json, "max_completion_tokens");
    x->completion_tokens = newer ? newer : number_at(&x->chat.json, "max_tokens");
}

/* 0 = the context of a target is not what is in the way. */
static int64_t largest_context(const struct kt_route *r)
{
    int64_t largest = 0;
    if (r->available)
        return 0;
    for (size_t i = 0; i < r->count; i++) {
        if (r->steps[i].skip == KT_SKIP_BREAKER)
            return 0;
        int64_t room = r->steps[i].target->max_context_tokens;
        if (r->steps[i].skip == KT_SKIP_CONTEXT && room > largest)
            largest = room;
    }
    return largest;
}

/* Every target that could be used otherwise is too dear. */
static bool all_too_expensive(const struct kt_route *r)
{
    bool one = false;
    for (size_t i = 0; i < r->count && !r->available; i++) {
        one |= r->steps[i].skip == KT_SKIP_PRICE;
        if (r->steps[i].skip == KT_SKIP_BREAKER)
            return false;
    }
    return one;
}

static void list_skipped(struct kt_exchange *x)
{
    for (size_t i = 0; i < x->route.count; i++)
        if (kt_x_attempt_begin(x, x->route.steps[i].target, x->route.steps[i].target->model))
            kt_x_attempt_end(x, x->route.steps[i].excluded ? "excluded" : "unavailable",
                             x->route.steps[i].reason);
}

static void too_long(struct kt_exchange *x, int64_t room)
{
    list_skipped(x);
    x->error = "context_length_exceeded";
    kt_x_refuse(
        x, 400, "invalid_request_error", x->error,
        "ktwrap: the largest context of a target is %lld tokens; this request needs about %lld (%lld for "
        "the messages, %lld for the completion)",
        (long long)room, (long long)(x->prompt_tokens + x->completion_tokens), (long long)x->prompt_tokens,
        (long long)x->completion_tokens);
    kt_x_reply_refusal(x);
}

static void too_expensive(struct kt_exchange *x)
{
    list_skipped(x);
    x->error = "budget_exceeded";
    kt_x_refuse(x, 402, "insufficient_quota", x->error,
                "ktwrap: no target may be used at its price (limits.max_cost_per_request, "
                "providers.routing.max_price)");
    kt_x_reply_refusal(x);
}

/* ---- the plan ---- */

bool kt_x_route(struct kt_exchange *x)
{
    if (size_matters(x->rt->config))
        kt_x_estimate(x);
    struct kt_route_ask ask = {.config = x->rt->config,
                               .state = x->ctx->state,
                               .now_ms = kt_state_now_ms(),
                               .prompt_tokens = x->prompt_tokens,
                               .completion_tokens = x->completion_tokens,
                               .admits = admits,
                               .serves = serves,
                               .arg = x};
    kt_state_check(ask.state, ask.now_ms);
    kt_result r = kt_route_plan(&ask, &x->route);
    if (kt_is_ok(r) && all_excluded(&x->route)) {
        if (!kt_chain_admits_none_warns(x->rt->chain)) {
            none_admitted(x);
            return false;
        }
        kt_warn("policy %s admits none of the targets (%s); all of them are used, as it is configured",
                x->excluded_by, x->route.steps[0].excluded);
        goes_on_excluded(x);
        kt_route_free(&x->route);
        ask.admits = NULL;
        r = kt_route_plan(&ask, &x->route);
    } else {
        x->excluded_by = NULL;
    }
    int64_t room = kt_is_ok(r) ? largest_context(&x->route) : 0;
    if (!kt_is_ok(r))
        kt_x_all_failed(x);
    else if (room)
        too_long(x, room);
    else if (all_too_expensive(&x->route))
        too_expensive(x);
    else
        return true;
    return false;
}
