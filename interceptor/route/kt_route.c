/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of one exchange: what cannot be used, the strategy's order of the rest, and how many tries there
 * are. */
#include "interceptor/route/kt_route.h"

#include "interceptor/abi/kt_plan_format.h"
#include "interceptor/route/kt_limits.h"
#include "policyengine/base/kt_log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Past a target's own time a trial is given up for lost; a long stream that ends well still counts. */
#define TRIAL_GRACE_MS 5000
#define PROBES_MISSED 3 /* a probe's result counts for so many of its intervals */

#define KT_STRATEGY(symbol) extern const struct kt_strategy symbol;
#include "interceptor/route/strategies.def"
#undef KT_STRATEGY

const struct kt_strategy *const *kt_strategies(size_t *count)
{
#define KT_STRATEGY(symbol) &symbol,
    static const struct kt_strategy *const all[] = {
#include "interceptor/route/strategies.def"
    };
#undef KT_STRATEGY
    *count = KT_COUNT(all);
    return all;
}

const struct kt_strategy *kt_strategy_find(enum kt_strategy_id id)
{
    size_t n;
    const struct kt_strategy *const *all = kt_strategies(&n);
    for (size_t i = 0; i < n; i++)
        if (all[i]->id == id)
            return all[i];
    return NULL;
}

const char *kt_skip_name(enum kt_skip s)
{
    static const char *const names[] = {"",
                                        "policy_excluded",
                                        "other_model",
                                        "no_key",
                                        "context_too_small",
                                        "too_expensive",
                                        "breaker_open",
                                        "probe_failed"};
    return (size_t)s < KT_COUNT(names) ? names[s] : "";
}

uint64_t kt_target_key(const struct kt_target *t)
{
    const struct kt_secret_ref *s = &t->secret_key_ref;
    uint64_t key = kt_key_text(KT_KEY_SEED, "target");
    key = kt_key_text(key, t->id);
    key = kt_key_text(key, t->base_url);
    key = kt_key_text(key, t->model);
    return kt_key_text(key, s->env ? s->env : s->file ? s->file : s->command);
}

struct kt_probe_rules kt_probe_rules_of(const struct kt_config *c, const struct kt_target *t)
{
    bool own = t->health_probe.enabled;
    int64_t interval = own ? t->health_probe.interval_seconds : c->health_monitor.interval_seconds;
    int64_t timeout = own ? t->health_probe.timeout_seconds : c->health_monitor.timeout_seconds;
    return (struct kt_probe_rules){own || c->health_monitor.enabled, interval * 1000, timeout * 1000};
}

struct kt_breaker_rules kt_breaker_rules_of(const struct kt_config *c, const struct kt_target *t)
{
    return (struct kt_breaker_rules){.enabled = c->providers.circuit_breaker.enabled,
                                     .threshold = c->providers.circuit_breaker.failure_threshold,
                                     .recovery_ms =
                                         c->providers.circuit_breaker.recovery_timeout_seconds * 1000,
                                     .trials = c->providers.circuit_breaker.half_open_max_requests,
                                     .trial_ms = t->timeout_seconds * 1000 + TRIAL_GRACE_MS};
}

/* ---- what cannot be used ---- */

/* True once per process and text; a collision loses a repetition of a warning, nothing more. */
static bool first_time(const char *what)
{
    static _Atomic uint64_t told;
    uint64_t bit = 1ull << (kt_fnv1a(KT_FNV_SEED, what, strlen(what)) & 63);
    return !(atomic_fetch_or(&told, bit) & bit);
}

static void skip(struct kt_route_step *step, enum kt_skip why, const char *fmt, ...) KT_PRINTF(3, 4);
static void skip(struct kt_route_step *step, enum kt_skip why, const char *fmt, ...)
{
    va_list ap;
    step->available = false;
    step->skip = why;
    int n = snprintf(step->reason, sizeof step->reason, "%s: ", kt_skip_name(why));
    va_start(ap, fmt);
    vsnprintf(step->reason + n, sizeof step->reason - (size_t)n, fmt, ap);
    va_end(ap);
}

static void check_policy(const struct kt_route_ask *ask, struct kt_route_step *step)
{
    const char *reason = NULL;
    if (!ask->admits || ask->admits(ask->arg, step->target, &reason))
        return;
    step->excluded = reason ? reason : "a policy keeps the call from it";
    skip(step, KT_SKIP_POLICY, "%s", step->excluded);
}

static void check_model(const struct kt_route_ask *ask, struct kt_route_step *step)
{
    if (ask->serves && !ask->serves(ask->arg, step->target))
        skip(step, KT_SKIP_MODEL, "%s is not for this endpoint, and another target's model is",
             step->target->model ? step->target->model : "its model");
}

static void check_key(const struct kt_route_ask *ask, struct kt_route_step *step)
{
    struct kt_error err = {KT_OK, ""};
    const char *id = step->target->id ? step->target->id : "?";
    (void)ask;
    if (kt_is_ok(kt_secret_resolve(step->target, &step->key, &err)))
        return;
    skip(step, KT_SKIP_NO_KEY, "%s", *err.text ? err.text : "it cannot be read");
    if (first_time(id))
        kt_warn("target %s is not available: %s", id, step->reason);
}

static void check_context(const struct kt_route_ask *ask, struct kt_route_step *step)
{
    int64_t room = step->target->max_context_tokens, need = ask->prompt_tokens + ask->completion_tokens;
    if (room > 0 && need > room)
        skip(step, KT_SKIP_CONTEXT, "about %lld tokens are needed, it takes %lld", (long long)need,
             (long long)room);
}

static void check_price(const struct kt_route_ask *ask, struct kt_route_step *step)
{
    const struct kt_target *t = step->target;
    double most = ask->config->providers.routing.max_price,
           most_usd = ask->config->limits.max_cost_per_request;
    if (most >= 0 && t->pricing.prompt > most) {
        skip(step, KT_SKIP_PRICE, "%g USD per million prompt tokens, routing.max_price is %g",
             t->pricing.prompt, most);
        return;
    }
    int64_t completion = ask->completion_tokens ? ask->completion_tokens : KT_USUAL_COMPLETION;
    int64_t money = most_usd < 0 ? -1 : kt_cost_of(t, ask->prompt_tokens, completion, 0);
    if (money >= 0 && (double)money > most_usd * KT_MONEY_PER_USD)
        skip(step, KT_SKIP_PRICE, "about %.6f USD, limits.max_cost_per_request is %g",
             (double)money / KT_MONEY_PER_USD, most_usd);
}

static void check_breaker(const struct kt_route_ask *ask, struct kt_route_step *step)
{
    struct kt_breaker_rules r = kt_breaker_rules_of(ask->config, step->target);
    unsigned failures = 0;
    enum kt_breaker_state s = kt_breaker_look(step->state, &r, ask->now_ms, &failures, &step->wait_ms);
    if (s != KT_BREAKER_CLOSED && step->wait_ms > 0)
        skip(step, KT_SKIP_BREAKER, "%s, %lld ms left",
             s == KT_BREAKER_OPEN ? "open" : "half open, tried by others", (long long)step->wait_ms);
}

static void check_probe(const struct kt_route_ask *ask, struct kt_route_step *step)
{
    const struct kt_target *t = step->target;
    struct kt_probe p = kt_probe_get(step->state, ask->now_ms);
    struct kt_probe_rules r = kt_probe_rules_of(ask->config, t);
    uint64_t counts_ms = (uint64_t)r.interval_ms * PROBES_MISSED;
    if (!r.enabled || !p.known || p.ok || p.age_ms > counts_ms)
        return;
    if (p.status)
        skip(step, KT_SKIP_PROBE, "status %d, %llu s ago", p.status, (unsigned long long)(p.age_ms / 1000));
    else
        skip(step, KT_SKIP_PROBE, "no answer, %llu s ago", (unsigned long long)(p.age_ms / 1000));
}

static void look_at(const struct kt_route_ask *ask, struct kt_route_step *step)
{
    static void (*const checks[])(const struct kt_route_ask *, struct kt_route_step *) = {
        check_policy, check_model, check_key, check_context, check_price, check_breaker, check_probe};
    step->available = true;
    for (size_t i = 0; i < KT_COUNT(checks) && step->available; i++)
        checks[i](ask, step);
}

/* ---- the order ---- */

/* A target that cannot be tried is no attempt: it must not use up the tries of those that can. */
static size_t attempts_allowed(const struct kt_config *config, const struct kt_strategy *s)
{
    if (s->first_only || !config->providers.fallback.enabled)
        return 1;
    int64_t extra = config->providers.fallback.max_fallback_attempts;
    return extra < 0 ? 1 : extra > KT_ROUTE_MAX ? KT_ROUTE_MAX : 1 + (size_t)extra;
}

/* A failed probe is a hint. Where nothing else is left, the target itself is asked. */
static size_t settle_available(struct kt_route_step *steps, size_t n)
{
    size_t available = 0;
    for (size_t i = 0; i < n; i++)
        available += steps[i].available;
    if (available)
        return available;
    for (size_t i = 0; i < n; i++) {
        steps[i].available = steps[i].skip == KT_SKIP_PROBE;
        available += steps[i].available;
    }
    return available;
}

static void put_in_order(const struct kt_route_ask *ask, const struct kt_strategy *s,
                         const struct kt_route_step *found, size_t n, struct kt_route *out)
{
    struct kt_candidate c[KT_ROUTE_MAX];
    size_t from[KT_ROUTE_MAX], order[KT_ROUTE_MAX], usable = 0;
    for (size_t i = 0; i < n; i++) {
        const struct kt_route_step *f = &found[i];
        if (s->keeps_order || !f->available) {
            out->steps[out->count++] = *f;
        } else {
            from[usable] = i;
            c[usable++] = (struct kt_candidate){f->target, f->index, kt_target_key(f->target), f->state};
        }
    }
    if (usable)
        s->order(ask, c, usable, order);
    for (size_t i = 0; i < usable; i++)
        out->steps[out->count++] = found[from[order[i]]];
}

static bool too_slow(const struct kt_route_ask *ask, const struct kt_route_step *step)
{
    const int64_t most_ms = ask->config->providers.routing.max_latency_ms;
    if (most_ms <= 0 || !step->available)
        return false;
    struct kt_samples s = kt_samples_read(step->state, KT_SAMPLE_TTFB,
                                          ask->config->providers.routing.window_seconds * 1000, ask->now_ms);
    return s.count > 0 && s.mean > (double)most_ms;
}

/* Whatever the strategy: behind all others. Their samples grow old, and then they get another chance. */
static void slow_ones_last(const struct kt_route_ask *ask, struct kt_route *r)
{
    struct kt_route_step slow[KT_ROUTE_MAX];
    size_t kept = 0, moved = 0;
    for (size_t i = 0; i < r->count; i++) {
        if (too_slow(ask, &r->steps[i]))
            slow[moved++] = r->steps[i];
        else
            r->steps[kept++] = r->steps[i];
    }
    memcpy(r->steps + kept, slow, moved * sizeof *slow);
}

kt_result kt_route_plan(const struct kt_route_ask *ask, struct kt_route *out)
{
    const struct kt_config *config = ask->config;
    const struct kt_strategy *s = kt_strategy_find((enum kt_strategy_id)config->providers.strategy);
    s = s ? s : kt_strategy_find(KT_STRATEGY_ORDERED);
    size_t n = s->first_only ? 1 : config->providers.target_count;
    n = n > config->providers.target_count ? config->providers.target_count : n;
    n = n > KT_ROUTE_MAX ? KT_ROUTE_MAX : n;
    *out = (struct kt_route){.max_attempts = attempts_allowed(config, s)};
    KT_CLEANUP(kt_cleanup_free) struct kt_route_step *found = calloc(n ? n : 1, sizeof *found);
    out->steps = calloc(n ? n : 1, sizeof *out->steps);
    if (!found || !out->steps) {
        kt_route_free(out);
        return kt_err(KT_ERR_MEMORY);
    }
    for (size_t i = 0; i < n; i++) {
        const struct kt_target *t = &config->providers.targets[i];
        found[i] = (struct kt_route_step){
            .target = t, .index = i, .state = kt_state_target(ask->state, kt_target_key(t), ask->now_ms)};
        look_at(ask, &found[i]);
    }
    out->available = settle_available(found, n);
    put_in_order(ask, s, found, n, out);
    slow_ones_last(ask, out);
    return kt_ok();
}

void kt_route_free(struct kt_route *r)
{
    for (size_t i = 0; i < r->count; i++)
        kt_free_secret(r->steps[i].key);
    free(r->steps);
    *r = (struct kt_route){.count = 0};
}
