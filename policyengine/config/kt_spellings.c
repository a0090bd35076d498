/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/config/kt_spellings.h"
#include "policyengine/config/kt_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum action { MOVED, SPAN, FLAG, WORD, REFUSED };

struct spelling {
    enum action action;
    const char *from, *to; /* dotted */
    int64_t unit_ms;       /* SPAN: what `to` counts in */
    const char *no, *yes;  /* WORD: what stands for false and true */
    const char *values;    /* MOVED: the words that both take, as of an enum; NULL = any */
    const char *code, *what, *hint;
};

#define KT_MOVED(a, b) {.action = MOVED, .from = (a), .to = (b)},
#define KT_MOVED_WORD(a, b, v) {.action = MOVED, .from = (a), .to = (b), .values = (v)},
#define KT_SPAN(a, b, ms) {.action = SPAN, .from = (a), .to = (b), .unit_ms = (ms)},
#define KT_FLAG(a, b) {.action = FLAG, .from = (a), .to = (b)},
#define KT_WORD(a, b, n, y) {.action = WORD, .from = (a), .to = (b), .no = (n), .yes = (y)},
#define KT_REFUSED(a, w, h) {.action = REFUSED, .from = (a), .code = "E007", .what = (w), .hint = (h)},
#define KT_KEY(a, w, h) {.action = REFUSED, .from = (a), .code = "E004", .what = (w), .hint = (h)},
static const struct spelling root_spellings[] = {
#include "policyengine/config/spellings_root.def"
#include "policyengine/config/spellings_policies.def"
};
static const struct spelling assertion_spellings[] = {
#include "policyengine/config/spellings_assertion.def"
};
static const struct spelling target_spellings[] = {
#include "policyengine/config/spellings_target.def"
};

/* ---- values ---- */

/* "500ms", "30s", "5m", "2h", or a bare number, which counts in the unit of the setting. */
static bool parse_span(const char *s, int64_t unit_ms, int64_t *out)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"", 0}};
    size_t digits = strspn(s, "0123456789");
    if (digits == 0 || digits > 9)
        return false;
    int64_t n = strtoll(s, NULL, 10);
    for (size_t i = 0; i < KT_COUNT(units); i++)
        if (strcmp(s + digits, units[i].name) == 0) {
            int64_t ms = units[i].ms ? n * units[i].ms : n * unit_ms;
            *out = ms / unit_ms;
            return ms % unit_ms == 0;
        }
    return false;
}

static kt_result rewrite(struct kt_node *n, const char *text)
{
    char *copy = strdup(text);
    KT_ENSURE(copy, KT_ERR_MEMORY);
    free(n->text);
    n->text = copy;
    n->plain = true;
    return kt_ok();
}

static kt_result to_number(struct kt_ctx *c, const struct spelling *s, struct kt_node *n)
{
    int64_t v = 0;
    char text[24];
    if (n->kind != KT_NODE_SCALAR || !parse_span(n->text, s->unit_ms, &v))
        return kt_complain(c, "E004", n->at, "e.g. 30s or 500ms", "must be a duration of whole %s",
                           s->unit_ms == 1 ? "milliseconds" : "seconds");
    snprintf(text, sizeof text, "%lld", (long long)v);
    return rewrite(n, text);
}

static kt_result to_bool(struct kt_ctx *c, const struct spelling *s, struct kt_node *n)
{
    bool yes = n->kind == KT_NODE_SCALAR && strcmp(n->text, s->yes) == 0;
    if (!yes && (n->kind != KT_NODE_SCALAR || strcmp(n->text, s->no) != 0))
        return kt_complain(c, "E004", n->at, s->yes, "must be one of %s, %s", s->no, s->yes);
    return rewrite(n, yes ? "true" : "false");
}

/* ---- moving ---- */

/* An empty map under `key`, in place of a null; it stands where `like` stands. */
static kt_result add_map(struct kt_node *parent, const char *key, const struct kt_node *like)
{
    KT_CLEANUP(kt_pair_free) struct kt_pair old = {NULL, NULL};
    KT_CLEANUP(kt_cleanup_node) struct kt_node *name = kt_node_scalar(key, true);
    struct kt_node *map = name ? kt_node_map() : NULL;
    KT_ENSURE(map, KT_ERR_MEMORY);
    name->at = map->at = like->at;
    name->layer = map->layer = like->layer;
    kt_node_take_pair(parent, key, &old);
    return kt_node_add_pair(parent, KT_TAKE(name), map);
}

/* The map at the first `len` bytes of `dotted`, made where it is missing; NULL where something else is there
 * (reading it will complain). */
static kt_result make_map(struct kt_node *from, const char *dotted, size_t len, const struct kt_node *like,
                          struct kt_node **out)
{
    *out = from;
    for (size_t used = 0; used < len && *out;) {
        char key[64];
        size_t n = strcspn(dotted + used, ".");
        snprintf(key, sizeof key, "%.*s", (int)n, dotted + used);
        const struct kt_pair *p = kt_node_pair(*out, key);
        if (!p || (p->value->kind == KT_NODE_NULL && p->value->layer <= like->layer)) {
            KT_GUARD(add_map(*out, key, like));
            p = kt_node_pair(*out, key);
        }
        *out = p && p->value->kind == KT_NODE_MAP ? p->value : NULL;
        used += n + 1;
    }
    return kt_ok();
}

static kt_result put(struct kt_ctx *c, struct kt_node *map, struct kt_pair *from, const char *to,
                     const char *values);

/* Every key of a map on its own, so that each finds its own clash. */
static kt_result put_all(struct kt_ctx *c, struct kt_node *map, struct kt_node *from, const char *to)
{
    while (from->count) {
        KT_CLEANUP(kt_pair_free) struct kt_pair p = {NULL, NULL};
        const char *key = from->pairs[0].key->text;
        char name[128];
        snprintf(name, sizeof name, "%s.%.*s", to, (int)kt_utf8_cut(key, strlen(key), 40), key);
        if (!kt_node_take_pair(from, key, &p))
            return kt_err(KT_ERR_INTERNAL);
        KT_GUARD(put(c, map, &p, name, NULL));
    }
    return kt_ok();
}

/* Two words for one thing, as an enum has it. */
static bool same(const struct kt_node *a, const struct kt_node *b, const char *values)
{
    if (!values || a->kind != KT_NODE_SCALAR || b->kind != KT_NODE_SCALAR)
        return false;
    int word = kt_parse_enum(values, a->text);
    return word >= 0 && word == kt_parse_enum(values, b->text);
}

/* Puts a pair into `map`, where its name is `to` in words. Of two the later layer wins; within one layer
 * they say the same, or the user must decide. Empties *from where it is used. */
static kt_result put(struct kt_ctx *c, struct kt_node *map, struct kt_pair *from, const char *to,
                     const char *values)
{
    const struct kt_pair *there = kt_node_pair(map, from->key->text);
    if (there && there->value->kind == KT_NODE_MAP && from->value->kind == KT_NODE_MAP)
        return put_all(c, there->value, from->value, to);
    if (there && there->value->layer == from->value->layer && !kt_node_is_null(there->value) &&
        !kt_node_is_null(from->value) && !same(there->value, from->value, values))
        return kt_complain(c, "E004", from->key->at, "keep one of them",
                           "is another spelling of '%s', which is set too", to);
    if (there && (there->value->layer > from->value->layer || kt_node_is_null(from->value)))
        return kt_ok();
    struct kt_pair old = {NULL, NULL};
    if (there && kt_node_take_pair(map, from->key->text, &old))
        kt_pair_free(&old);
    return kt_node_add_pair(map, KT_TAKE(from->key), KT_TAKE(from->value));
}

static const char *last_word(const char *dotted)
{
    const char *dot = strrchr(dotted, '.');
    return dot ? dot + 1 : dotted;
}

static struct kt_node *parent_of(struct kt_node *root, const char *dotted)
{
    const char *dot = strrchr(dotted, '.');
    char path[128];
    if (!dot)
        return root;
    snprintf(path, sizeof path, "%.*s", (int)(dot - dotted), dotted);
    return (struct kt_node *)(uintptr_t)kt_node_at(root, path); /* the tree is ours to change */
}

/* What is not there and switched off asks for nothing. */
static bool is_off(const struct kt_node *n)
{
    const struct kt_node *enabled = n->kind == KT_NODE_MAP ? kt_node_get(n, "enabled") : n;
    bool on = true;
    return kt_node_is_null(n) || (enabled && enabled->kind == KT_NODE_SCALAR && enabled->plain &&
                                  kt_parse_bool(enabled->text, &on) && !on);
}

static kt_result apply(struct kt_ctx *c, const struct spelling *s, struct kt_node *root)
{
    KT_CLEANUP(kt_pair_free) struct kt_pair p = {NULL, NULL};
    struct kt_node *parent = parent_of(root, s->from), *into = NULL;
    if (!parent || !kt_node_take_pair(parent, last_word(s->from), &p))
        return kt_ok();
    if (s->action == REFUSED && strcmp(s->code, "E007") == 0 && is_off(p.value))
        return kt_ok();
    size_t errors = kt_diags_errors(c->diags), path = kt_path_push(c, s->from);
    if (s->action == REFUSED) {
        KT_GUARD(kt_complain(c, s->code, p.key->at, s->hint, "%s", s->what));
        if (parent->count == 0)
            parent->kind = KT_NODE_NULL; /* or its emptiness would be a second complaint */
    } else if (s->action == SPAN && !kt_node_is_null(p.value))
        KT_GUARD(to_number(c, s, p.value));
    else if (s->action == WORD && !kt_node_is_null(p.value))
        KT_GUARD(to_bool(c, s, p.value));
    if (s->action != REFUSED && kt_diags_errors(c->diags) == errors) {
        size_t len = strlen(s->to) - strlen(last_word(s->to));
        KT_GUARD(make_map(root, s->to, len ? len - 1 : 0, p.value, &into));
        KT_GUARD(rewrite(p.key, last_word(s->to)));
        if (into)
            KT_GUARD(put(c, into, &p, s->to, s->values));
    }
    kt_path_pop(c, path);
    return kt_ok();
}

static kt_result apply_each(struct kt_ctx *c, const struct spelling *list, size_t n, struct kt_node *root,
                            const char *where)
{
    const struct kt_node *items = kt_node_at(root, where);
    if (!items || items->kind != KT_NODE_LIST)
        return kt_ok();
    size_t path = kt_path_push(c, where);
    for (size_t t = 0; t < items->count; t++) {
        size_t inner = kt_path_push_index(c, t);
        for (size_t i = 0; i < n; i++)
            KT_GUARD(apply(c, &list[i], items->items[t]));
        kt_path_pop(c, inner);
    }
    kt_path_pop(c, path);
    return kt_ok();
}

kt_result kt_spellings_apply(struct kt_ctx *c, struct kt_node *root)
{
    for (size_t i = 0; i < KT_COUNT(root_spellings); i++)
        KT_GUARD(apply(c, &root_spellings[i], root));
    KT_GUARD(apply_each(c, target_spellings, KT_COUNT(target_spellings), root, "providers.targets"));
    return apply_each(c, assertion_spellings, KT_COUNT(assertion_spellings), root,
                      "policy.quality-scorer.assertions");
}
