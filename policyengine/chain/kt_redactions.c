/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/chain/kt_redactions.h"

#include "policyengine/chain/kt_boundary.h"

#include <stdlib.h>
#include <string.h>

struct kt_redactions_block {
    struct kt_redactions_block *next;
    size_t used, size;
    char bytes[];
};

static char *copy_text(struct kt_redactions *l, const char *text, size_t len)
{
    struct kt_redactions_block *b = l->blocks;
    if (!b || b->size - b->used < len) {
        size_t size = len > 4096 ? len : 4096;
        b = malloc(sizeof *b + size);
        if (!b)
            return NULL;
        b->next = l->blocks;
        b->used = 0;
        b->size = size;
        l->blocks = b;
    }
    char *at = b->bytes + b->used;
    if (len > 0)
        memcpy(at, text, len);
    b->used += len;
    return at;
}

kt_result kt_redactions_add(struct kt_redactions *l, unsigned policy, const struct kt_redaction *r)
{
    KT_ENSURE(l->count < KT_REDACTIONS_MAX, KT_ERR_LIMIT);
    if (l->count == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 16;
        struct kt_redactions_raw *raw = realloc(l->raw, cap * sizeof *raw);
        KT_ENSURE(raw, KT_ERR_MEMORY);
        l->raw = raw;
        l->cap = cap;
    }
    const char *text = copy_text(l, r->text, r->len);
    KT_ENSURE(text, KT_ERR_MEMORY);
    struct kt_redactions_raw *new = &l->raw[l->count];
    new->r = *r;
    new->r.text = text;
    new->policy = policy;
    new->order = (unsigned)l->count++;
    return kt_ok();
}

kt_result kt_redactions_replace(struct kt_redactions *l, struct kt_redactions_raw *at, unsigned policy,
                                const struct kt_redaction *r)
{
    const char *text = copy_text(l, r->text, r->len);
    KT_ENSURE(text, KT_ERR_MEMORY);
    at->r = *r;
    at->r.text = text;
    at->policy = policy;
    l->merged_of = SIZE_MAX; /* to be merged again */
    return kt_ok();
}

bool kt_redactions_has(const struct kt_redactions *l, size_t first, unsigned policy, unsigned segment,
                       size_t start, size_t end)
{
    for (size_t i = l->count; i-- > first;) {
        const struct kt_redactions_raw *w = &l->raw[i];
        if (w->r.start == start && w->r.end == end && w->r.segment == segment && w->policy == policy)
            return true;
    }
    return false;
}

void kt_redactions_whole_numbers(struct kt_redactions *l, size_t first, unsigned segment, size_t from,
                                 const char *data, size_t len, size_t base)
{
    for (size_t i = l->count; i-- > first;) {
        struct kt_redaction *r = &l->raw[i].r;
        if (r->segment != segment || r->start < from || r->start < base || !r->quoted)
            continue;
        size_t start = r->start, end = r->end;
        kt_boundary_number(data, len, base, r->begins ? start : from, &start, &end);
        if (start == r->start && end == r->end)
            continue;
        r->start = start;
        r->end = end;
        l->merged_of = SIZE_MAX; /* to be merged again */
    }
}

size_t kt_redactions_live(const struct kt_redactions *l, size_t first, unsigned segment, size_t released)
{
    while (first < l->count && (l->raw[first].r.segment != segment || l->raw[first].r.end <= released))
        first++;
    return first;
}

size_t kt_redactions_cut(const struct kt_redactions *l, size_t first, unsigned segment, size_t at)
{
    for (bool moved = true; moved;) {
        moved = false;
        for (size_t i = l->count; i-- > first;) {
            const struct kt_redaction *r = &l->raw[i].r;
            if (r->segment == segment && r->start < at && r->end > at) {
                at = r->start;
                moved = true;
            }
        }
    }
    return at;
}

static int by_policy(const void *left, const void *right)
{
    const struct kt_redactions_raw *a = left, *b = right;
    if (a->policy != b->policy)
        return a->policy < b->policy ? -1 : 1;
    if (a->r.segment != b->r.segment)
        return a->r.segment < b->r.segment ? -1 : 1;
    if (a->r.start != b->r.start)
        return a->r.start < b->r.start ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

struct list {
    struct kt_redaction *items;
    size_t count;
};

static bool ends_before(const struct kt_redaction *a, const struct kt_redaction *b)
{
    return a->segment < b->segment || (a->segment == b->segment && a->end <= b->start);
}

static bool reached_by(const struct list *have, size_t i, const struct kt_redaction *r)
{
    return i < have->count && have->items[i].segment == r->segment && have->items[i].start < r->end;
}

/* Stretches the entries of `have` from *at on so that they cover `r`; the last one stays in `have`, for it
 * may reach further. */
static void stretch(struct list *have, size_t *at, const struct kt_redaction *r, struct list *out)
{
    if (r->start < have->items[*at].start)
        have->items[*at].start = r->start;
    for (; reached_by(have, *at + 1, r); (*at)++) {
        have->items[*at].end = have->items[*at + 1].start;
        out->items[out->count++] = have->items[*at];
    }
    if (have->items[*at].end < r->end)
        have->items[*at].end = r->end;
}

/* Lays one policy's ranges under what earlier policies have. Linear: both lists are sorted. */
static void overlay(struct list *have, const struct kt_redactions_raw *add, size_t n, struct list *out)
{
    size_t at = 0;
    for (size_t i = 0; i < n;) {
        struct kt_redaction r = add[i++].r;
        for (; i < n && add[i].r.segment == r.segment && add[i].r.start < r.end; i++)
            if (add[i].r.end > r.end)
                r.end = add[i].r.end;
        while (at < have->count && ends_before(&have->items[at], &r))
            out->items[out->count++] = have->items[at++];
        if (reached_by(have, at, &r))
            stretch(have, &at, &r, out);
        else
            out->items[out->count++] = r;
    }
    while (at < have->count)
        out->items[out->count++] = have->items[at++];
}

/* Sorts the `n` entries of `all` and merges them; *out is new, of *count entries. */
static KT_MUST kt_result merge_all(struct kt_redactions_raw *all, size_t n, struct kt_redaction **out,
                                   size_t *count)
{
    KT_CLEANUP(kt_cleanup_free) struct kt_redaction *one = malloc((n + 1) * sizeof *one);
    KT_CLEANUP(kt_cleanup_free) struct kt_redaction *two = malloc((n + 1) * sizeof *two);
    KT_ENSURE(one && two, KT_ERR_MEMORY);
    qsort(all, n, sizeof *all, by_policy);
    struct list have = {one, 0}, next = {two, 0};
    for (size_t i = 0, of; i < n; i += of) {
        for (of = 1; i + of < n && all[i + of].policy == all[i].policy;)
            of++;
        next.count = 0;
        overlay(&have, all + i, of, &next);
        struct list swap = have;
        have = next;
        next = swap;
    }
    *count = have.count;
    *out = have.items;
    if (have.items == one)
        one = NULL;
    else
        two = NULL;
    return kt_ok();
}

/* merged[low,high) becomes with[0,n). */
static KT_MUST kt_result put_merged(struct kt_redactions *l, size_t low, size_t high,
                                    const struct kt_redaction *with, size_t n)
{
    size_t count = l->merged_count - (high - low) + n;
    if (count > l->merged_cap) {
        size_t cap = count * 2;
        struct kt_redaction *grown = realloc(l->merged, cap * sizeof *grown);
        KT_ENSURE(grown, KT_ERR_MEMORY);
        l->merged = grown;
        l->merged_cap = cap;
    }
    if (l->merged_count > high)
        memmove(l->merged + low + n, l->merged + high, (l->merged_count - high) * sizeof *with);
    if (n)
        memcpy(l->merged + low, with, n * sizeof *with);
    l->merged_count = count;
    l->merged_of = l->merged_all = l->count;
    return kt_ok();
}

kt_result kt_redactions_merge(struct kt_redactions *l)
{
    if (l->merged_of == l->count)
        return kt_ok();
    KT_CLEANUP(kt_cleanup_free) struct kt_redactions_raw *all = malloc((l->count + 1) * sizeof *all);
    KT_CLEANUP(kt_cleanup_free) struct kt_redaction *merged = NULL;
    KT_ENSURE(all, KT_ERR_MEMORY);
    if (l->count)
        memcpy(all, l->raw, l->count * sizeof *all);
    size_t n = 0;
    KT_GUARD(merge_all(all, l->count, &merged, &n));
    return put_merged(l, 0, l->merged_count, merged, n);
}

static bool only_of(const struct kt_redactions *l, size_t first, unsigned segment)
{
    if (first > l->merged_all || l->merged_all > l->count)
        return false;
    for (size_t i = l->merged_all; i < l->count; i++)
        if (l->raw[i].r.segment != segment)
            return false;
    return true;
}

kt_result kt_redactions_merge_from(struct kt_redactions *l, size_t first, unsigned segment, size_t from)
{
    if (l->merged_of == l->count)
        return kt_ok();
    if (!only_of(l, first, segment))
        return kt_redactions_merge(l);
    size_t most = l->count - first, n = 0;
    KT_CLEANUP(kt_cleanup_free) struct kt_redactions_raw *all = malloc((most + 1) * sizeof *all);
    KT_CLEANUP(kt_cleanup_free) struct kt_redaction *merged = NULL;
    KT_ENSURE(all, KT_ERR_MEMORY);
    for (size_t i = first; i < l->count; i++)
        if (l->raw[i].r.segment == segment && l->raw[i].r.start >= from)
            all[n++] = l->raw[i];
    KT_GUARD(merge_all(all, n, &merged, &n));
    size_t low = kt_redactions_first(l, segment, from), high = low;
    while (high < l->merged_count && l->merged[high].segment == segment)
        high++;
    return put_merged(l, low, high, merged, n);
}

size_t kt_redactions_first(const struct kt_redactions *l, unsigned segment, size_t at)
{
    size_t low = 0, high = l->merged_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct kt_redaction *r = &l->merged[mid];
        if (r->segment < segment || (r->segment == segment && r->end <= at))
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

void kt_redactions_free(struct kt_redactions *l)
{
    free(l->raw);
    free(l->merged);
    while (l->blocks) {
        struct kt_redactions_block *next = l->blocks->next;
        free(l->blocks);
        l->blocks = next;
    }
    memset(l, 0, sizeof *l);
}
