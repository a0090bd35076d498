/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/config/kt_config_parts.h"
#include "policyengine/config/kt_schema.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_TARGETS = 64 };

void kt_targets_free(struct kt_config *config)
{
    for (size_t i = 0; i < config->providers.target_count; i++)
        kt_target_free(&config->providers.targets[i]);
    free(config->providers.targets);
    config->providers.targets = NULL;
    config->providers.target_count = 0;
}

/* ---- targets ---- */

static kt_result unique_id(struct kt_ctx *c, const struct kt_config *config, const struct kt_node *node,
                           size_t index)
{
    const struct kt_target *all = config->providers.targets;
    for (size_t i = 0; i < index && all[index].id; i++) {
        if (!all[i].id || strcmp(all[i].id, all[index].id) != 0)
            continue;
        size_t path = kt_path_push(c, "id");
        kt_result r = kt_complain(c, "E004", kt_node_get(node, "id")->at, "each target has an id of its own",
                                  "is the id of providers.targets[%zu] too", i);
        kt_path_pop(c, path);
        return r;
    }
    return kt_ok();
}

static kt_result read_target(struct kt_ctx *c, const struct kt_node *node, struct kt_config *config)
{
    if (node->kind != KT_NODE_MAP)
        return kt_complain(c, "E004", node->at, "- {id: ..., provider: mistral, model: ...}",
                           "must be a mapping, is %s", kt_node_what(node));
    size_t index = config->providers.target_count++;
    struct kt_target *t = &config->providers.targets[index];
    KT_GUARD(kt_read_table(c, kt_schema_target, node, t));
    t->file = node->layer < config->files.count ? config->files.items[node->layer] : NULL;
    t->line = node->at.line;
    t->col = node->at.col;
    KT_GUARD(unique_id(c, config, node, index));
    KT_GUARD(kt_target_finish(c, node, t));
    return kt_unacted_warn(c, kt_unacted_target, node);
}

static kt_result read_targets(struct kt_ctx *c, const struct kt_node *list, struct kt_config *config)
{
    if (list->kind != KT_NODE_LIST)
        return kt_complain(c, "E004", list->at, "every target starts with '- id:'", "must be a list, is %s",
                           kt_node_what(list));
    if (list->count == 0 || list->count > MAX_TARGETS)
        return kt_complain(c, "E004", list->at, "leave 'providers' out to pass calls through",
                           "must hold 1 to %d targets, holds %zu", (int)MAX_TARGETS, list->count);
    config->providers.targets = calloc(list->count, sizeof *config->providers.targets);
    KT_ENSURE(config->providers.targets, KT_ERR_MEMORY);
    for (size_t i = 0; i < list->count; i++) {
        size_t path = kt_path_push_index(c, i);
        KT_GUARD(read_target(c, list->items[i], config));
        kt_path_pop(c, path);
    }
    return kt_ok();
}

/* ---- strategy ---- */

/* providers.strategy or providers.routing.strategy; the later layer wins, within one layer they must agree.
 */
static kt_result read_strategy(struct kt_ctx *c, const struct kt_node *p, struct kt_config *config)
{
    const struct kt_node *direct = kt_node_get(p, "strategy"), *routing = kt_node_at(p, "routing.strategy");
    bool both = !kt_node_is_null(direct) && !kt_node_is_null(routing);
    const struct kt_node *said =
        kt_node_is_null(direct) || (both && routing->layer > direct->layer) ? routing : direct;
    int id = -1, other = -1;
    config->providers.strategy =
        config->providers.target_count > 1 ? KT_STRATEGY_ORDERED : KT_STRATEGY_SINGLE;
    if (kt_node_is_null(said))
        return kt_ok();
    size_t path = kt_path_push(c, said == routing ? "routing.strategy" : "strategy");
    KT_GUARD(kt_read_value(c, &kt_schema_strategy, said, &id));
    if (both && routing->layer == direct->layer && routing->kind == KT_NODE_SCALAR)
        other = kt_parse_enum(kt_schema_strategy.values, routing->text);
    if (both && routing->layer == direct->layer && id >= 0 && other != id)
        KT_GUARD(kt_complain(c, "E004", said->at, "keep one of them",
                             "says something else than providers.routing.strategy"));
    if (id >= 0)
        config->providers.strategy = id;
    if (id == KT_STRATEGY_SINGLE && config->providers.target_count > 1)
        KT_GUARD(kt_complain(c, "W006", said->at, "use 'ordered' to fall back to the others",
                             "'single' uses the first target only"));
    kt_path_pop(c, path);
    return kt_ok();
}

/* ---- fallback ---- */

enum { ALL_TRIGGERS = KT_ON_RATE_LIMIT | KT_ON_SERVER_ERROR | KT_ON_TIMEOUT | KT_ON_CONNECTION_ERROR };

static kt_result read_triggers(struct kt_ctx *c, const struct kt_node *list, unsigned *out)
{
    if (list->kind != KT_NODE_LIST)
        return kt_complain(c, "E004", list->at, "triggers: [rate_limit, server_error, timeout]",
                           "must be a list, is %s", kt_node_what(list));
    *out = 0;
    for (size_t i = 0; i < list->count; i++) {
        int bit = -1; /* the enum's bits are in the order of the values */
        size_t path = kt_path_push_index(c, i);
        KT_GUARD(kt_read_value(c, &kt_schema_trigger, list->items[i], &bit));
        kt_path_pop(c, path);
        if (bit >= 0)
            *out |= 1u << bit;
    }
    return kt_read_doubles(c, list);
}

static kt_result read_fallback(struct kt_ctx *c, const struct kt_node *p, struct kt_config *config)
{
    const struct kt_node *triggers = kt_node_at(p, "fallback.triggers");
    bool several = config->providers.strategy != KT_STRATEGY_SINGLE;
    size_t path = kt_path_push(c, "fallback"), inner = kt_path_push(c, "enabled");
    if (!kt_read_is_set(p, "fallback.enabled"))
        config->providers.fallback.enabled = several;
    else if (config->providers.fallback.enabled && config->providers.strategy == KT_STRATEGY_SINGLE)
        KT_GUARD(kt_complain(c, "W006", kt_node_at(p, "fallback.enabled")->at, "use the strategy 'ordered'",
                             "has no effect: the strategy 'single' never falls back"));
    kt_path_pop(c, inner);
    config->providers.fallback.triggers = ALL_TRIGGERS;
    kt_path_push(c, "triggers");
    if (!kt_node_is_null(triggers))
        KT_GUARD(read_triggers(c, triggers, &config->providers.fallback.triggers));
    if (config->providers.fallback.triggers == 0 && triggers->count == 0)
        KT_GUARD(kt_complain(c, "W006", triggers->at, NULL, "without a trigger there is no fallback"));
    kt_path_pop(c, path);
    return kt_ok();
}

/* ---- targets that no call reaches ---- */

static kt_result check_weights(struct kt_ctx *c, const struct kt_node *p, const struct kt_config *config)
{
    double sum = 0;
    for (size_t i = 0; i < config->providers.target_count; i++)
        sum += config->providers.targets[i].weight;
    if (config->providers.strategy != KT_STRATEGY_WEIGHTED_ROUND_ROBIN ||
        config->providers.target_count == 0 || sum > 0)
        return kt_ok();
    return kt_complain(c, "E004", kt_node_get(p, "targets")->at, "weight: 1.0 for those that get calls",
                       "the weights of all targets come to 0, so that none gets a call");
}

/* In order, each failure goes one target further. */
static kt_result check_reach(struct kt_ctx *c, const struct kt_node *p, const struct kt_config *config)
{
    size_t count = config->providers.target_count;
    int64_t most = config->providers.fallback.enabled ? config->providers.fallback.max_fallback_attempts : 0;
    const struct kt_node *targets = kt_node_get(p, "targets");
    if (config->providers.strategy != KT_STRATEGY_ORDERED || count < 2 || (uint64_t)most + 1 >= count ||
        kt_node_is_null(targets) || targets->count != count)
        return kt_ok();
    size_t path = kt_path_push(c, "targets");
    kt_path_push_index(c, (size_t)most + 1);
    kt_result r = kt_complain(
        c, "W006", targets->items[most + 1]->at,
        config->providers.fallback.enabled ? "raise fallback.max_fallback_attempts"
                                           : "fallback: {enabled: true}",
        "is reached only where a target in front of it is unavailable: a failed call goes %lld further",
        (long long)most);
    kt_path_pop(c, path);
    return r;
}

/* ---- retry, circuit breaker ---- */

static kt_result read_statuses(struct kt_ctx *c, const struct kt_node *list, struct kt_config *config)
{
    static const struct kt_option row = {
        .name = "on_status", .type = KT_OPT_INT, .min = 400, .max = 599, .help = "e.g. 429"};
    size_t room = KT_COUNT(config->providers.retry.on_status);
    if (list->kind != KT_NODE_LIST || list->count > room)
        return kt_complain(c, "E004", list->at, "e.g. [429, 500, 502, 503, 504]",
                           "must be a list of at most %zu statuses", room);
    config->providers.retry.on_status_count = 0;
    for (size_t i = 0; i < list->count; i++) {
        int64_t status = 0;
        size_t path = kt_path_push_index(c, i);
        KT_GUARD(kt_read_value(c, &row, list->items[i], &status));
        kt_path_pop(c, path);
        if (status)
            config->providers.retry.on_status[config->providers.retry.on_status_count++] = (int)status;
    }
    return kt_read_doubles(c, list);
}

/* The longest wait ends the first one too. */
static kt_result check_delays(struct kt_ctx *c, const struct kt_node *p, const struct kt_config *config)
{
    int64_t first = config->providers.retry.initial_delay_ms, most = config->providers.retry.max_delay_ms;
    const struct kt_node *initial = kt_node_at(p, "retry.initial_delay_ms"),
                         *max = kt_node_at(p, "retry.max_delay_ms");
    if (first <= most || (kt_node_is_null(initial) && kt_node_is_null(max)))
        return kt_ok();
    bool at_max = !kt_node_is_null(max);
    size_t path = kt_path_push(c, at_max ? "retry.max_delay_ms" : "retry.initial_delay_ms");
    kt_result r = kt_complain(
        c, "W006", at_max ? max->at : initial->at, "raise max_delay_ms, or lower initial_delay_ms",
        "initial_delay_ms (%lld) is longer than max_delay_ms (%lld), which every wait then is",
        (long long)first, (long long)most);
    kt_path_pop(c, path);
    return r;
}

static kt_result read_retry(struct kt_ctx *c, const struct kt_node *p, struct kt_config *config)
{
    static const int statuses[] = {429, 500, 502, 503, 504};
    const struct kt_node *list = kt_node_at(p, "retry.on_status");
    memcpy(config->providers.retry.on_status, statuses, sizeof statuses);
    config->providers.retry.on_status_count = KT_COUNT(statuses);
    config->providers.retry.configured = kt_read_is_set(p, "retry");
    if (kt_read_is_set(p, "circuit_breaker") && !kt_read_is_set(p, "circuit_breaker.enabled"))
        config->providers.circuit_breaker.enabled = true;
    if (kt_node_is_null(list))
        return kt_ok();
    size_t path = kt_path_push(c, "retry");
    kt_path_push(c, "on_status");
    KT_GUARD(read_statuses(c, list, config));
    kt_path_pop(c, path);
    return kt_ok();
}

kt_result kt_providers_read(struct kt_ctx *c, const struct kt_node *root, struct kt_config *config)
{
    const struct kt_pair *pair = kt_node_pair(root, "providers");
    if (!pair)
        return kt_ok();
    size_t path = kt_path_push(c, "providers");
    if (kt_node_is_null(pair->value))
        KT_GUARD(kt_complain(c, "E005", pair->key->at,
                             "leave 'providers' out to pass calls through to their origin", "is empty"));
    const struct kt_node *p = pair->value, *targets = kt_node_get(p, "targets");
    config->has_providers = true;
    if (!kt_node_is_null(targets)) {
        size_t inner = kt_path_push(c, "targets");
        KT_GUARD(read_targets(c, targets, config));
        kt_path_pop(c, inner);
    }
    KT_GUARD(read_strategy(c, p, config));
    KT_GUARD(read_fallback(c, p, config));
    KT_GUARD(read_retry(c, p, config));
    KT_GUARD(check_delays(c, p, config));
    KT_GUARD(check_weights(c, p, config));
    KT_GUARD(check_reach(c, p, config));
    kt_path_pop(c, path);
    return kt_ok();
}
