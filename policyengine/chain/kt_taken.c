/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/chain/kt_taken.h"

#include "policyengine/chain/kt_shape.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a, stirred once more because the low bits choose the place. Never 0. */
static uint64_t hash_of(const struct kt_shape *s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < s->key_len; i++)
        h = (h ^ (unsigned char)s->key[i]) * 0x100000001b3u;
    h ^= h >> 29;
    h *= 0xbf58476d1ce4e5b9u;
    h ^= h >> 32;
    return h ? h : 1;
}

void kt_taken_free(struct kt_taken *t)
{
    free(t->hashes);
    *t = (struct kt_taken){.hashes = NULL};
}

static uint64_t *find(const struct kt_taken *t, uint64_t hash)
{
    size_t i = (size_t)hash & (t->size - 1);
    while (t->hashes[i] && t->hashes[i] != hash)
        i = (i + 1) & (t->size - 1);
    return &t->hashes[i];
}

static bool insert(struct kt_taken *t, uint64_t hash)
{
    if (t->used * 2 >= t->size) {
        struct kt_taken big = {.size = t->size ? t->size * 2 : 32, .used = t->used, .full = t->full};
        big.hashes = calloc(big.size, sizeof *big.hashes);
        if (!big.hashes)
            return false;
        for (size_t i = 0; i < t->size; i++)
            if (t->hashes[i])
                *find(&big, t->hashes[i]) = t->hashes[i];
        free(t->hashes);
        *t = big;
    }
    uint64_t *slot = find(t, hash);
    t->used += *slot == 0;
    *slot = hash;
    return true;
}

bool kt_taken_has(const struct kt_taken *t, const char *name, size_t len)
{
    struct kt_shape s;
    return t->size && kt_shape_read(name, len, &s) == KT_SHAPE_WHOLE && *find(t, hash_of(&s));
}

bool kt_taken_add(struct kt_taken *t, const char *name, size_t len)
{
    struct kt_shape s;
    return kt_shape_read(name, len, &s) != KT_SHAPE_WHOLE || insert(t, hash_of(&s));
}

void kt_taken_scan(struct kt_taken *t, const char *text, size_t len)
{
    struct kt_shape s;
    for (size_t i = 0; i < len && !t->full; i++) {
        if (!kt_shape_opens(text[i]) || kt_shape_read(text + i, len - i, &s) != KT_SHAPE_WHOLE)
            continue;
        t->full = t->used >= KT_TAKEN_SEEN_MAX || !insert(t, hash_of(&s));
    }
}
