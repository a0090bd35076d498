/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/chain/kt_numbers.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE 256 /* turns to wait for the table */

struct tag {
    uint64_t a, b;
};

struct slot {
    struct tag tag;
    unsigned number; /* 0 = free */
};

struct generation {
    struct slot *slots; /* open addressing; a power of two, at most half full */
    size_t size, used;
};

/* Two generations instead of a list in order of use: when the young one is full it becomes the old one, and
 * what was not used since is gone. */
static struct {
    _Atomic int owner; /* pid of the process whose thread works on it; 0 = nobody */
    bool keyed;
    atomic_bool used;
    uint64_t key[4];
    struct generation young, old;
} table;

/* ---- SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF") ---- */

static uint64_t rotl(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static void rounds(uint64_t v[4], int n)
{
    while (n-- > 0) {
        v[0] += v[1];
        v[1] = rotl(v[1], 13) ^ v[0];
        v[0] = rotl(v[0], 32);
        v[2] += v[3];
        v[3] = rotl(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotl(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotl(v[1], 17) ^ v[2];
        v[2] = rotl(v[2], 32);
    }
}

static void absorb(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    rounds(v, 2);
    v[0] ^= word;
}

/* The kind's length goes in front, so that no pair of kind and value reads as another pair. */
static uint64_t siphash(const uint64_t key[2], uint64_t scope, const char *kind, const char *value,
                        size_t len)
{
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du, key[0] ^ 0x6c7967656e657261u,
                     key[1] ^ 0x7465646279746573u};
    const char *parts[] = {kind, value};
    const size_t lengths[] = {strlen(kind), len};
    absorb(v, scope);
    for (size_t i = 0; i < 2; i++) {
        const char *p = parts[i];
        size_t left = lengths[i];
        absorb(v, left);
        for (; left > 0; p += left < 8 ? left : 8, left -= left < 8 ? left : 8) {
            uint64_t word = 0;
            memcpy(&word, p, left < 8 ? left : 8);
            absorb(v, word);
        }
    }
    v[2] ^= 0xff;
    rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* ---- the table ---- */

/* False: busy. A table that a process which forked us was working on may be torn: we start anew, and what it
 * held is lost to us. */
static bool enter(void)
{
    int me = (int)getpid();
    for (int i = 0; i < PATIENCE; i++) {
        int seen = 0;
        if (atomic_compare_exchange_strong_explicit(&table.owner, &seen, me, memory_order_acquire,
                                                    memory_order_relaxed))
            return true;
        if (seen != me && atomic_compare_exchange_strong_explicit(
                              &table.owner, &seen, me, memory_order_acquire, memory_order_relaxed)) {
            table.young = table.old = (struct generation){NULL, 0, 0};
            table.keyed = false;
            return true;
        }
        sched_yield();
    }
    return false;
}

static void leave(void)
{
    atomic_store_explicit(&table.owner, 0, memory_order_release);
}

static bool has_key(void)
{
    if (!table.keyed && kt_random(table.key, sizeof table.key).code != KT_OK)
        return false;
    table.keyed = true;
    return true;
}

static bool tag_of(uint64_t scope, const char *kind, const char *value, size_t len, struct tag *out)
{
    if (!has_key())
        return false;
    out->a = siphash(table.key, scope, kind, value, len);
    out->b = siphash(table.key + 2, scope, kind, value, len);
    return true;
}

static struct slot *find(const struct generation *g, const struct tag *tag)
{
    if (!g->size)
        return NULL;
    size_t i = (size_t)tag->a & (g->size - 1);
    while (g->slots[i].number && (g->slots[i].tag.a != tag->a || g->slots[i].tag.b != tag->b))
        i = (i + 1) & (g->size - 1);
    return &g->slots[i];
}

static bool grow(struct generation *g)
{
    if (g->used * 2 < g->size)
        return true;
    struct generation big = {.size = g->size ? g->size * 2 : 64, .used = g->used};
    big.slots = calloc(big.size, sizeof *big.slots);
    if (!big.slots)
        return false;
    for (size_t i = 0; i < g->size; i++)
        if (g->slots[i].number)
            *find(&big, &g->slots[i].tag) = g->slots[i];
    free(g->slots);
    *g = big;
    return true;
}

static void put(const struct tag *tag, unsigned number)
{
    if (table.young.used >= KT_NUMBERS_MAX) {
        free(table.old.slots);
        table.old = table.young;
        table.young = (struct generation){NULL, 0, 0};
    }
    if (!grow(&table.young))
        return;
    struct slot *s = find(&table.young, tag);
    table.young.used += s->number == 0;
    *s = (struct slot){*tag, number};
}

static unsigned get(const struct tag *tag)
{
    const struct slot *s = find(&table.young, tag);
    if (s && s->number)
        return s->number;
    s = find(&table.old, tag);
    unsigned number = s ? s->number : 0;
    if (number)
        put(tag, number); /* used again: it stays */
    return number;
}

unsigned kt_numbers_get(uint64_t scope, const char *kind, const char *value, size_t len)
{
    struct tag tag;
    if (!enter())
        return 0;
    unsigned number = tag_of(scope, kind, value, len, &tag) ? get(&tag) : 0;
    leave();
    return number;
}

void kt_numbers_put(uint64_t scope, const char *kind, const char *value, size_t len, unsigned number)
{
    struct tag tag;
    if (!enter())
        return;
    if (tag_of(scope, kind, value, len, &tag))
        put(&tag, number);
    atomic_store_explicit(&table.used, true, memory_order_relaxed);
    leave();
}

void kt_numbers_claim(uint64_t scope, const char *kind, const char *value, size_t len, unsigned number)
{
    struct tag tag;
    if (!enter())
        return;
    if (tag_of(scope, kind, value, len, &tag)) {
        unsigned known = get(&tag);
        put(&tag, known && known != number ? KT_NUMBERS_NOBODY : number);
    }
    atomic_store_explicit(&table.used, true, memory_order_relaxed);
    leave();
}

bool kt_numbers_used(void)
{
    return atomic_load_explicit(&table.used, memory_order_relaxed);
}

bool kt_numbers_digest(const void *data, size_t len, uint64_t *out)
{
    uint64_t key[2] = {0, 0};
    *out = 0;
    if (!enter())
        return false;
    bool good = has_key();
    memcpy(key, table.key, sizeof key);
    leave();
    if (good)
        *out = siphash(key, 0, "", data, len); /* a text may be long: not while others wait */
    return good;
}

bool kt_numbers_busy(bool on)
{
    if (!on)
        leave();
    return !on || enter();
}

void kt_numbers_forget(void)
{
    if (!enter())
        return;
    free(table.young.slots);
    free(table.old.slots);
    table.young = table.old = (struct generation){NULL, 0, 0};
    table.keyed = false;
    atomic_store_explicit(&table.used, false, memory_order_relaxed);
    leave();
}
