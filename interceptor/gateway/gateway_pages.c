/* SPDX-License-Identifier: Apache-2.0 */
/* What the gateway says of itself: whether a call could go well. */
#include "interceptor/gateway/kt_gateway_private.h"

#include "interceptor/route/kt_route.h"

#include <stdio.h>
#include <string.h>

static bool usable(const struct kt_gateway_worker *w, const struct kt_config *c, const struct kt_target *t)
{
    char *key = NULL;
    uint64_t now = kt_state_now_ms();
    const struct kt_breaker_rules rules = kt_breaker_rules_of(c, t);
    struct kt_tstate *state = kt_state_target(w->ctx.state, kt_target_key(t), now);
    int64_t wait = 0;
    if (kt_secret_resolve(t, &key, NULL).code != KT_OK)
        return false;
    kt_free_secret(key);
    enum kt_breaker_state b = kt_breaker_look(state, &rules, now, NULL, &wait);
    return b != KT_BREAKER_OPEN || wait == 0;
}

/* The same rules as an exchange's, without asking for anything. */
static const char *without_target(const struct kt_gateway_worker *w, const struct kt_runtime *rt)
{
    const struct kt_config *c = rt->config;
    if (!c->pack.enabled)
        return "not ready: pack.enabled is false";
    if (rt->mode == KT_MODE_OBSERVE)
        return "not ready: mode is observe, and a gateway knows no origin that calls could go on to";
    if (!c->has_providers)
        return "not ready: the policy configuration has no providers.targets";
    if (kt_secrets_pending(c))
        return "not ready: a target's key command has not ended yet";
    for (size_t i = 0; i < c->providers.target_count; i++)
        if (usable(w, c, &c->providers.targets[i]))
            return NULL;
    return "not ready: every target lacks its key or has failed too often; see the log of the gateway";
}

const char *kt_gateway_unready(const struct kt_gateway_worker *w, char *text, size_t size)
{
    if (atomic_load(&w->g->draining))
        return "not ready: stopping";
    struct kt_runtime *rt = w->ctx.runtime(w->ctx.owner);
    struct kt_error err = {KT_OK, ""};
    const char *why = NULL;
    if (!rt->config) {
        snprintf(text, size, "not ready: the policy configuration cannot be used: %s",
                 rt->broken ? rt->broken : "");
        why = text;
    } else if (rt->fail_mode == KT_FAIL_BLOCK &&
               !(w->ctx.audit && kt_is_ok(kt_audit_ready(w->ctx.audit, &err)))) {
        snprintf(text, size, "not ready: the audit log cannot be written: %.300s",
                 w->ctx.audit ? err.text : w->ctx.audit_error);
        why = text;
    } else {
        why = without_target(w, rt);
    }
    kt_runtime_unref(rt);
    return why;
}
