/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/config/kt_places.h"

#include "policyengine/config/kt_files.h"
#include "policyengine/config/kt_spellings.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kt_places {
    const struct kt_config *config; /* borrowed */
    struct kt_node *root;           /* owned; NULL = nothing is known */
};

void kt_places_free(struct kt_places *p)
{
    if (p)
        kt_node_free(p->root);
    free(p);
}

/* One more layer on top; false where the file is not what it was when the config was loaded. */
static bool add(struct kt_places *p, unsigned layer)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf text = KT_BUF_INIT(KT_YAML_MAX_BYTES);
    KT_CLEANUP(kt_diags_free) struct kt_diags diags = {.items = NULL};
    struct kt_node *over = NULL;
    const char *file = p->config->files.items[layer];
    if (!kt_is_ok(kt_file_read(file, &text)))
        return false;
    const struct kt_source source = {file, layer, text.len ? text.data : "", text.len};
    return kt_is_ok(kt_yaml_parse(&source, &diags, &over)) && kt_is_ok(kt_node_layer(&p->root, over));
}

kt_result kt_places_new(const struct kt_config *config, struct kt_places **out)
{
    KT_CLEANUP(kt_diags_free) struct kt_diags diags = {.items = NULL};
    struct kt_ctx c = {.diags = &diags};
    struct kt_places *p = *out = calloc(1, sizeof *p);
    KT_ENSURE(p, KT_ERR_MEMORY);
    p->config = config;
    bool all = true;
    for (size_t i = 0; i < config->files.count && all; i++)
        all = add(p, (unsigned)i);
    if (all && p->root && kt_is_ok(kt_spellings_apply(&c, p->root)))
        return kt_ok();
    kt_node_free(p->root);
    p->root = NULL;
    return kt_ok();
}

/* ---- by path ---- */

/* One step of a path: a key, or an index in brackets. False at its end, or where it is none. */
static bool step(const char **path, char name[128], size_t *index)
{
    const char *s = *path;
    s += *s == '.';
    *index = SIZE_MAX;
    if (*s == '[') {
        char *end = NULL;
        *index = strtoul(s + 1, &end, 10);
        *path = *end == ']' ? end + 1 : end;
        return *end == ']';
    }
    size_t n = strcspn(s, ".[");
    snprintf(name, 128, "%.*s", (int)n, s);
    *path = s + n;
    return n > 0;
}

static const struct kt_node *child(const struct kt_node *in, const char *name, size_t index)
{
    if (index == SIZE_MAX)
        return kt_node_get(in, name);
    return in && in->kind == KT_NODE_LIST && index < in->count ? in->items[index] : NULL;
}

static struct kt_at place(const struct kt_places *p, const struct kt_node *n)
{
    struct kt_at at = n->at;
    at.file = n->layer < p->config->files.count ? p->config->files.items[n->layer] : n->at.file;
    return at;
}

static const struct kt_node *walk(const struct kt_places *p, const char *path, struct kt_at *at, bool *found)
{
    const struct kt_node *n = p ? p->root : NULL;
    char name[128];
    size_t index;
    *found = false;
    while (n && step(&path, name, &index)) {
        n = child(n, name, index);
        if (n) {
            *at = place(p, n);
            *found = true;
        }
    }
    return n;
}

bool kt_places_at(const struct kt_places *p, const char *path, struct kt_at *at)
{
    bool found;
    walk(p, path, at, &found);
    return found;
}

bool kt_places_written(const struct kt_places *p, const char *path)
{
    bool found;
    struct kt_at at;
    return !kt_node_is_null(walk(p, path, &at, &found));
}

/* ---- by message ---- */

/* The item of a list whose text the message quotes. */
static const struct kt_node *quoted_item(const struct kt_node *list, const char *message, size_t *index)
{
    for (size_t i = 0; list->kind == KT_NODE_LIST && i < list->count; i++) {
        const struct kt_node *item = list->items[i];
        size_t n = item->kind == KT_NODE_SCALAR ? strlen(item->text) : 0;
        for (const char *p = n ? strstr(message, item->text) : NULL; p; p = strstr(p + 1, item->text))
            if (p > message && strchr("\"'", p[-1]) && p[n] && strchr("\"'", p[n])) {
                *index = i;
                return item;
            }
    }
    return NULL;
}

/* The key of a mapping that the message quotes first: a later one may be what it suggests. */
static const struct kt_node *quoted_key(const struct kt_node *map, const char *message)
{
    const struct kt_node *key = NULL;
    const char *first = NULL;
    for (size_t i = 0; map->kind == KT_NODE_MAP && i < map->count; i++) {
        const struct kt_node *k = map->pairs[i].key;
        size_t n = strlen(k->text);
        for (const char *p = n ? strstr(message, k->text) : NULL; p; p = strstr(p + 1, k->text))
            if (p > message && strchr("\"'", p[-1]) && p[n] && strchr("\"'", p[n]) && (!first || p < first)) {
                first = p;
                key = k;
            }
    }
    return key;
}

/* Follows the name at `message` from `block` on; *path is what was found of it. */
static const struct kt_node *follow(const struct kt_node *block, const char *message, char *path, size_t size)
{
    const struct kt_node *at = NULL, *in = block;
    const char *p = message;
    size_t used = 0, index = 0;
    path[0] = '\0';
    for (;;) {
        char name[64];
        size_t n = 0;
        while (n + 1 < sizeof name && (isalnum((unsigned char)p[n]) || p[n] == '_'))
            n++;
        memcpy(name, p, n);
        name[n] = '\0';
        const struct kt_pair *pair = n ? kt_node_pair(in, name) : NULL;
        if (!pair)
            return at;
        at = in = pair->value;
        if (used + n + 2 > size)
            return at;
        used += (size_t)snprintf(path + used, size - used, ".%s", name);
        p += n;
        p += strncmp(p, ": [", 3) == 0 ? 2 : 0;
        if (*p == '[' && isdigit((unsigned char)p[1])) {
            index = strtoul(p + 1, (char **)&p, 10);
            if (*p++ != ']' || at->kind != KT_NODE_LIST || index >= at->count)
                return at;
            at = in = at->items[index];
        } else if (!quoted_item(at, message, &index)) {
            if (*p++ == '.')
                continue;
            const struct kt_node *key = quoted_key(at, message);
            if (key)
                snprintf(path + used, size - used, ".%.60s", key->text);
            return key ? key : at;
        } else {
            at = at->items[index];
            p = "";
        }
        used += (size_t)snprintf(path + used, size - used, "[%zu]", index);
        if (*p++ != '.' || used + 80 > size)
            return at;
    }
}

bool kt_places_of_message(const struct kt_places *p, const char *kind, const char *message, struct kt_at *at,
                          char *path, size_t size)
{
    size_t len = strlen(kind);
    if (!p || !p->root)
        return false;
    if (strncmp(message, kind, len) == 0 && strncmp(message + len, ": ", 2) == 0)
        message += len + 2;
    const struct kt_node *found =
        follow(kt_node_get(kt_node_get(p->root, "policy"), kind), message, path, size);
    if (!found)
        return false;
    *at = place(p, found);
    return true;
}
