/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_pii.h"

#include "policyengine/detect/kt_pii_email.h"

#include <stdatomic.h>
#include <string.h>

#define KT_PII_KIND(name) extern const struct kt_pii_kind name;
#include "policyengine/detect/pii.def"
#undef KT_PII_KIND

static const struct kt_pii_kind *const kinds_list[] = {
#define KT_PII_KIND(name) &name,
#include "policyengine/detect/pii.def"
#undef KT_PII_KIND
};
_Static_assert(KT_COUNT(kinds_list) <= 32, "a set of kinds is one uint32_t");

const struct kt_pii_kind *const *kt_pii_kinds(size_t *count)
{
    *count = KT_COUNT(kinds_list);
    return kinds_list;
}

uint32_t kt_pii_bit(const char *label)
{
    for (size_t i = 0; i < KT_COUNT(kinds_list); i++)
        if (strcmp(kinds_list[i]->label, label) == 0)
            return 1u << i;
    return 0;
}

/* Which kinds a byte may start. Filled once; two threads that fill it at once write the same words. */
static const _Atomic uint32_t *first_bytes(void)
{
    static _Atomic uint32_t table[256];
    static atomic_bool ready;
    if (atomic_load_explicit(&ready, memory_order_acquire))
        return table;
    for (size_t i = 0; i < KT_COUNT(kinds_list); i++)
        for (const char *f = kinds_list[i]->first; *f; f++)
            atomic_fetch_or(&table[(unsigned char)*f], 1u << i);
    atomic_store_explicit(&ready, true, memory_order_release);
    return table;
}

static enum kt_pii_answer try_kinds(struct kt_pii_view *v, size_t at, uint32_t set, kt_pii_hit_fn hit,
                                    void *ctx)
{
    for (; set; set &= set - 1) {
        const struct kt_pii_kind *kind = kinds_list[__builtin_ctz(set)];
        size_t start = at, end = at;
        enum kt_pii_answer a = kind->match(v, at, &start, &end);
        if (a == KT_PII_NO)
            continue;
        if (a == KT_PII_YES) {
            v->floor = end;
            hit(ctx, kind, start, end);
        }
        return a;
    }
    return KT_PII_NO;
}

size_t kt_pii_scan(struct kt_pii_view *v, size_t from, uint32_t kinds, kt_pii_hit_fn hit, void *ctx,
                   size_t *hold)
{
    const _Atomic uint32_t *first = first_bytes();
    size_t at = from > v->floor ? from : v->floor;
    while (at < v->len) {
        uint32_t set = atomic_load_explicit(&first[(unsigned char)v->data[at]], memory_order_relaxed) & kinds;
        enum kt_pii_answer a = set ? try_kinds(v, at, set, hit, ctx) : KT_PII_NO;
        if (a == KT_PII_MORE)
            break;
        at = a == KT_PII_YES ? v->floor : at + 1;
    }
    /* An '@' that is still to come reaches back over what stands in front of it. */
    *hold = v->final ? at : kt_pii_email_reach(v, at);
    return at;
}

/* Turns offsets in the view into offsets in the segment. */
struct shift {
    kt_pii_hit_fn hit;
    void *ctx;
    size_t by;
};

static void shifted_hit(void *ctx, const struct kt_pii_kind *kind, size_t start, size_t end)
{
    const struct shift *s = ctx;
    s->hit(s->ctx, kind, s->by + start, s->by + end);
}

static kt_result join_windows(struct kt_pii_stream *s, const struct kt_pii_view *w, size_t keep)
{
    s->scratch.max = SIZE_MAX / 4; /* the window is the caller's: its size is bounded there */
    kt_buf_clear(&s->scratch);
    KT_GUARD(kt_buf_append(&s->scratch, s->behind, keep));
    return kt_buf_append(&s->scratch, w->data, w->len);
}

/* Keeps the bytes in front of `hold` (offset in the view) for the next window. */
static void remember(struct kt_pii_stream *s, const struct kt_pii_view *v, size_t view_at, size_t hold)
{
    size_t n = hold < KT_PII_BEHIND ? hold : KT_PII_BEHIND;
    memcpy(s->behind, v->data + hold - n, n);
    s->behind_at = view_at + hold - n;
    s->behind_len = n;
}

kt_result kt_pii_stream_window(struct kt_pii_stream *s, const struct kt_pii_view *window, size_t base,
                               uint32_t kinds, kt_pii_hit_fn hit, void *ctx, size_t *hold)
{
    struct kt_pii_view v = *window;
    size_t keep = 0;
    if (s->behind_at < base && base <= s->behind_at + s->behind_len)
        keep = base - s->behind_at;
    if (keep > 0) {
        KT_GUARD(join_windows(s, window, keep));
        v.data = s->scratch.data;
        v.len = s->scratch.len;
    }
    size_t view_at = base - keep;
    size_t from = s->scanned > view_at ? s->scanned - view_at : 0;
    if (from < keep)
        from = keep;
    v.floor = s->floor > view_at ? s->floor - view_at : 0;
    size_t held = v.len;
    if (from <= v.len && v.floor <= v.len) {
        struct shift shift = {hit, ctx, view_at};
        s->scanned = view_at + kt_pii_scan(&v, from, kinds, shifted_hit, &shift, &held);
        s->floor = view_at + v.floor;
        if (!v.final)
            remember(s, &v, view_at, held);
    }
    *hold = view_at + held;
    return kt_ok();
}

void kt_pii_stream_free(struct kt_pii_stream *s)
{
    kt_buf_wipe_free(&s->scratch);
    kt_wipe(s, sizeof *s);
}
