/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/config/kt_config_parts.h"
#include "policyengine/config/kt_schema.h"
#include "policyengine/base/kt_suggest.h"
#include "policyengine/policies/kt_policy.h"

#include <stdlib.h>
#include <string.h>

static void entry_free(struct kt_chain_entry *e)
{
    if (e->opts)
        kt_options_free(e->policy->options, e->opts);
    free(e->opts);
    e->opts = NULL;
}

void kt_chain_entries_free(struct kt_config *config)
{
    for (size_t i = 0; i < config->chain_count; i++)
        entry_free(&config->chain[i]);
    free(config->chain);
    config->chain = NULL;
    config->chain_count = 0;
}

/* Kinds of the public catalogue: a name out of it is no slip of the pen. */
static bool in_catalogue(const char *kind)
{
    static const char *const kinds[] = {
#define KT_KNOWN_KIND(name) name,
#include "policyengine/config/catalogue.def"
#undef KT_KNOWN_KIND
    };
    for (size_t i = 0; i < KT_COUNT(kinds); i++)
        if (strcmp(kinds[i], kind) == 0)
            return true;
    return false;
}

static kt_result unknown_kind(struct kt_ctx *c, const struct kt_node *at)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf hint = KT_BUF_INIT(4096);
    size_t count = 0;
    const struct kt_policy *const *all = kt_policies(&count);
    struct kt_suggest s;
    char near[96];
    kt_suggest_begin(&s, at->text);
    KT_GUARD(kt_buf_puts(&hint, "this version has: "));
    for (size_t i = 0; i < count; i++) {
        kt_suggest_try(&s, all[i]->kind, strlen(all[i]->kind));
        KT_GUARD(kt_buf_printf(&hint, "%s%s", i ? ", " : "", all[i]->kind));
    }
    const char *best = kt_suggest_text(&s, near);
    if (in_catalogue(at->text))
        return kt_complain(c, "E001", at->at, hint.data,
                           "the policy kind '%s' is known, but not available in this version", at->text);
    return kt_complain(c, "E001", at->at, best ? best : hint.data, "unknown policy kind '%.*s'",
                       (int)kt_utf8_cut(at->text, strlen(at->text), 60), at->text);
}

/* The file's name as the config owns it: the caller's may not live as long. */
static const char *file_of(const struct kt_config *config, const struct kt_node *n)
{
    return n->layer < config->files.count ? config->files.items[n->layer] : NULL;
}

/* The options of one kind, defaults included, out of its block (may be NULL). `at` is where the user named
 * it. */
static kt_result read_entry(struct kt_ctx *c, const struct kt_policy *policy, const struct kt_node *block,
                            const struct kt_config *config, const struct kt_node *at,
                            struct kt_chain_entry *e)
{
    e->policy = policy;
    e->file = file_of(config, at);
    e->line = at->at.line;
    e->col = at->at.col;
    e->opts = calloc(1, policy->options_size ? policy->options_size : 1);
    KT_ENSURE(e->opts, KT_ERR_MEMORY);
    struct kt_ctx below = {.diags = c->diags}; /* the block has its own path, wherever the chain named it */
    kt_path_push(&below, "policy");
    kt_path_push(&below, policy->kind);
    return kt_read_tables(&below, policy->options, e->opts, kt_schema_common, e, block);
}

static bool in_chain(const struct kt_config *config, const struct kt_policy *policy)
{
    for (size_t i = 0; i < config->chain_count; i++)
        if (config->chain[i].policy == policy)
            return true;
    return false;
}

/* One item of policies.chain; the array has room for it. */
static kt_result read_item(struct kt_ctx *c, const struct kt_node *item, const struct kt_node *blocks,
                           struct kt_config *config)
{
    if (item->kind != KT_NODE_SCALAR)
        return kt_complain(c, "E004", item->at, "settings go below policy.<kind>",
                           "must be a policy kind, is %s", kt_node_what(item));
    const struct kt_policy *policy = kt_policy_find(item->text);
    if (!policy)
        return unknown_kind(c, item);
    if (in_chain(config, policy))
        return kt_complain(c, "E004", item->at, "keep the first or the second", "'%s' is in the chain twice",
                           policy->kind);
    const struct kt_pair *block = kt_node_pair(blocks, policy->kind);
    if (!block)
        KT_GUARD(kt_complain(c, "E003", item->at, NULL, "'%s' has no block below policy:, its defaults apply",
                             policy->kind));
    struct kt_chain_entry *e = &config->chain[config->chain_count++];
    return read_entry(c, policy, block ? block->value : NULL, config, block ? block->key : item, e);
}

static kt_result read_chain(struct kt_ctx *c, const struct kt_node *chain, const struct kt_node *blocks,
                            struct kt_config *config)
{
    size_t known = 0;
    kt_policies(&known);
    if (chain->kind != KT_NODE_LIST)
        return kt_complain(c, "E004", chain->at, "chain: [pii-detector, audit-logger]",
                           "must be a list, is %s", kt_node_what(chain));
    config->chain = calloc(known ? known : 1, sizeof *config->chain); /* no kind enters twice */
    KT_ENSURE(config->chain, KT_ERR_MEMORY);
    for (size_t i = 0; i < chain->count; i++) {
        size_t path = kt_path_push_index(c, i);
        KT_GUARD(read_item(c, chain->items[i], blocks, config));
        kt_path_pop(c, path);
    }
    return kt_ok();
}

/* A block that does not run is still checked: it is meant to run one day. */
static kt_result check_idle(struct kt_ctx *c, const struct kt_pair *block, const struct kt_policy *policy,
                            const struct kt_config *config)
{
    struct kt_chain_entry e = {0};
    kt_result r = read_entry(c, policy, block->value, config, block->key, &e);
    entry_free(&e);
    KT_GUARD(r);
    if (!config->chain) /* it could not be read: that complaint is enough */
        return kt_ok();
    size_t path = kt_path_push(c, "policy");
    kt_path_push(c, policy->kind);
    r = kt_complain(c, "W002", block->key->at, NULL, "'%s' is not in policies.chain and does not run",
                    policy->kind);
    kt_path_pop(c, path);
    return r;
}

static kt_result check_blocks(struct kt_ctx *c, const struct kt_node *blocks, const struct kt_config *config)
{
    size_t path = kt_path_push(c, "policy");
    if (!kt_node_is_null(blocks) && blocks->kind != KT_NODE_MAP)
        KT_GUARD(kt_complain(c, "E004", blocks->at, "policy: {<kind>: {...}}", "must be a mapping, is %s",
                             kt_node_what(blocks)));
    kt_path_pop(c, path);
    for (size_t i = 0; blocks && blocks->kind == KT_NODE_MAP && i < blocks->count; i++) {
        const struct kt_pair *block = &blocks->pairs[i];
        const struct kt_policy *policy = kt_policy_find(block->key->text);
        if (policy && in_chain(config, policy))
            continue;
        if (policy) {
            KT_GUARD(check_idle(c, block, policy, config));
            continue;
        }
        path = kt_path_push(c, "policy");
        kt_path_push(c, block->key->text);
        KT_GUARD(unknown_kind(c, block->key));
        kt_path_pop(c, path);
    }
    return kt_ok();
}

kt_result kt_chain_read(struct kt_ctx *c, const struct kt_node *root, struct kt_config *config)
{
    const struct kt_node *policies = kt_node_get(root, "policies"), *blocks = kt_node_get(root, "policy");
    if (kt_node_is_null(policies))
        return check_blocks(c, blocks, config); /* missing: the root table has complained */
    size_t path = kt_path_push(c, "policies");
    /* The table has names only: nothing is written. */
    KT_GUARD(kt_read_table(c, kt_schema_policies, policies, config));
    const struct kt_node *chain = kt_node_get(policies, "chain");
    if (!kt_node_is_null(chain)) {
        kt_path_push(c, "chain");
        KT_GUARD(read_chain(c, chain, blocks, config));
    }
    kt_path_pop(c, path);
    return check_blocks(c, blocks, config);
}
