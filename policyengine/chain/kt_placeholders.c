/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/chain/kt_placeholders.h"

#include "policyengine/chain/kt_conversation.h"
#include "policyengine/chain/kt_taken.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LEN KT_PLACEHOLDER_NAME_MAX
#define RESERVED_MAX 1000u
#define REMEMBERED_MAX 99999u /* larger numbers are not carried on, or they would creep up for ever */

struct entry {
    uint64_t hash;
    size_t len;
    unsigned kind;
    bool restore;
    char name[NAME_MAX_LEN];
    char value[]; /* len bytes, the real value */
};

struct kind {
    char name[NAME_MAX_LEN - 16];
    char shared[NAME_MAX_LEN]; /* for values past the bound */
    unsigned count;
};

struct kt_placeholders {
    uint64_t seed;
    struct entry **slots; /* open addressing; a power of two, at most half full */
    size_t size, used, bytes;
    size_t restorable;
    struct kind **kinds; /* owned, KT_PLACEHOLDER_KINDS at most; their names are given out and do not move */
    unsigned kind_count;
    struct kt_conversation *(*converse)(void *arg);
    void *converse_arg;
    void (*on_restore)(void *arg);
    void *on_restore_arg;
    void (*on_new)(void *arg);
    void *on_new_arg;
    struct kt_taken taken; /* numbers that are in use, and names that the exchange's own texts hold */
};

struct kt_placeholders *kt_placeholders_new(void)
{
    struct kt_placeholders *p = calloc(1, sizeof *p);
    /* Values are chosen by strangers: without a secret seed they could be chosen to collide. */
    if (p && kt_random(&p->seed, sizeof p->seed).code != KT_OK)
        p->seed = kt_now_mono_ns() ^ (uint64_t)(uintptr_t)p;
    return p;
}

void kt_placeholders_free(struct kt_placeholders *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->size; i++) {
        if (!p->slots[i])
            continue;
        kt_wipe(p->slots[i]->value, p->slots[i]->len);
        free(p->slots[i]);
    }
    free(p->slots);
    for (unsigned i = 0; i < p->kind_count; i++)
        free(p->kinds[i]);
    free(p->kinds);
    kt_taken_free(&p->taken);
    free(p);
}

static uint64_t mix(uint64_t h)
{
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return h ^ (h >> 32);
}

struct wanted {
    unsigned kind;
    const char *value;
    size_t len;
};

static uint64_t hash_of(const struct kt_placeholders *p, const struct wanted *w)
{
    const char *value = w->value;
    size_t len = w->len;
    uint64_t h = mix(p->seed ^ w->kind);
    for (; len >= 8; value += 8, len -= 8) {
        uint64_t word;
        memcpy(&word, value, 8);
        h = mix(h ^ word) + p->seed;
    }
    uint64_t tail = 0;
    memcpy(&tail, value, len);
    return mix(h ^ tail ^ ((uint64_t)len << 56));
}

static unsigned kind_index(struct kt_placeholders *p, const char *kind)
{
    for (unsigned i = 0; i < p->kind_count; i++)
        if (strncmp(p->kinds[i]->name, kind, sizeof p->kinds[i]->name - 1) == 0)
            return i;
    if (p->kind_count == KT_PLACEHOLDER_KINDS)
        return KT_PLACEHOLDER_KINDS;
    struct kind **more = realloc(p->kinds, (p->kind_count + 1) * sizeof(*more));
    p->kinds = more ? more : p->kinds;
    struct kind *k = more ? calloc(1, sizeof *k) : NULL;
    if (!k)
        return KT_PLACEHOLDER_KINDS;
    p->kinds[p->kind_count] = k;
    snprintf(k->name, sizeof k->name, "%s", kind);
    snprintf(k->shared, sizeof k->shared, "[%s]", k->name);
    return p->kind_count++;
}

static struct entry **find(const struct kt_placeholders *p, uint64_t hash, const struct wanted *w)
{
    size_t i = (size_t)hash & (p->size - 1);
    for (; p->slots[i]; i = (i + 1) & (p->size - 1)) {
        const struct entry *e = p->slots[i];
        if (e->hash == hash && e->kind == w->kind && e->len == w->len &&
            memcmp(e->value, w->value, w->len) == 0)
            break;
    }
    return &p->slots[i];
}

static bool grow(struct kt_placeholders *p)
{
    if (p->used * 2 < p->size)
        return true;
    size_t size = p->size ? p->size * 2 : 64;
    struct entry **slots = calloc(size, sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; i < p->size; i++) {
        if (!p->slots[i])
            continue;
        size_t at = (size_t)p->slots[i]->hash & (size - 1);
        while (slots[at])
            at = (at + 1) & (size - 1);
        slots[at] = p->slots[i];
    }
    free(p->slots);
    p->slots = slots;
    p->size = size;
    return true;
}

/* A name that its exchange's texts hold is nobody's. */
static bool is_free(const struct kt_placeholders *p, unsigned kind, unsigned number)
{
    char name[NAME_MAX_LEN];
    int n = snprintf(name, sizeof name, "[%s_%u]", p->kinds[kind]->name, number);
    return !kt_taken_has(&p->taken, name, (size_t)n);
}

/* Does another value of this exchange have it? */
static bool is_given(const struct kt_placeholders *p, unsigned kind, unsigned number)
{
    char name[NAME_MAX_LEN];
    snprintf(name, sizeof name, "[%s_%u]", p->kinds[kind]->name, number);
    for (size_t i = 0; i < p->size; i++)
        if (p->slots[i] && strcmp(p->slots[i]->name, name) == 0)
            return true;
    return false;
}

/* The number that the value has in the conversation, where it can be had here; 0 = none. */
static unsigned known_number(const struct kt_placeholders *p, struct kt_conversation *c, unsigned kind,
                             const char *value, size_t len)
{
    size_t next = 0;
    bool own = false;
    const char *name = p->kinds[kind]->name;
    for (unsigned n; (n = kt_conversation_number(c, name, value, len, &next, &own)) > 0;)
        if (own ? !is_given(p, kind, n) : is_free(p, kind, n))
            return n;
    return 0;
}

/* The next one that is nobody's. What earlier answers gave to others is passed over a thousand times at most:
 * that is for the reader's good, no condition. */
static unsigned new_number(const struct kt_placeholders *p, struct kt_conversation *c, unsigned kind,
                           const char *value, size_t len)
{
    const struct kind *k = p->kinds[kind];
    unsigned number = k->count, patience = RESERVED_MAX;
    for (;;) {
        number++;
        if (!is_free(p, kind, number))
            continue;
        if (!c || patience-- == 0 || !kt_conversation_reserved(c, k->name, value, len, number))
            return number;
    }
}

static unsigned number_for(struct kt_placeholders *p, unsigned kind, const char *value, size_t len)
{
    struct kind *k = p->kinds[kind];
    struct kt_conversation *c = p->converse ? p->converse(p->converse_arg) : NULL;
    unsigned number = c ? known_number(p, c, kind, value, len) : 0;
    if (!number)
        number = new_number(p, c, kind, value, len);
    k->count = number > k->count ? number : k->count;
    if (c && number <= REMEMBERED_MAX)
        kt_conversation_note(c, k->name, value, len, number);
    return number;
}

static struct entry *entry_new(struct kt_placeholders *p, uint64_t hash, const struct wanted *w)
{
    struct entry *e = malloc(sizeof *e + w->len);
    if (!e)
        return NULL;
    *e = (struct entry){.hash = hash, .kind = w->kind, .len = w->len};
    memcpy(e->value, w->value, w->len);
    int n = snprintf(e->name, sizeof e->name, "[%s_%u]", p->kinds[w->kind]->name,
                     number_for(p, w->kind, w->value, w->len));
    if (!kt_taken_add(&p->taken, e->name, (size_t)n)) {
        free(e);
        return NULL;
    }
    p->used++;
    p->bytes += w->len;
    return e;
}

/* Where the texts hold more look-alikes than we remember, no name is safe to restore. */
static const char *allow(struct kt_placeholders *p, struct entry *e, bool restore)
{
    restore = restore && !p->taken.full;
    p->restorable += restore && !e->restore;
    e->restore |= restore;
    return e->name;
}

static void before_restore(struct kt_placeholders *p)
{
    void (*fn)(void *) = p->on_restore;
    p->on_restore = NULL;
    if (fn)
        fn(p->on_restore_arg);
}

static const char *name_of(struct kt_placeholders *p, const char *kind, struct wanted w, bool restore)
{
    if (restore)
        before_restore(p);
    w.kind = kind_index(p, kind);
    if (w.kind == KT_PLACEHOLDER_KINDS)
        return "[REDACTED]";
    if (!grow(p))
        return NULL;
    uint64_t hash = hash_of(p, &w);
    struct entry **slot = find(p, hash, &w);
    if (*slot)
        return allow(p, *slot, restore);
    if (p->used >= KT_PLACEHOLDERS_MAX || w.len > KT_PLACEHOLDERS_BYTES - p->bytes)
        return p->kinds[w.kind]->shared;
    if (p->on_new)
        p->on_new(p->on_new_arg);
    *slot = entry_new(p, hash, &w);
    return *slot ? allow(p, *slot, restore) : NULL;
}

const char *kt_placeholders_name(struct kt_placeholders *p, const char *kind, const char *value, size_t len,
                                 bool restore)
{
    return name_of(p, kind, (struct wanted){.value = value, .len = len}, restore);
}

size_t kt_placeholders_restorable(const struct kt_placeholders *p)
{
    return p->restorable;
}

void kt_placeholders_converse(struct kt_placeholders *p, struct kt_conversation *(*fn)(void *arg), void *arg)
{
    p->converse = fn;
    p->converse_arg = arg;
}

void kt_placeholders_on_restore(struct kt_placeholders *p, void (*fn)(void *arg), void *arg)
{
    p->on_restore = fn;
    p->on_restore_arg = arg;
}

void kt_placeholders_on_new(struct kt_placeholders *p, void (*fn)(void *arg), void *arg)
{
    p->on_new = fn;
    p->on_new_arg = arg;
}

void kt_placeholders_avoid(struct kt_placeholders *p, const char *text, size_t len)
{
    kt_taken_scan(&p->taken, text, len);
}

void kt_placeholders_each_restorable(const struct kt_placeholders *p,
                                     void (*fn)(void *arg, const char *name, struct kt_span value), void *arg)
{
    for (size_t i = 0; i < p->size; i++)
        if (p->slots[i] && p->slots[i]->restore)
            fn(arg, p->slots[i]->name, kt_span(p->slots[i]->value, p->slots[i]->len));
}
