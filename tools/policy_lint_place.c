/* SPDX-License-Identifier: Apache-2.0 */
/* A policy that cannot be made says which of its options is to blame ("assertions[2] (regex): ..."), but not
 * where that is written. The files are read once more for that: only a lint needs it. */
#include "tools/policy_lint_place.h"

#include "policyengine/config/kt_files.h"
#include "policyengine/config/kt_yaml.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

bool policy_lint_place(const char *file, const char *kind, const char *message, struct kt_at *at, char *path,
                       size_t size)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf text = KT_BUF_INIT(KT_YAML_MAX_BYTES);
    KT_CLEANUP(kt_cleanup_node) struct kt_node *root = NULL;
    struct kt_diags diags = {0};
    size_t len = strlen(kind);
    if (strncmp(message, kind, len) == 0 && strncmp(message + len, ": ", 2) == 0)
        message += len + 2;
    bool read = kt_is_ok(kt_file_read(file, &text));
    const struct kt_source source = {.name = file, .text = text.data, .len = text.len};
    if (read)
        read = kt_is_ok(kt_yaml_parse(&source, &diags, &root));
    kt_diags_free(&diags);
    if (!read)
        return false;
    const struct kt_node *found = follow(kt_node_get(kt_node_get(root, "policy"), kind), message, path, size);
    if (!found)
        return false;
    *at = found->at;
    at->file = file;
    return true;
}
