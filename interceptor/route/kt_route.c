/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of one exchange: the strategy's order, what cannot be used, and how many tries there are. */
#include "interceptor/route/kt_route.h"

#include "interceptor/abi/kt_plan_format.h"
#include "policyengine/base/kt_log.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

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

/* True once per process and text; a collision loses a repetition of a warning, nothing more. */
static bool first_time(const char *what)
{
    static _Atomic uint64_t told;
    uint64_t bit = 1ull << (kt_fnv1a(KT_FNV_SEED, what, strlen(what)) & 63);
    return !(atomic_fetch_or(&told, bit) & bit);
}

static const struct kt_strategy *strategy_of(const struct kt_config *config)
{
    const struct kt_strategy *s = kt_strategy_find((enum kt_strategy_id)config->providers.strategy);
    if (s)
        return s;
    if (first_time("strategy"))
        kt_warn("the configured routing strategy is not in this build; targets are tried in the order of the "
                "file");
    return kt_strategy_find(KT_STRATEGY_ORDERED);
}

static void look_up_key(struct kt_route_step *step)
{
    struct kt_error err = {KT_OK, ""};
    kt_result r = kt_secret_resolve(step->target, &step->key, &err);
    step->available = kt_is_ok(r);
    if (step->available)
        return;
    memcpy(step->reason, err.text, sizeof step->reason - 1);
    step->reason[sizeof step->reason - 1] = '\0';
    if (!*step->reason)
        memcpy(step->reason, "no key", sizeof "no key");
    if (first_time(step->target->id ? step->target->id : ""))
        kt_warn("target %s is not available: %s", step->target->id ? step->target->id : "?", step->reason);
}

/* A target that cannot be tried is no attempt: it must not use up the tries of those that can. */
static size_t attempts_allowed(const struct kt_config *config)
{
    if (config->providers.strategy == KT_STRATEGY_SINGLE || !config->providers.fallback.enabled)
        return 1;
    int64_t extra = config->providers.fallback.max_fallback_attempts;
    return extra < 0 ? 1 : extra > KT_ROUTE_MAX ? KT_ROUTE_MAX : 1 + (size_t)extra;
}

kt_result kt_route_plan(const struct kt_config *config, struct kt_route *out)
{
    *out = (struct kt_route){.max_attempts = attempts_allowed(config)};
    size_t order[KT_ROUTE_MAX];
    size_t n = strategy_of(config)->order(config, order, KT_ROUTE_MAX);
    out->steps = calloc(n ? n : 1, sizeof *out->steps);
    KT_ENSURE(out->steps, KT_ERR_MEMORY);
    for (size_t i = 0; i < n; i++) {
        out->steps[i].index = order[i];
        out->steps[i].target = &config->providers.targets[order[i]];
        look_up_key(&out->steps[i]);
    }
    out->count = n;
    return kt_ok();
}

void kt_route_free(struct kt_route *r)
{
    for (size_t i = 0; i < r->count; i++)
        kt_free_secret(r->steps[i].key);
    free(r->steps);
    *r = (struct kt_route){.count = 0};
}
