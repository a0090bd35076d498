/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_pii.h"

#include "policyengine/detect/kt_pii_email.h"
#include "policyengine/detect/kt_pii_text.h"

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

/* Which kinds a byte may start, and which of them only where a word may. */
struct first_bytes {
    _Atomic uint32_t kinds[256];
    _Atomic uint32_t at_words;
    atomic_bool ready;
};

/* Filled once; two threads that fill it at once write the same words. */
static const struct first_bytes *first_bytes(void)
{
    static struct first_bytes f;
    if (atomic_load_explicit(&f.ready, memory_order_acquire))
        return &f;
    for (size_t i = 0; i < KT_COUNT(kinds_list); i++) {
        for (const char *c = kinds_list[i]->first; *c; c++)
            atomic_fetch_or(&f.kinds[(unsigned char)*c], 1u << i);
        if (!kinds_list[i]->inside_words)
            atomic_fetch_or(&f.at_words, 1u << i);
    }
    atomic_store_explicit(&f.ready, true, memory_order_release);
    return &f;
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

/* The next place from `at` on where some kind has to be asked, and which ones: most bytes of most texts are
 * passed over here. */
static size_t next_place(const struct kt_pii_view *v, size_t at, uint32_t kinds, uint32_t *set)
{
    const struct first_bytes *first = first_bytes();
    uint32_t at_words = v->json ? 0 : atomic_load_explicit(&first->at_words, memory_order_relaxed);
    const unsigned char *data = (const unsigned char *)v->data;
    size_t len = v->len, floor = v->floor;
    for (; at < len; at++) {
        uint32_t here = atomic_load_explicit(&first->kinds[data[at]], memory_order_relaxed) & kinds;
        if (here && at > floor && kt_pii_word(data[at - 1]))
            here &= ~at_words;
        if (here) {
            *set = here;
            break;
        }
    }
    return at;
}

size_t kt_pii_scan(struct kt_pii_view *v, size_t from, uint32_t kinds, kt_pii_hit_fn hit, void *ctx,
                   size_t *hold)
{
    size_t at = from > v->floor ? from : v->floor;
    uint32_t set = 0;
    while ((at = next_place(v, at, kinds, &set)) < v->len) {
        enum kt_pii_answer a = try_kinds(v, at, set, hit, ctx);
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
