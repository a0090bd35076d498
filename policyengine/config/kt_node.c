/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/config/kt_yaml.h"

#include <stdlib.h>
#include <string.h>

void kt_node_free(struct kt_node *n)
{
    if (!n)
        return;
    for (size_t i = 0; n->pairs && i < n->count; i++) {
        kt_node_free(n->pairs[i].key);
        kt_node_free(n->pairs[i].value);
    }
    for (size_t i = 0; n->items && i < n->count; i++)
        kt_node_free(n->items[i]);
    free(n->pairs);
    free(n->items);
    free(n->text);
    free(n);
}

void kt_cleanup_node(void *pointer_to_node)
{
    struct kt_node **n = pointer_to_node;
    kt_node_free(*n);
    *n = NULL;
}

/* Capacity is the next power of two of the count: no field needed, no quadratic copying. */
static kt_result grow(void **array, size_t count, size_t size)
{
    if (count & (count - 1))
        return kt_ok();
    void *bigger = realloc(*array, (count ? 2 * count : 1) * size);
    KT_ENSURE(bigger, KT_ERR_MEMORY);
    *array = bigger;
    return kt_ok();
}

kt_result kt_node_add_item(struct kt_node *list, struct kt_node *item)
{
    void *items = list->items;
    kt_result r = grow(&items, list->count, sizeof *list->items);
    list->items = items;
    if (!kt_is_ok(r)) {
        kt_node_free(item);
        return r;
    }
    list->items[list->count++] = item;
    return kt_ok();
}

kt_result kt_node_add_pair(struct kt_node *map, struct kt_node *key, struct kt_node *value)
{
    void *pairs = map->pairs;
    kt_result r = grow(&pairs, map->count, sizeof *map->pairs);
    map->pairs = pairs;
    if (!kt_is_ok(r)) {
        kt_node_free(key);
        kt_node_free(value);
        return r;
    }
    map->pairs[map->count++] = (struct kt_pair){key, value};
    return kt_ok();
}

static kt_result copy_children(const struct kt_node *n, struct kt_node *copy, size_t *budget, unsigned depth)
{
    for (size_t i = 0; n->items && i < n->count; i++) {
        struct kt_node *item = kt_node_copy(n->items[i], budget, depth);
        KT_ENSURE(item, KT_ERR_LIMIT);
        KT_GUARD(kt_node_add_item(copy, item));
    }
    for (size_t i = 0; n->pairs && i < n->count; i++) {
        KT_CLEANUP(kt_cleanup_node) struct kt_node *key = kt_node_copy(n->pairs[i].key, budget, depth);
        KT_ENSURE(key, KT_ERR_LIMIT);
        struct kt_node *value = kt_node_copy(n->pairs[i].value, budget, depth);
        KT_ENSURE(value, KT_ERR_LIMIT);
        KT_GUARD(kt_node_add_pair(copy, KT_TAKE(key), value));
    }
    return kt_ok();
}

struct kt_node *kt_node_copy(const struct kt_node *n, size_t *budget, unsigned depth)
{
    if (*budget == 0 || depth == 0)
        return NULL;
    --*budget;
    KT_CLEANUP(kt_cleanup_node) struct kt_node *copy = calloc(1, sizeof *copy);
    if (!copy)
        return NULL;
    copy->kind = n->kind;
    copy->plain = n->plain;
    copy->layer = n->layer;
    copy->at = n->at;
    if (n->text && !(copy->text = strdup(n->text)))
        return NULL;
    if (!kt_is_ok(copy_children(n, copy, budget, depth - 1)))
        return NULL;
    return KT_TAKE(copy);
}

const struct kt_pair *kt_node_pair(const struct kt_node *n, const char *key)
{
    if (!n || n->kind != KT_NODE_MAP)
        return NULL;
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->pairs[i].key->text, key) == 0)
            return &n->pairs[i];
    return NULL;
}

const struct kt_node *kt_node_get(const struct kt_node *n, const char *key)
{
    const struct kt_pair *p = kt_node_pair(n, key);
    return p ? p->value : NULL;
}

const struct kt_node *kt_node_at(const struct kt_node *n, const char *dotted)
{
    char key[64];
    while (n && *dotted) {
        size_t len = strcspn(dotted, ".");
        if (len >= sizeof key)
            return NULL;
        memcpy(key, dotted, len);
        key[len] = '\0';
        n = kt_node_get(n, key);
        dotted += len + (dotted[len] == '.');
    }
    return n;
}

bool kt_node_is_null(const struct kt_node *n)
{
    return !n || n->kind == KT_NODE_NULL;
}

const char *kt_node_what(const struct kt_node *n)
{
    if (kt_node_is_null(n))
        return "empty";
    return n->kind == KT_NODE_MAP ? "a mapping" : n->kind == KT_NODE_LIST ? "a list" : "text";
}

/* Moves one pair of the upper layer into the base; leaves NULLs behind for kt_node_free. */
static kt_result layer_pair(struct kt_node *base, struct kt_pair *over)
{
    const struct kt_pair *found = kt_node_pair(base, over->key->text);
    if (!found)
        return kt_node_add_pair(base, KT_TAKE(over->key), KT_TAKE(over->value));
    struct kt_pair *slot = &base->pairs[found - base->pairs];
    if (slot->value->kind == KT_NODE_MAP && over->value->kind == KT_NODE_MAP)
        return kt_node_layer(&slot->value, KT_TAKE(over->value));
    kt_node_free(slot->key);
    kt_node_free(slot->value);
    slot->key = KT_TAKE(over->key);
    slot->value = KT_TAKE(over->value);
    return kt_ok();
}

kt_result kt_node_layer(struct kt_node **base, struct kt_node *over)
{
    KT_CLEANUP(kt_cleanup_node) struct kt_node *upper = over;
    if (*base && kt_node_is_null(upper))
        return kt_ok();
    if (!*base || (*base)->kind != KT_NODE_MAP || upper->kind != KT_NODE_MAP) {
        kt_node_free(*base);
        *base = KT_TAKE(upper);
        return kt_ok();
    }
    for (size_t i = 0; i < upper->count; i++)
        KT_GUARD(layer_pair(*base, &upper->pairs[i]));
    return kt_ok();
}
