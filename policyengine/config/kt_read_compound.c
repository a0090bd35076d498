/* SPDX-License-Identifier: Apache-2.0 */
/* Values that are more than one scalar or one table: lists of tables, maps with keys of the user's own, raw
 * JSON. */
#include "policyengine/config/kt_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LIST_MAX 4096u        /* entries of one list of tables */
#define JSON_MAX (256u << 10) /* bytes of one raw value */

static kt_result wrong(struct kt_ctx *c, const struct kt_option *o, const struct kt_node *n, const char *want)
{
    return kt_complain(c, "E004", n->at, o->help, "must be %s, is %s", want, kt_node_what(n));
}

/* ---- a list of tables ---- */

static kt_result read_item(struct kt_ctx *c, const struct kt_option *o, const struct kt_node *item,
                           struct kt_list *out)
{
    if (item->kind != KT_NODE_MAP)
        return kt_complain(c, "E004", item->at, "- {key: value, ...}", "must be a mapping, is %s",
                           kt_node_what(item));
    out->count++; /* from here on kt_options_free takes care of it */
    return kt_read_table(c, o->table, item, (char *)out->items + (out->count - 1) * o->item_size);
}

static kt_result read_tables(struct kt_ctx *c, const struct kt_option *o, const struct kt_node *n,
                             struct kt_list *out)
{
    if (n->kind != KT_NODE_LIST)
        return wrong(c, o, n, "a list");
    if (n->count > LIST_MAX)
        return kt_complain(c, "E004", n->at, "leave some out", "has more than %u entries", LIST_MAX);
    kt_option_clear(o, out); /* the default: lists and maps replace */
    *out = (struct kt_list){calloc(n->count ? n->count : 1, o->item_size), 0};
    KT_ENSURE(out->items, KT_ERR_MEMORY);
    for (size_t i = 0; i < n->count; i++) {
        size_t path = kt_path_push_index(c, i);
        KT_GUARD(read_item(c, o, n->items[i], out));
        kt_path_pop(c, path);
    }
    return kt_ok();
}

/* ---- what would be right ---- */

static bool says_no(const char *s)
{
    static const char *const words[] = {"no", "off", "n", "0", "false"};
    for (size_t i = 0; i < KT_COUNT(words); i++)
        if (strcasecmp(s, words[i]) == 0)
            return true;
    return false;
}

/* Would it be right without its quotes? */
static bool only_quoted(const struct kt_option *o, const struct kt_node *n)
{
    int64_t whole;
    double number;
    bool truth;
    if (n->plain)
        return false;
    return o->type == KT_OPT_BOOL    ? kt_parse_bool(n->text, &truth)
           : o->type == KT_OPT_FLOAT ? kt_parse_float(n->text, &number)
                                     : kt_parse_int(n->text, &whole);
}

void kt_read_example(const struct kt_option *o, const struct kt_node *n, char hint[128])
{
    char least[32];
    const char *unit = strstr(o->name, "seconds") ? ", in seconds"
                       : strstr(o->name, "_ms")   ? ", in milliseconds"
                                                  : "";
    bool unset = !o->def || (o->def[0] == '-' && o->min >= 0); /* there is no default to show */
    kt_format_float(o->min, least);
    if (only_quoted(o, n))
        snprintf(hint, 128, "leave out the quotes");
    else if (o->type == KT_OPT_BOOL)
        snprintf(hint, 128, "write %s", says_no(n->text) ? "false" : "true or false");
    else
        snprintf(hint, 128, "e.g. %s%s", unset ? least : o->def, unit);
}

/* ---- words that stand in a list twice ---- */

static int by_text(const void *a, const void *b)
{
    const struct kt_node *x = *(const struct kt_node *const *)a, *y = *(const struct kt_node *const *)b;
    int order = strcmp(x->text, y->text);
    if (order)
        return order;
    return x->at.line != y->at.line ? (x->at.line < y->at.line ? -1 : 1) : x->at.col < y->at.col ? -1 : 1;
}

static size_t index_in(const struct kt_node *list, const struct kt_node *item)
{
    size_t i = 0;
    while (i < list->count && list->items[i] != item)
        i++;
    return i;
}

kt_result kt_read_doubles(struct kt_ctx *c, const struct kt_node *list)
{
    size_t n = 0;
    KT_CLEANUP(kt_cleanup_free)
    const struct kt_node **words = calloc(list->count ? list->count : 1, sizeof(*words));
    KT_ENSURE(words, KT_ERR_MEMORY);
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i]->kind == KT_NODE_SCALAR)
            words[n++] = list->items[i];
    qsort(words, n, sizeof(*words), by_text);
    for (size_t i = 1; i < n; i++) {
        if (strcmp(words[i]->text, words[i - 1]->text) != 0)
            continue;
        size_t path = kt_path_push_index(c, index_in(list, words[i]));
        KT_GUARD(kt_complain(c, "W006", words[i]->at, "leave one of them out", "is in the list twice"));
        kt_path_pop(c, path);
    }
    return kt_ok();
}

/* ---- maps ---- */

static kt_result read_strings(struct kt_ctx *c, const struct kt_option *o, const struct kt_node *n,
                              struct kt_string_map *out)
{
    if (n->kind != KT_NODE_MAP)
        return wrong(c, o, n, "a mapping");
    kt_option_clear(o, out);
    size_t room = n->count ? n->count : 1;
    *out = (struct kt_string_map){calloc(room, sizeof(char *)), calloc(room, sizeof(char *)), n->count};
    KT_ENSURE(out->keys && out->values, KT_ERR_MEMORY);
    for (size_t i = 0; i < n->count; i++) {
        const struct kt_node *v = n->pairs[i].value;
        bool scalar = v->kind == KT_NODE_SCALAR;
        out->keys[i] = strdup(n->pairs[i].key->text ? n->pairs[i].key->text : "");
        out->values[i] = strdup(scalar ? v->text : "");
        KT_ENSURE(out->keys[i] && out->values[i], KT_ERR_MEMORY);
        size_t path = kt_path_push(c, out->keys[i]);
        if (!scalar)
            KT_GUARD(kt_complain(c, "E004", v->at, o->help, "must be text, is %s", kt_node_what(v)));
        kt_path_pop(c, path);
    }
    return kt_ok();
}

static kt_result read_floats(struct kt_ctx *c, const struct kt_option *o, const struct kt_node *n,
                             struct kt_float_map *out)
{
    if (n->kind != KT_NODE_MAP)
        return wrong(c, o, n, "a mapping");
    kt_option_clear(o, out);
    size_t room = n->count ? n->count : 1;
    *out = (struct kt_float_map){calloc(room, sizeof(char *)), calloc(room, sizeof(double)), n->count};
    KT_ENSURE(out->keys && out->values, KT_ERR_MEMORY);
    struct kt_option number = {
        .name = o->name, .help = o->help, .type = KT_OPT_FLOAT, .min = o->min, .max = o->max};
    for (size_t i = 0; i < n->count; i++) {
        out->keys[i] = strdup(n->pairs[i].key->text ? n->pairs[i].key->text : "");
        KT_ENSURE(out->keys[i], KT_ERR_MEMORY);
        size_t path = kt_path_push(c, out->keys[i]);
        KT_GUARD(kt_read_value(c, &number, n->pairs[i].value, &out->values[i]));
        kt_path_pop(c, path);
    }
    return kt_ok();
}

/* ---- JSON ---- */

/* Bytes of the character at `s` that YAML does not let through as it is, and its number; 0 = fine. Control
 * characters, the line breaks and the byte order mark of Unicode, and what is no character. */
static size_t needs_escape(const char *s, unsigned *number)
{
    const unsigned char *b = (const unsigned char *)s;
    if (b[0] < 0x20 || b[0] == 0x7f) {
        *number = b[0];
        return 1;
    }
    if (b[0] == 0xc2 && b[1] < 0xa0) {
        *number = b[1];
        return 2;
    }
    bool breaks = b[0] == 0xe2 && b[1] == 0x80 && (b[2] == 0xa8 || b[2] == 0xa9);
    bool mark = b[0] == 0xef && b[1] == 0xbb && b[2] == 0xbf;
    bool none = b[0] == 0xef && b[1] == 0xbf && (b[2] == 0xbe || b[2] == 0xbf);
    if (!breaks && !mark && !none)
        return 0;
    *number = (b[0] & 0x0fu) << 12 | (b[1] & 0x3fu) << 6 | (b[2] & 0x3fu);
    return 3;
}

kt_result kt_node_quote(const char *s, struct kt_buf *out)
{
    KT_GUARD(kt_buf_puts(out, "\""));
    while (*s) {
        unsigned number = 0;
        size_t len = needs_escape(s, &number);
        if (len)
            KT_GUARD(kt_buf_printf(out, "\\u%04x", number));
        else if (*s == '"' || *s == '\\')
            KT_GUARD(kt_buf_printf(out, "\\%c", *s));
        else
            KT_GUARD(kt_buf_append(out, s, 1));
        s += len ? len : 1;
    }
    return kt_buf_puts(out, "\"");
}

/* YAML reads more numbers than JSON (0x10, +1, .5, 1_000): only what both write alike stays a number. */
static bool json_number(const char *s)
{
    s += *s == '-';
    if (*s == '0' ? s[1] >= '0' && s[1] <= '9' : *s < '1' || *s > '9')
        return false;
    s += strspn(s, "0123456789");
    if (*s == '.') {
        size_t digits = strspn(++s, "0123456789");
        if (!digits)
            return false;
        s += digits;
    }
    if (*s == 'e' || *s == 'E') {
        s += 1 + (s[1] == '+' || s[1] == '-');
        size_t digits = strspn(s, "0123456789");
        if (!digits)
            return false;
        s += digits;
    }
    return !*s;
}

static kt_result put_scalar(const struct kt_node *n, struct kt_buf *out)
{
    bool truth;
    if (n->plain && json_number(n->text))
        return kt_buf_puts(out, n->text);
    if (n->plain && kt_parse_bool(n->text, &truth))
        return kt_buf_puts(out, truth ? "true" : "false");
    return kt_node_quote(n->text, out);
}

/* The tree is at most KT_YAML_MAX_DEPTH deep. */
kt_result kt_node_json(const struct kt_node *n, struct kt_buf *out)
{
    if (kt_node_is_null(n))
        return kt_buf_puts(out, "null");
    if (n->kind == KT_NODE_SCALAR)
        return put_scalar(n, out);
    bool map = n->kind == KT_NODE_MAP;
    KT_GUARD(kt_buf_puts(out, map ? "{" : "["));
    for (size_t i = 0; i < n->count; i++) {
        if (i)
            KT_GUARD(kt_buf_puts(out, ","));
        if (map) {
            KT_GUARD(kt_node_quote(n->pairs[i].key->text ? n->pairs[i].key->text : "", out));
            KT_GUARD(kt_buf_puts(out, ":"));
        }
        KT_GUARD(kt_node_json(map ? n->pairs[i].value : n->items[i], out));
    }
    return kt_buf_puts(out, map ? "}" : "]");
}

static kt_result read_json(struct kt_ctx *c, const struct kt_node *n, char **out)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf b = KT_BUF_INIT(JSON_MAX);
    kt_result r = kt_node_json(n, &b);
    if (r.code == KT_ERR_LIMIT)
        return kt_complain(c, "E004", n->at, "make it shorter", "is longer than %u bytes", JSON_MAX);
    KT_GUARD(r);
    free(*out);
    *out = kt_buf_take(&b);
    return *out ? kt_ok() : kt_err(KT_ERR_MEMORY);
}

kt_result kt_read_compound(struct kt_ctx *c, const struct kt_option *o, const struct kt_node *n, void *field)
{
    switch (o->type) {
    case KT_OPT_TABLE_LIST:
        return read_tables(c, o, n, field);
    case KT_OPT_STRING_MAP:
        return read_strings(c, o, n, field);
    case KT_OPT_FLOAT_MAP:
        return read_floats(c, o, n, field);
    case KT_OPT_JSON:
        return read_json(c, n, field);
    default:
        return kt_err(KT_ERR_INTERNAL);
    }
}
