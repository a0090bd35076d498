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
    free(n->slots);
    free(n->text);
    free(n);
}

void kt_pair_free(struct kt_pair *p)
{
    kt_node_free(p->key);
    kt_node_free(p->value);
    *p = (struct kt_pair){NULL, NULL};
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

/* ---- the index of a map: without it, many keys cost their square ---- */

enum { INDEX_FROM = 16 }; /* keys; fewer are looked at one by one */

static size_t hash(const char *s)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    return (size_t)(h ^ (h >> 32));
}

/* Slots hold an index + 1; at most half of them are used. The first of two equal keys stays the one found. */
static void index_put(struct kt_node *map, size_t pair)
{
    size_t at = hash(map->pairs[pair].key->text) & (map->slot_count - 1);
    while (map->slots[at])
        at = (at + 1) & (map->slot_count - 1);
    map->slots[at] = (unsigned)pair + 1;
}

static void index_drop(struct kt_node *map)
{
    free(map->slots);
    map->slots = NULL;
    map->slot_count = 0;
}

/* After one pair was added. Without memory the map is slower, not wrong. */
static void index_grow(struct kt_node *map)
{
    if (map->slots && 2 * map->count <= map->slot_count) {
        index_put(map, map->count - 1);
        return;
    }
    index_drop(map);
    if (map->count < INDEX_FROM)
        return;
    size_t slots = 4 * INDEX_FROM;
    while (slots < 4 * map->count)
        slots *= 2;
    map->slots = calloc(slots, sizeof *map->slots);
    if (!map->slots)
        return;
    map->slot_count = slots;
    for (size_t i = 0; i < map->count; i++)
        index_put(map, i);
}

static const struct kt_pair *index_find(const struct kt_node *map, const char *key)
{
    for (size_t at = hash(key);; at++) {
        unsigned slot = map->slots[at & (map->slot_count - 1)];
        if (!slot)
            return NULL;
        if (strcmp(map->pairs[slot - 1].key->text, key) == 0)
            return &map->pairs[slot - 1];
    }
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
    index_grow(map);
    return kt_ok();
}

bool kt_node_take_pair(struct kt_node *map, const char *key, struct kt_pair *out)
{
    const struct kt_pair *found = kt_node_pair(map, key);
    if (!found)
        return false;
    size_t at = (size_t)(found - map->pairs);
    *out = map->pairs[at];
    memmove(&map->pairs[at], &map->pairs[at + 1], (map->count - at - 1) * sizeof *map->pairs);
    map->count--;
    index_drop(map); /* taking is rare, and the next key builds it again */
    return true;
}

static struct kt_node *new_node(enum kt_node_kind kind)
{
    struct kt_node *n = calloc(1, sizeof *n);
    if (n)
        n->kind = kind;
    return n;
}

struct kt_node *kt_node_map(void)
{
    return new_node(KT_NODE_MAP);
}

struct kt_node *kt_node_list(void)
{
    return new_node(KT_NODE_LIST);
}

struct kt_node *kt_node_scalar(const char *text, bool plain)
{
    KT_CLEANUP(kt_cleanup_node) struct kt_node *n = new_node(KT_NODE_SCALAR);
    if (!n || !(n->text = strdup(text)))
        return NULL;
    n->plain = plain;
    return KT_TAKE(n);
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
    if (n->slots)
        return index_find(n, key);
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
