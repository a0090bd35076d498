/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/chain/kt_chain_check.h"

#include "policyengine/chain/kt_chain.h"
#include "policyengine/config/kt_places.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct check {
    const struct kt_config *config;
    const struct kt_places *places;
    struct kt_diags *diags;
    const struct kt_chain_entry *e; /* the policy that is looked at */
    kt_result worst;                /* of what `advise` said */
};

static struct kt_at block_of(const struct kt_chain_entry *e)
{
    return (struct kt_at){e->file, e->line, e->col};
}

/* "what is wrong; how to mend it": the second half is the suggestion. */
static kt_result complain(struct check *k, const char *code, struct kt_at at, const char *below,
                          const char *text)
{
    struct kt_ctx c = {.diags = k->diags};
    char what[512], path[320];
    const char *hint = strstr(text, "; ");
    snprintf(what, sizeof what, "%.*s", (int)(hint ? (size_t)(hint - text) : strlen(text)), text);
    snprintf(path, sizeof path, "policy.%s%s", k->e->policy->kind, below);
    c.path_len = (size_t)snprintf(c.path, sizeof c.path, "%s", path);
    return kt_complain(&c, code, at, hint ? hint + 2 : NULL, "%s", what);
}

/* The path says already whose word it is, and of which option. */
static const char *without_names(const char *text, const char *kind, const char *below)
{
    size_t len = strlen(kind);
    if (strncmp(text, kind, len) == 0 && strncmp(text + len, ": ", 2) == 0)
        text += len + 2;
    const char *option = *below == '.' ? below + 1 : below;
    len = strlen(option);
    if (len && strncmp(text, option, len) == 0 && strchr(": ", text[len]) && text[len])
        text += len + strspn(text + len, ": ");
    return text;
}

static kt_result cannot_be_made(struct check *k, const struct kt_error *err)
{
    struct kt_at at = block_of(k->e);
    char below[200] = "";
    const char *text = err->text[0] ? err->text : "the policy cannot be made";
    if (!kt_places_of_message(k->places, k->e->policy->kind, text, &at, below, sizeof below))
        below[0] = '\0';
    return complain(k, "E004", at, below, without_names(text, k->e->policy->kind, below));
}

/* ---- what has no effect ---- */

static void advise_at(const struct kt_advice *a, const char *option, const char *fmt, ...) KT_PRINTF(3, 4);
static void advise_at(const struct kt_advice *a, const char *option, const char *fmt, ...)
{
    struct check *k = a->ctx;
    struct kt_at at = block_of(k->e);
    char path[256], below[200], text[600];
    snprintf(below, sizeof below, "%s%s", option ? "." : "", option ? option : "");
    snprintf(path, sizeof path, "policy.%s%s", k->e->policy->kind, below);
    if (option)
        kt_places_at(k->places, path, &at);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (kt_is_ok(k->worst))
        k->worst = complain(k, "W006", at, below, text);
}

static bool advice_written(const struct kt_advice *a, const char *option)
{
    const struct check *k = a->ctx;
    char path[256];
    snprintf(path, sizeof path, "policy.%s.%s", k->e->policy->kind, option);
    return kt_places_written(k->places, path);
}

static kt_result advise(struct check *k, const void *instance)
{
    const struct kt_policy *p = k->e->policy;
    const char *set = p->idle ? p->idle(k->e->opts, instance) : NULL;
    struct kt_ctx c = {.diags = k->diags};
    c.path_len = (size_t)snprintf(c.path, sizeof c.path, "policy.%s", p->kind);
    if (set)
        KT_GUARD(kt_complain(&c, "W006", block_of(k->e), set, "'%s' has nothing to do", p->kind));
    const struct kt_advice a = {k, k->config, advise_at, advice_written};
    if (p->advise)
        p->advise(k->e->opts, &a);
    return k->worst;
}

/* ---- the whole ---- */

static kt_result check_one(struct check *k, bool advice)
{
    const struct kt_policy *p = k->e->policy;
    struct kt_error err = {KT_OK, ""};
    void *instance = NULL;
    kt_result said = kt_ok(), r = p->init ? p->init(k->e->opts, &instance, &err) : kt_ok();
    bool made = kt_is_ok(r);
    if (made && p->check)
        r = p->check(k->e->opts, k->config, &err);
    if (made && kt_is_ok(r) && advice)
        said = advise(k, instance);
    if (made && p->fini)
        p->fini(instance);
    KT_GUARD(said);
    if (kt_is_ok(r))
        return r;
    return r.code == KT_ERR_MEMORY ? r : cannot_be_made(k, &err);
}

kt_result kt_chain_check(const struct kt_config *config, const struct kt_places *places, bool advice,
                         struct kt_diags *diags)
{
    struct check k = {.config = config, .places = places, .diags = diags, .worst = kt_ok()};
    for (size_t i = 0; i < config->chain_count; i++) {
        k.e = &config->chain[i];
        KT_GUARD(check_one(&k, advice));
    }
    return kt_ok();
}

static void cleanup_places(struct kt_places **p)
{
    kt_places_free(*p);
}

kt_result kt_chain_check_files(const struct kt_config *config, bool advice, struct kt_diags *diags)
{
    KT_CLEANUP(cleanup_places) struct kt_places *places = NULL;
    KT_GUARD(kt_places_new(config, &places));
    return kt_chain_check(config, places, advice, diags);
}
