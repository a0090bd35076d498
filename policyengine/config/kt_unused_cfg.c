/* SPDX-License-Identifier: Apache-2.0 */
/* Settings that need what the targets do not say: prices for what counts money, a strategy for weights. */
#include "policyengine/config/kt_config_parts.h"

#include <math.h>
#include <stdio.h>

/* Is a target's price known, as far as the setting reads it? */
typedef bool (*priced_fn)(const struct kt_target *t);

static bool priced(const struct kt_target *t)
{
    return t->pricing.prompt >= 0 || t->pricing.completion >= 0;
}

static bool prompt_priced(const struct kt_target *t)
{
    return t->pricing.prompt >= 0;
}

static bool wholly_priced(const struct kt_target *t)
{
    return t->pricing.prompt >= 0 && t->pricing.completion >= 0;
}

static const struct needs_price {
    const char *path;
    priced_fn known;
    bool any; /* one target with a price is enough: the others come last */
} needs_price[] = {
    {"limits.budget", priced, false},
    {"limits.max_cost_per_request", priced, false},
    {"providers.routing.max_price", prompt_priced, false},
    {"providers.strategy", wholly_priced, true},
    {"providers.routing.strategy", wholly_priced, true},
};

static bool asks_for_price(const struct needs_price *n, const struct kt_node *node,
                           const struct kt_config *config)
{
    return !kt_node_is_null(node) && (!n->any || config->providers.strategy == KT_STRATEGY_COST);
}

static kt_result check_price(struct kt_ctx *c, const struct needs_price *n, const struct kt_node *node,
                             const struct kt_config *config)
{
    static const char hint[] = "pricing: {prompt: 2.0, completion: 6.0} at the target; 0 where it is free";
    size_t count = config->providers.target_count, without = 0;
    const char *first = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct kt_target *t = &config->providers.targets[i];
        if (n->known(t))
            continue;
        without++;
        first = first ? first : t->id;
    }
    if (count && (!without || (n->any && without < count)))
        return kt_ok();
    size_t path = kt_path_push(c, n->path);
    kt_result r = count == 0 ? kt_complain(c, "W006", node->at, "providers: {targets: [...]}",
                                           "has no effect without providers: no price is known")
                  : without == count
                      ? kt_complain(c, "W006", node->at, hint, "has no effect: no target has pricing")
                      : kt_complain(c, "W006", node->at, hint,
                                    "has no effect on calls to the target '%s', which has no pricing",
                                    first ? first : "");
    kt_path_pop(c, path);
    return r;
}

static kt_result check_weight(struct kt_ctx *c, const struct kt_node *list, const struct kt_config *config)
{
    for (size_t i = 0; i < config->providers.target_count && i < list->count; i++) {
        if (fabs(config->providers.targets[i].weight - 1) < 1e-9)
            continue; /* the default, or as good as it */
        const struct kt_node *weight = kt_node_get(list->items[i], "weight");
        if (kt_node_is_null(weight))
            continue;
        char path[64];
        snprintf(path, sizeof path, "providers.targets[%zu].weight", i);
        size_t outer = kt_path_push(c, path);
        kt_result r = kt_complain(c, "W006", weight->at, "providers: {strategy: weighted_round_robin}",
                                  "has no effect: only the strategy 'weighted_round_robin' goes by weights");
        kt_path_pop(c, outer);
        return r; /* one of them says it */
    }
    return kt_ok();
}

kt_result kt_unused_warn(struct kt_ctx *c, const struct kt_node *root, const struct kt_config *config)
{
    const struct kt_node *targets = kt_node_at(root, "providers.targets");
    if (kt_diags_errors(c->diags) || !config->pack.enabled)
        return kt_ok();
    for (size_t i = 0; i < KT_COUNT(needs_price); i++) {
        const struct kt_node *node = kt_node_at(root, needs_price[i].path);
        if (asks_for_price(&needs_price[i], node, config))
            KT_GUARD(check_price(c, &needs_price[i], node, config));
    }
    if (config->providers.strategy == KT_STRATEGY_WEIGHTED_ROUND_ROBIN ||
        config->providers.target_count < 2 || kt_node_is_null(targets))
        return kt_ok();
    return check_weight(c, targets, config);
}
