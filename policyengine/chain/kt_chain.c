/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/chain/kt_chain_internal.h"
#include "policyengine/config/kt_config.h"

#include <stdlib.h>

static kt_result link_init(struct kt_chain *c, const struct kt_policy *policy, const void *opts,
                           struct kt_error *err)
{
    struct kt_chain_link *l = &c->links[c->count];
    l->policy = policy;
    l->opts = opts;
    if (policy->init)
        KT_GUARD(policy->init(opts, &l->instance, err));
    c->count++;
    if (policy->retain)
        policy->retain(opts, &c->retention);
    return kt_ok();
}

static void chain_cleanup(struct kt_chain **c)
{
    kt_chain_free(*c);
}

kt_result kt_chain_new_from(const struct kt_policy *const *policies, const void *const *opts, size_t n,
                            struct kt_chain **out, struct kt_error *err)
{
    *out = NULL;
    KT_CLEANUP(chain_cleanup) struct kt_chain *c = calloc(1, sizeof *c);
    if (!c)
        return kt_fail(err, KT_ERR_MEMORY, "out of memory");
    c->retention.log_all_access = true;
    c->links = calloc(n ? n : 1, sizeof *c->links);
    if (!c->links)
        return kt_fail(err, KT_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < n; i++)
        KT_GUARD(link_init(c, policies[i], opts ? opts[i] : NULL, err));
    *out = KT_TAKE(c);
    return kt_ok();
}

void kt_chain_on_error(struct kt_chain *c, size_t link, int on_error)
{
    c->links[link].on_error = on_error;
}

kt_result kt_chain_new(const struct kt_config *config, struct kt_chain **out, struct kt_error *err)
{
    *out = NULL;
    size_t n = config->chain_count;
    KT_CLEANUP(kt_cleanup_free) const struct kt_policy **policies = calloc(n ? n : 1, sizeof(*policies));
    KT_CLEANUP(kt_cleanup_free) const void **opts = calloc(n ? n : 1, sizeof(*opts));
    if (!policies || !opts)
        return kt_fail(err, KT_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < n; i++) {
        policies[i] = config->chain[i].policy;
        opts[i] = config->chain[i].opts;
    }
    KT_GUARD(kt_chain_new_from(policies, opts, n, out, err));
    for (size_t i = 0; i < n; i++)
        kt_chain_on_error(*out, i, config->chain[i].on_internal_error);
    for (size_t i = 0; i < n; i++) {
        kt_result r = policies[i]->check ? policies[i]->check(opts[i], config, err) : kt_ok();
        if (kt_is_ok(r))
            continue;
        kt_chain_free(*out);
        *out = NULL;
        return r;
    }
    return kt_ok();
}

void kt_chain_free(struct kt_chain *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->count; i++)
        if (c->links[i].policy->fini)
            c->links[i].policy->fini(c->links[i].instance);
    free(c->links);
    free(c);
}

size_t kt_chain_count(const struct kt_chain *c)
{
    return c->count;
}

bool kt_chain_has_phase(const struct kt_chain *c, enum kt_phase phase)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct kt_policy *p = c->links[i].policy;
        if ((p->phases & (unsigned)phase) && (p->text || p->tool || p->end))
            return true;
    }
    return false;
}

bool kt_chain_watches_calls(const struct kt_chain *c)
{
    for (size_t i = 0; i < c->count; i++)
        if ((c->links[i].policy->phases & KT_PHASE_RESPONSE) && c->links[i].policy->tool)
            return true;
    return false;
}

bool kt_chain_error_blocks(const struct kt_chain *c, enum kt_phase phase)
{
    for (size_t i = 0; i < c->count; i++)
        if ((c->links[i].policy->phases & (unsigned)phase) && c->links[i].on_error == KT_ON_ERROR_BLOCK)
            return true;
    return false;
}

bool kt_chain_unseen_blocks(const struct kt_chain *c, enum kt_phase phase)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct kt_policy *p = c->links[i].policy;
        bool looks = p->text || (phase == KT_PHASE_RESPONSE && p->tool);
        if (looks && (p->phases & (unsigned)phase) && c->links[i].on_error == KT_ON_ERROR_BLOCK)
            return true;
    }
    return false;
}

bool kt_chain_restores(const struct kt_chain *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->links[i].policy->restores && c->links[i].policy->restores(c->links[i].opts))
            return true;
    return false;
}

const char *kt_chain_refuser(const struct kt_chain *c, const struct kt_target *t, const char **reason)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct kt_chain_link *l = &c->links[i];
        const char *why = NULL;
        if (!l->policy->admits || l->policy->admits(l->opts, l->instance, t, &why))
            continue;
        if (reason)
            *reason = why ? why : l->policy->reason_code;
        return l->policy->kind;
    }
    return NULL;
}

const struct kt_target *kt_chain_origin(void)
{
    static char id[] = "origin", provider[] = "";
    static const struct kt_target origin = {
        .id = id, .provider = provider, .data_policy = {.retention_days = -1}};
    return &origin;
}

bool kt_chain_admits(const struct kt_chain *c, const struct kt_target *t, const char **reason)
{
    return !kt_chain_refuser(c, t, reason);
}

bool kt_chain_admits_none_warns(const struct kt_chain *c)
{
    bool warns = false;
    for (size_t i = 0; i < c->count; i++) {
        const struct kt_chain_link *l = &c->links[i];
        if (!l->policy->admits)
            continue;
        warns = l->policy->admits_none_warns && l->policy->admits_none_warns(l->opts);
        if (!warns)
            return false;
    }
    return warns;
}
