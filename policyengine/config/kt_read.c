/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/config/kt_read.h"
#include "policyengine/base/kt_suggest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* For "%.*s": values are shown cut, never whole pages of them. */
#define SHOWN(s) (int)kt_utf8_cut((s), strlen(s), 60), (s)

const struct kt_option *kt_option_row(const struct kt_option *table, const char *name)
{
    for (const struct kt_option *o = table; o && o->name; o++)
        if (strcmp(o->name, name) == 0)
            return o;
    return NULL;
}

bool kt_read_is_set(const struct kt_node *root, const char *dotted)
{
    return !kt_node_is_null(kt_node_at(root, dotted));
}

/* Of a name and its alias the later layer wins; the clash within one layer is a complaint of read_map. */
const struct kt_pair *kt_read_pair(const struct kt_option *o, const struct kt_node *map)
{
    const struct kt_pair *p = kt_node_pair(map, o->name);
    const struct kt_pair *alias = o->alias ? kt_node_pair(map, o->alias) : NULL;
    return !p || (alias && alias->value->layer > p->value->layer) ? alias : p;
}

/* ---- one value ---- */

static kt_result wrong(struct kt_ctx *c, const struct kt_option *o, const struct kt_node *n,
                       const char *wanted)
{
    bool explain = o->type == KT_OPT_TABLE || o->type == KT_OPT_STRING_LIST;
    if (n->kind != KT_NODE_SCALAR || explain)
        return kt_complain(c, "E004", n->at, o->help, "must be %s, is %s", wanted, kt_node_what(n));
    char hint[128];
    kt_read_example(o, n, hint);
    return kt_complain(c, "E004", n->at, hint, "must be %s, is '%.*s'", wanted, SHOWN(n->text));
}

static bool outside(const struct kt_option *o, double v)
{
    return (o->min != 0 || o->max != 0) && (v < o->min || v > o->max);
}

static kt_result out_of_range(struct kt_ctx *c, const struct kt_option *o, const struct kt_node *n)
{
    char least[32], most[32], hint[128];
    kt_format_float(o->min, least);
    kt_format_float(o->max, most);
    kt_read_example(o, n, hint);
    return kt_complain(c, "E004", n->at, hint, "must be between %s and %s, is %.*s", least, most,
                       SHOWN(n->text));
}

static kt_result read_bool(struct kt_ctx *c, const struct kt_option *o, const struct kt_node *n, bool *out)
{
    return n->plain && kt_parse_bool(n->text, out) ? kt_ok() : wrong(c, o, n, "true or false");
}

static kt_result read_int(struct kt_ctx *c, const struct kt_option *o, const struct kt_node *n, int64_t *out)
{
    int64_t v = 0;
    if (!n->plain || !kt_parse_int(n->text, &v))
        return wrong(c, o, n, "a whole number");
    if (outside(o, (double)v))
        return out_of_range(c, o, n);
    *out = v;
    return kt_ok();
}

static kt_result read_float(struct kt_ctx *c, const struct kt_option *o, const struct kt_node *n, double *out)
{
    double v = 0;
    if (!n->plain || !kt_parse_float(n->text, &v))
        return wrong(c, o, n, "a number");
    if (outside(o, v))
        return out_of_range(c, o, n);
    *out = v;
    return kt_ok();
}

static kt_result read_string(struct kt_ctx *c, const struct kt_option *o, const struct kt_node *n, char **out)
{
    if (n->kind != KT_NODE_SCALAR)
        return wrong(c, o, n, "text");
    char *copy = strdup(n->text);
    KT_ENSURE(copy, KT_ERR_MEMORY);
    free(*out);
    *out = copy;
    return kt_ok();
}

static kt_result read_enum(struct kt_ctx *c, const struct kt_option *o, const struct kt_node *n, int *out)
{
    int index = n->kind == KT_NODE_SCALAR ? kt_parse_enum(o->values, n->text) : -1;
    if (index >= 0) {
        *out = index;
        return kt_ok();
    }
    KT_CLEANUP(kt_buf_free) struct kt_buf list = KT_BUF_INIT(1024);
    struct kt_suggest s;
    kt_suggest_begin(&s, n->kind == KT_NODE_SCALAR ? n->text : "");
    for (const char *v = o->values; *v;) {
        size_t len = strcspn(v, "|"), name = strcspn(v, "=|");
        KT_GUARD(kt_buf_printf(&list, "%s%.*s", list.len ? ", " : "", (int)name, v));
        kt_suggest_try(&s, v, name);
        v += len + (v[len] == '|');
    }
    char hint[96];
    if (n->kind != KT_NODE_SCALAR)
        return kt_complain(c, "E004", n->at, o->help, "must be one of %s, is %s", list.data, kt_node_what(n));
    const char *near = kt_suggest_text(&s, hint);
    return kt_complain(c, "E004", n->at, near ? near : o->help, "must be one of %s, is '%.*s'", list.data,
                       SHOWN(n->text));
}

static kt_result read_list(struct kt_ctx *c, const struct kt_option *o, const struct kt_node *n,
                           struct kt_strings *out)
{
    if (n->kind != KT_NODE_LIST)
        return wrong(c, o, n, "a list");
    kt_strings_free(out); /* the default: lists replace */
    for (size_t i = 0; i < n->count; i++) {
        const struct kt_node *item = n->items[i];
        size_t path = kt_path_push_index(c, i);
        if (item->kind == KT_NODE_SCALAR)
            KT_GUARD(kt_strings_add(out, item->text));
        else
            KT_GUARD(kt_complain(c, "E004", item->at, o->help, "must be text, is %s", kt_node_what(item)));
        kt_path_pop(c, path);
    }
    return kt_read_doubles(c, n);
}

static kt_result read_map(struct kt_ctx *c, const struct kt_option *table, const struct kt_node *map,
                          void *out);

kt_result kt_read_value(struct kt_ctx *c, const struct kt_option *o, const struct kt_node *n, void *field)
{
    switch (o->type) {
    case KT_OPT_BOOL:
        return read_bool(c, o, n, field);
    case KT_OPT_INT:
        return read_int(c, o, n, field);
    case KT_OPT_FLOAT:
        return read_float(c, o, n, field);
    case KT_OPT_STRING:
        return read_string(c, o, n, field);
    case KT_OPT_ENUM:
        return read_enum(c, o, n, field);
    case KT_OPT_STRING_LIST:
        return read_list(c, o, n, field);
    case KT_OPT_TABLE:
        return n->kind == KT_NODE_SCALAR || n->kind == KT_NODE_LIST ? wrong(c, o, n, "a mapping")
                                                                    : read_map(c, o->table, n, field);
    case KT_OPT_TABLE_LIST:
    case KT_OPT_STRING_MAP:
    case KT_OPT_FLOAT_MAP:
    case KT_OPT_JSON:
        return kt_read_compound(c, o, n, field);
    case KT_OPT_CUSTOM:
        return kt_ok();
    }
    return kt_err(KT_ERR_INTERNAL);
}

/* ---- a mapping ---- */

static const struct kt_option *find_option(const struct kt_option *table, const char *key)
{
    for (const struct kt_option *o = table; o && o->name; o++)
        if (strcmp(o->name, key) == 0 || (o->alias && strcmp(o->alias, key) == 0))
            return o;
    return NULL;
}

/* The keys of one mapping: those of a table and those that every mapping of its sort takes (NULL = none). */
struct keys {
    const struct kt_option *own, *common;
};

/* A key that fits one level down is mostly an indentation that got lost. */
static const struct kt_option *section_of(const struct kt_option *table, const char *key)
{
    for (const struct kt_option *o = table; o && o->name; o++)
        if (o->type == KT_OPT_TABLE && find_option(o->table, key))
            return o;
    return NULL;
}

static kt_result list_keys(const struct keys *k, struct kt_buf *out)
{
    const char *between = "known keys: ";
    for (const struct kt_option *o = k->own; o && o->name; o++, between = ", ")
        KT_GUARD(kt_buf_printf(out, "%s%s", between, o->name));
    for (const struct kt_option *o = k->common; o && o->name; o++, between = ", ")
        KT_GUARD(kt_buf_printf(out, "%s%s", between, o->name));
    return out->len ? kt_ok() : kt_buf_puts(out, "it takes no settings");
}

static void suggest_from(struct kt_suggest *s, const struct kt_option *table)
{
    for (const struct kt_option *o = table; o && o->name; o++)
        kt_suggest_try(s, o->name, strlen(o->name));
}

static kt_result unknown_key(struct kt_ctx *c, const struct keys *k, const struct kt_node *key)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf hint = KT_BUF_INIT(4096);
    struct kt_suggest s;
    char near[96];
    kt_suggest_begin(&s, key->text);
    suggest_from(&s, k->own);
    suggest_from(&s, k->common);
    const struct kt_option *section = section_of(k->own, key->text);
    if (strcmp(key->text, "<<") == 0)
        KT_GUARD(kt_buf_puts(&hint, "merge keys are not supported: layer files instead"));
    else if (section)
        KT_GUARD(kt_buf_printf(&hint, "it belongs below '%s:', check the indentation", section->name));
    else if (kt_suggest_text(&s, near))
        KT_GUARD(kt_buf_puts(&hint, near));
    else
        KT_GUARD(list_keys(k, &hint));
    size_t path = kt_path_push(c, key->text);
    kt_result r = kt_complain(c, "E002", key->at, hint.data, "unknown key '%.*s'", SHOWN(key->text));
    kt_path_pop(c, path);
    return r;
}

static kt_result missing(struct kt_ctx *c, const struct kt_option *o, struct kt_at at)
{
    size_t path = kt_path_push(c, o->name);
    kt_result r = kt_complain(c, "E005", at, o->help, "is missing");
    kt_path_pop(c, path);
    return r;
}

static kt_result said_twice(struct kt_ctx *c, const struct kt_option *o, const struct kt_node *map)
{
    const struct kt_pair *a = kt_node_pair(map, o->name), *b = o->alias ? kt_node_pair(map, o->alias) : NULL;
    if (!a || !b || a->value->layer != b->value->layer)
        return kt_ok();
    return kt_complain(c, "E004", b->key->at, "keep one of them", "'%s' and '%s' are the same setting",
                       o->name, o->alias);
}

static kt_result read_option(struct kt_ctx *c, const struct kt_option *o, const struct kt_node *map,
                             void *out)
{
    const struct kt_pair *p = kt_read_pair(o, map);
    bool is_null = !p || kt_node_is_null(p->value);
    if (is_null && o->required)
        return missing(c, o, p ? p->key->at : map->at);
    if (is_null || o->type == KT_OPT_CUSTOM)
        return kt_ok();
    KT_GUARD(said_twice(c, o, map));
    size_t path = kt_path_push(c, p->key->text);
    KT_GUARD(kt_read_value(c, o, p->value, (char *)out + o->offset));
    kt_path_pop(c, path);
    return kt_ok();
}

static kt_result check_keys(struct kt_ctx *c, const struct keys *k, const struct kt_node *map)
{
    for (size_t i = 0; i < map->count; i++) {
        const struct kt_node *key = map->pairs[i].key;
        if (!find_option(k->own, key->text) && !find_option(k->common, key->text))
            KT_GUARD(unknown_key(c, k, key));
    }
    return kt_ok();
}

kt_result kt_read_keys(struct kt_ctx *c, const struct kt_option *table, const struct kt_node *map)
{
    const struct keys k = {table, NULL};
    return check_keys(c, &k, map);
}

static kt_result read_rows(struct kt_ctx *c, const struct kt_option *table, const struct kt_node *map,
                           void *out)
{
    for (const struct kt_option *o = table; o && o->name; o++)
        KT_GUARD(read_option(c, o, map, out));
    return kt_ok();
}

static kt_result read_map(struct kt_ctx *c, const struct kt_option *table, const struct kt_node *map,
                          void *out)
{
    struct keys k = {table, NULL};
    KT_GUARD(check_keys(c, &k, map));
    return read_rows(c, table, map, out);
}

/* False where there is nothing to read; complains where that is the user's doing. */
static kt_result is_map(struct kt_ctx *c, const struct kt_node *map, bool *yes)
{
    *yes = map && (map->kind == KT_NODE_MAP || map->kind == KT_NODE_NULL);
    if (!map || *yes)
        return kt_ok();
    return kt_complain(c, "E004", map->at, "key: value, one a line", "must be a mapping, is %s",
                       kt_node_what(map));
}

kt_result kt_read_table(struct kt_ctx *c, const struct kt_option *table, const struct kt_node *map, void *out)
{
    bool yes = false;
    KT_GUARD(kt_read_defaults(table, out));
    KT_GUARD(is_map(c, map, &yes));
    return yes ? read_map(c, table, map, out) : kt_ok();
}

kt_result kt_read_tables(struct kt_ctx *c, const struct kt_option *table, void *out,
                         const struct kt_option *common, void *common_out, const struct kt_node *map)
{
    struct keys k = {table, common};
    bool yes = false;
    KT_GUARD(kt_read_defaults(table, out));
    KT_GUARD(kt_read_defaults(common, common_out));
    KT_GUARD(is_map(c, map, &yes));
    if (!yes)
        return kt_ok();
    KT_GUARD(check_keys(c, &k, map));
    KT_GUARD(read_rows(c, table, map, out));
    return read_rows(c, common, map, common_out);
}

/* ---- defaults ---- */

static bool is_compound(const struct kt_option *o)
{
    return o->type == KT_OPT_STRING_LIST || o->type == KT_OPT_TABLE_LIST || o->type == KT_OPT_STRING_MAP ||
           o->type == KT_OPT_FLOAT_MAP || o->type == KT_OPT_JSON;
}

/* Lists need the parser; scalars do without, this runs in every wrapped program. */
static kt_result default_node(const struct kt_option *o, struct kt_ctx *c, struct kt_node **out)
{
    if (is_compound(o)) {
        struct kt_source src = {o->name, 0, o->def, strlen(o->def)};
        return kt_yaml_parse(&src, c->diags, out);
    }
    struct kt_node *n = calloc(1, sizeof *n);
    KT_ENSURE(n, KT_ERR_MEMORY);
    n->kind = KT_NODE_SCALAR;
    n->plain = true;
    n->text = strdup(o->def);
    *out = n;
    return n->text ? kt_ok() : kt_err(KT_ERR_MEMORY);
}

static kt_result set_default(const struct kt_option *o, void *field)
{
    KT_CLEANUP(kt_diags_free) struct kt_diags diags = {0};
    KT_CLEANUP(kt_cleanup_node) struct kt_node *n = NULL;
    struct kt_ctx c = {.diags = &diags};
    struct kt_option anything = *o;
    bool number = o->type == KT_OPT_INT || o->type == KT_OPT_FLOAT;
    bool unset = number && o->min >= 0 && o->def[0] == '-'; /* "not set" lies outside of the range */
    if (unset)
        anything.min = anything.max = 0;
    KT_GUARD(default_node(o, &c, &n));
    KT_GUARD(kt_read_value(&c, &anything, n, field));
    return diags.count ? kt_err(KT_ERR_INTERNAL) : kt_ok(); /* the table is wrong; its test says so */
}

kt_result kt_read_defaults(const struct kt_option *table, void *out)
{
    for (const struct kt_option *o = table; o && o->name; o++) {
        void *field = (char *)out + o->offset;
        if (o->type == KT_OPT_TABLE)
            KT_GUARD(kt_read_defaults(o->table, field));
        else if (o->def && o->type != KT_OPT_CUSTOM)
            KT_GUARD(set_default(o, field));
    }
    return kt_ok();
}
