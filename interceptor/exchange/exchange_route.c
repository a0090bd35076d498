/* SPDX-License-Identifier: Apache-2.0 */
/* Between an exchange and what all processes know: which targets, in which order. */
#include "interceptor/exchange/kt_exchange_private.h"

#include "policyengine/base/kt_log.h"

/* Policies that say which target may get the call (data routing). */
static bool admits(void *arg, const struct kt_target *t, const char **reason)
{
    struct kt_exchange *x = arg;
    const char *by = kt_chain_refuser(x->rt->chain, t, reason);
    x->excluded_by = by ? by : x->excluded_by;
    return !by;
}

static bool all_excluded(const struct kt_route *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (!r->steps[i].excluded)
            return false;
    return r->count > 0;
}

static void none_admitted(struct kt_exchange *x)
{
    for (size_t i = 0; i < x->route.count; i++)
        if (kt_x_attempt_begin(x, x->route.steps[i].target, x->route.steps[i].target->model))
            kt_x_attempt_end(x, "excluded", x->route.steps[i].excluded);
    x->verdict = "block";
    x->reason_code = x->route.steps[0].excluded;
    kt_x_refuse_by_policy(x, 503, "no_target_admitted", x->excluded_by,
                          "Blocked by policy: no configured target may process this request.");
    kt_x_reply_refusal(x);
}

bool kt_x_route(struct kt_exchange *x)
{
    struct kt_route_ask ask = {.config = x->rt->config,
                               .state = x->ctx->state,
                               .now_ms = kt_state_now_ms(),
                               .admits = admits,
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
        kt_route_free(&x->route);
        ask.admits = NULL;
        r = kt_route_plan(&ask, &x->route);
    }
    x->excluded_by = NULL;
    if (!kt_is_ok(r))
        kt_x_all_failed(x);
    return kt_is_ok(r);
}
