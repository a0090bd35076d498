/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/tally.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a; a clever choice of names can only make this slow within 2048 slots. */
static size_t slot_of(const char *name, size_t n)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)name[i]) * 16777619u;
    return h;
}

struct tally *tally_new(void)
{
    return calloc(1, sizeof(struct tally));
}

void tally_free(struct tally *t)
{
    for (size_t i = 0; t && i < t->count; i++)
        free(t->items[i].name);
    free(t);
}

static void count(struct tally_item *item, bool acted)
{
    item->count++;
    item->acted += acted;
}

kt_result tally_add(struct tally *t, const char *name, bool acted)
{
    size_t n = strnlen(name, TALLY_NAME_MAX), mask = KT_COUNT(t->slots) - 1, at = slot_of(name, n) & mask;
    for (; t->slots[at]; at = (at + 1) & mask) {
        struct tally_item *item = &t->items[t->slots[at] - 1];
        if (strncmp(item->name, name, n) == 0 && item->name[n] == '\0') {
            count(item, acted);
            return kt_ok();
        }
    }
    if (t->count == TALLY_NAMES_MAX) {
        count(&t->other, acted);
        return kt_ok();
    }
    struct tally_item *item = &t->items[t->count];
    item->name = strndup(name, n);
    KT_ENSURE(item->name, KT_ERR_MEMORY);
    t->slots[at] = (uint16_t)++t->count;
    count(item, acted);
    return kt_ok();
}

static int by_count(const void *a, const void *b)
{
    const struct tally_item *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return strcmp(x->name, y->name);
}

void tally_sort(struct tally *t)
{
    qsort(t->items, t->count, sizeof t->items[0], by_count);
}

static size_t bucket_of(uint64_t value)
{
    if (value < 128)
        return (size_t)value;
    if (value >> 40)
        return SPREAD_BUCKETS - 1;
    unsigned power = 63u - (unsigned)__builtin_clzll(value); /* 7..39 */
    return 128 + (power - 7) * 64 + (size_t)((value >> (power - 6)) & 63);
}

static uint64_t middle_of(size_t bucket)
{
    if (bucket < 128)
        return bucket;
    unsigned power = 7 + (unsigned)(bucket - 128) / 64;
    uint64_t width = UINT64_C(1) << (power - 6);
    return (UINT64_C(1) << power) + (bucket - 128) % 64 * width + width / 2;
}

void spread_add(struct spread *s, uint64_t value)
{
    s->buckets[bucket_of(value)]++;
    if (s->count == 0 || value < s->min)
        s->min = value;
    if (value > s->max)
        s->max = value;
    s->sum += value;
    s->count++;
}

uint64_t spread_percentile(const struct spread *s, unsigned percent)
{
    /* Not count * percent: that overflows. */
    uint64_t rank = s->count / 100 * percent + (s->count % 100 * percent + 99) / 100, seen = 0;
    for (size_t i = 0; s->count && i < SPREAD_BUCKETS; i++) {
        seen += s->buckets[i];
        if (seen >= rank) {
            uint64_t v = middle_of(i);
            return v > s->max ? s->max : v < s->min ? s->min : v;
        }
    }
    return s->max;
}
