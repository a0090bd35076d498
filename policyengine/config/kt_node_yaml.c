/* SPDX-License-Identifier: Apache-2.0 */
/* A tree as text again: one form for one tree. */
#include "policyengine/config/kt_read.h"

#include <string.h>

/* Words that some YAML reader takes for a boolean or for nothing. */
static bool is_reserved(const char *s)
{
    static const char *const words[] = {"true", "false", "yes", "no", "on", "off", "y", "n", "null", "~"};
    for (size_t i = 0; i < KT_COUNT(words); i++)
        if (kt_span_ieq(kt_span(s, strlen(s)), words[i]))
            return true;
    return false;
}

/* Anything that begins like a number, unless two points make it a version or an address. */
static bool like_number(const char *s)
{
    const char *dot = strchr(s, '.');
    bool two = dot && strchr(dot + 1, '.');
    return (*s >= '0' && *s <= '9' && !two) || *s == '+' || *s == '.';
}

static bool needs_quotes(const char *s)
{
    static const char inside[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                 "_-./+=@$%^~();?<>|&*! ";
    size_t len = strlen(s);
    if (len == 0 || is_reserved(s) || like_number(s) || s[len - 1] == ' ')
        return true;
    /* ':' is plain inside of a word only: URLs. */
    for (size_t i = 0; i < len; i++) {
        bool colon = s[i] == ':' && i > 0 && s[i + 1] && s[i + 1] != ' ';
        if (!colon && !strchr(inside, s[i]))
            return true;
    }
    return strchr("-./+=@$%^~();?<>|&*! ", s[0]) && s[0] != '/' && s[0] != '$';
}

static kt_result put_text(const char *s, bool plain, struct kt_buf *out)
{
    return plain || !needs_quotes(s) ? kt_buf_puts(out, s) : kt_node_quote(s, out);
}

static kt_result indent(unsigned depth, struct kt_buf *out)
{
    for (unsigned i = 0; i < depth; i++)
        KT_GUARD(kt_buf_puts(out, "  "));
    return kt_ok();
}

static kt_result put_lines(const struct kt_node *n, unsigned depth, bool begun, struct kt_buf *out);

/* What follows a key or a dash: on the same line where it fits there. */
static kt_result put_value(const struct kt_node *n, unsigned depth, bool in_list, struct kt_buf *out)
{
    bool compound = (n->kind == KT_NODE_MAP || n->kind == KT_NODE_LIST) && n->count;
    if (compound && in_list) {
        KT_GUARD(kt_buf_puts(out, " "));
        return put_lines(n, depth, true, out);
    }
    if (compound) {
        KT_GUARD(kt_buf_puts(out, "\n"));
        return put_lines(n, depth, false, out);
    }
    KT_GUARD(kt_buf_puts(out, " "));
    if (n->kind == KT_NODE_SCALAR)
        KT_GUARD(put_text(n->text, n->plain, out));
    else
        KT_GUARD(kt_buf_puts(out, n->kind == KT_NODE_NULL ? "null" : n->kind == KT_NODE_MAP ? "{}" : "[]"));
    return kt_buf_puts(out, "\n");
}

/* The lines of a map or a list that is not empty; `begun`: the first is indented already. */
static kt_result put_lines(const struct kt_node *n, unsigned depth, bool begun, struct kt_buf *out)
{
    for (size_t i = 0; i < n->count; i++) {
        bool map = n->kind == KT_NODE_MAP;
        if (i || !begun)
            KT_GUARD(indent(depth, out));
        if (!map) {
            KT_GUARD(kt_buf_puts(out, "-"));
            KT_GUARD(put_value(n->items[i], depth + 1, true, out));
            continue;
        }
        KT_GUARD(put_text(n->pairs[i].key->text, false, out));
        KT_GUARD(kt_buf_puts(out, ":"));
        KT_GUARD(put_value(n->pairs[i].value, depth + 1, false, out));
    }
    return kt_ok();
}

kt_result kt_node_yaml(const struct kt_node *n, struct kt_buf *out)
{
    if ((n->kind != KT_NODE_MAP && n->kind != KT_NODE_LIST) || n->count == 0)
        return put_value(n, 0, true, out);
    return put_lines(n, 0, false, out);
}
