/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/config/kt_effective.h"
#include "policyengine/config/kt_read.h"
#include "policyengine/config/kt_schema.h"
#include "policyengine/policies/kt_policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- small parts ---- */

/* Takes `value`; NULL = out of memory. */
static kt_result put(struct kt_node *map, const char *key, struct kt_node *value)
{
    KT_CLEANUP(kt_cleanup_node) struct kt_node *held = value;
    KT_ENSURE(held, KT_ERR_MEMORY);
    struct kt_node *name = kt_node_scalar(key, false);
    KT_ENSURE(name, KT_ERR_MEMORY);
    return kt_node_add_pair(map, name, KT_TAKE(held));
}

static kt_result add(struct kt_node *list, struct kt_node *item)
{
    KT_ENSURE(item, KT_ERR_MEMORY);
    return kt_node_add_item(list, item);
}

static struct kt_node *of_bool(bool v)
{
    return kt_node_scalar(v ? "true" : "false", true);
}

static struct kt_node *of_int(int64_t v)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)v);
    return kt_node_scalar(text, true);
}

static struct kt_node *of_float(double v)
{
    char text[32];
    kt_format_float(v, text);
    return kt_node_scalar(text, true);
}

static struct kt_node *of_enum(const char *values, int index)
{
    char text[64];
    struct kt_span name = kt_enum_name(values, index);
    snprintf(text, sizeof text, "%.*s", (int)name.len, name.data);
    return kt_node_scalar(text, false);
}

static struct kt_node *of_strings(const struct kt_strings *s)
{
    KT_CLEANUP(kt_cleanup_node) struct kt_node *list = kt_node_list();
    for (size_t i = 0; list && i < s->count; i++)
        if (!kt_is_ok(add(list, kt_node_scalar(s->items[i], false))))
            return NULL;
    return KT_TAKE(list);
}

/* JSON is YAML. */
static kt_result of_json(const char *json, struct kt_node **out)
{
    KT_CLEANUP(kt_diags_free) struct kt_diags diags = {0};
    struct kt_source src = {"json", 0, json, strlen(json)};
    kt_result r = kt_yaml_parse(&src, &diags, out);
    return r.code == KT_ERR_USAGE ? kt_err(KT_ERR_LIMIT) : r;
}

/* ---- tables ---- */

static kt_result of_table(const struct kt_option *table, const void *opts, struct kt_node **out);

/* A number outside of its range is one that was not set. */
static bool out_of_range(const struct kt_option *o, double v)
{
    return (o->min != 0 || o->max != 0) && (v < o->min || v > o->max);
}

static kt_result of_tables(const struct kt_option *o, const struct kt_list *l, struct kt_node **out)
{
    KT_CLEANUP(kt_cleanup_node) struct kt_node *list = kt_node_list();
    KT_ENSURE(list, KT_ERR_MEMORY);
    for (size_t i = 0; i < l->count; i++) {
        struct kt_node *item = NULL;
        KT_GUARD(of_table(o->table, (const char *)l->items + i * o->item_size, &item));
        KT_GUARD(add(list, item ? item : kt_node_map()));
    }
    *out = KT_TAKE(list);
    return kt_ok();
}

static kt_result of_string_map(const struct kt_string_map *m, struct kt_node **out)
{
    KT_CLEANUP(kt_cleanup_node) struct kt_node *map = kt_node_map();
    KT_ENSURE(map, KT_ERR_MEMORY);
    for (size_t i = 0; i < m->count; i++)
        KT_GUARD(put(map, m->keys[i], kt_node_scalar(m->values[i], false)));
    *out = KT_TAKE(map);
    return kt_ok();
}

static kt_result of_float_map(const struct kt_float_map *m, struct kt_node **out)
{
    KT_CLEANUP(kt_cleanup_node) struct kt_node *map = kt_node_map();
    KT_ENSURE(map, KT_ERR_MEMORY);
    for (size_t i = 0; i < m->count; i++)
        KT_GUARD(put(map, m->keys[i], of_float(m->values[i])));
    *out = KT_TAKE(map);
    return kt_ok();
}

static kt_result made(struct kt_node *n, struct kt_node **out)
{
    *out = n;
    return n ? kt_ok() : kt_err(KT_ERR_MEMORY);
}

/* *out stays NULL for an option that is not set. */
static kt_result of_option(const struct kt_option *o, const void *field, struct kt_node **out)
{
    char *const *text = field;
    switch (o->type) {
    case KT_OPT_BOOL:
        return made(of_bool(*(const bool *)field), out);
    case KT_OPT_INT:
        return out_of_range(o, (double)*(const int64_t *)field) ? kt_ok()
                                                                : made(of_int(*(const int64_t *)field), out);
    case KT_OPT_FLOAT:
        return out_of_range(o, *(const double *)field) ? kt_ok()
                                                       : made(of_float(*(const double *)field), out);
    case KT_OPT_STRING:
        return *text ? made(kt_node_scalar(*text, false), out) : kt_ok();
    case KT_OPT_ENUM:
        return made(of_enum(o->values, *(const int *)field), out);
    case KT_OPT_STRING_LIST:
        return made(of_strings(field), out);
    case KT_OPT_TABLE:
        return of_table(o->table, field, out);
    case KT_OPT_TABLE_LIST:
        return of_tables(o, field, out);
    case KT_OPT_STRING_MAP:
        return of_string_map(field, out);
    case KT_OPT_FLOAT_MAP:
        return of_float_map(field, out);
    case KT_OPT_JSON:
        return *text ? of_json(*text, out) : kt_ok();
    case KT_OPT_CUSTOM:
        return kt_ok();
    }
    return kt_err(KT_ERR_INTERNAL);
}

/* Adds every set option to `map`. *complete: no required one is missing. */
static kt_result add_options(const struct kt_option *table, const void *opts, struct kt_node *map,
                             bool *complete)
{
    for (const struct kt_option *o = table; o && o->name; o++) {
        struct kt_node *value = NULL;
        KT_GUARD(of_option(o, (const char *)opts + o->offset, &value));
        if (value)
            KT_GUARD(put(map, o->name, value));
        else if (o->required)
            *complete = false;
    }
    return kt_ok();
}

/* *out stays NULL for a section in which nothing is set, or not what it cannot be without. */
static kt_result of_table(const struct kt_option *table, const void *opts, struct kt_node **out)
{
    KT_CLEANUP(kt_cleanup_node) struct kt_node *map = kt_node_map();
    bool complete = true;
    KT_ENSURE(map, KT_ERR_MEMORY);
    KT_GUARD(add_options(table, opts, map, &complete));
    if (complete && map->count)
        *out = KT_TAKE(map);
    return kt_ok();
}

/* ---- what the tables do not hold ---- */

static kt_result of_chain(const struct kt_config *c, struct kt_node **out)
{
    KT_CLEANUP(kt_cleanup_node) struct kt_node *map = kt_node_map(), *list = kt_node_list();
    KT_ENSURE(map && list, KT_ERR_MEMORY);
    for (size_t i = 0; i < c->chain_count; i++)
        KT_GUARD(add(list, kt_node_scalar(c->chain[i].policy->kind, false)));
    KT_GUARD(put(map, "chain", KT_TAKE(list)));
    *out = KT_TAKE(map);
    return kt_ok();
}

static kt_result of_blocks(const struct kt_config *c, struct kt_node **out)
{
    KT_CLEANUP(kt_cleanup_node) struct kt_node *map = kt_node_map();
    KT_ENSURE(map, KT_ERR_MEMORY);
    for (size_t i = 0; i < c->chain_count; i++) {
        KT_CLEANUP(kt_cleanup_node) struct kt_node *block = kt_node_map();
        bool complete = true;
        KT_ENSURE(block, KT_ERR_MEMORY);
        KT_GUARD(add_options(c->chain[i].policy->options, c->chain[i].opts, block, &complete));
        KT_GUARD(add_options(kt_schema_common, &c->chain[i], block, &complete));
        KT_GUARD(put(map, c->chain[i].policy->kind, KT_TAKE(block)));
    }
    if (map->count)
        *out = KT_TAKE(map);
    return kt_ok();
}

static kt_result of_model_map(const struct kt_config *c, struct kt_node **out)
{
    KT_CLEANUP(kt_cleanup_node) struct kt_node *map = kt_node_map();
    KT_ENSURE(map, KT_ERR_MEMORY);
    for (size_t i = 0; i < c->model_map_count; i++)
        KT_GUARD(put(map, c->model_map[i].from, kt_node_scalar(c->model_map[i].to, false)));
    if (map->count)
        *out = KT_TAKE(map);
    return kt_ok();
}

static struct kt_node *of_triggers(unsigned triggers)
{
    KT_CLEANUP(kt_cleanup_node) struct kt_node *list = kt_node_list();
    for (int i = 0; list && triggers >> i; i++)
        if (triggers >> i & 1 && !kt_is_ok(add(list, of_enum(kt_schema_trigger.values, i))))
            return NULL;
    return KT_TAKE(list);
}

static struct kt_node *of_statuses(const int *statuses, size_t n)
{
    KT_CLEANUP(kt_cleanup_node) struct kt_node *list = kt_node_list();
    for (size_t i = 0; list && i < n; i++)
        if (!kt_is_ok(add(list, of_int(statuses[i]))))
            return NULL;
    return KT_TAKE(list);
}

static kt_result of_targets(const struct kt_config *c, struct kt_node **out)
{
    struct kt_list all = {c->providers.targets, c->providers.target_count};
    struct kt_option row = {.table = kt_schema_target, .item_size = sizeof *c->providers.targets};
    return of_tables(&row, &all, out);
}

static struct kt_node *section(struct kt_node *map, const char *name)
{
    return (struct kt_node *)(uintptr_t)kt_node_get(map, name); /* the map is ours */
}

/* The table has the sections; the strategy stands in front of them, the lists and the targets behind. */
static kt_result of_providers(const struct kt_config *c, struct kt_node **out)
{
    KT_CLEANUP(kt_cleanup_node) struct kt_node *map = kt_node_map(), *targets = NULL;
    bool complete = true;
    if (!c->has_providers)
        return kt_ok();
    KT_ENSURE(map, KT_ERR_MEMORY);
    KT_GUARD(put(map, "strategy", of_enum(kt_schema_strategy.values, c->providers.strategy)));
    KT_GUARD(add_options(kt_schema_providers, &c->providers, map, &complete));
    struct kt_node *fallback = section(map, "fallback"), *retry = section(map, "retry");
    KT_ENSURE(fallback && retry, KT_ERR_INTERNAL);
    KT_GUARD(put(fallback, "triggers", of_triggers(c->providers.fallback.triggers)));
    KT_GUARD(put(retry, "on_status",
                 of_statuses(c->providers.retry.on_status, c->providers.retry.on_status_count)));
    if (!c->providers.retry.configured) { /* its presence is its switch */
        KT_CLEANUP(kt_pair_free) struct kt_pair unused = {NULL, NULL};
        kt_node_take_pair(map, "retry", &unused);
    }
    KT_GUARD(of_targets(c, &targets));
    KT_GUARD(put(map, "targets", KT_TAKE(targets)));
    *out = KT_TAKE(map);
    return kt_ok();
}

static kt_result of_section(const struct kt_option *o, const struct kt_config *c, struct kt_node **out)
{
    static const struct {
        const char *name;
        kt_result (*make)(const struct kt_config *c, struct kt_node **out);
    } own[] = {{"policies", of_chain},
               {"policy", of_blocks},
               {"providers", of_providers},
               {"model_map", of_model_map}};
    for (size_t i = 0; i < KT_COUNT(own); i++)
        if (strcmp(o->name, own[i].name) == 0)
            return own[i].make(c, out);
    return of_option(o, (const char *)c + o->offset, out);
}

kt_result kt_effective_tree(const struct kt_config *config, struct kt_node **out)
{
    KT_CLEANUP(kt_cleanup_node) struct kt_node *root = kt_node_map();
    KT_ENSURE(root, KT_ERR_MEMORY);
    for (const struct kt_option *o = kt_schema_root; o->name; o++) {
        struct kt_node *value = NULL;
        KT_GUARD(of_section(o, config, &value));
        if (value)
            KT_GUARD(put(root, o->name, value));
    }
    *out = KT_TAKE(root);
    return kt_ok();
}
