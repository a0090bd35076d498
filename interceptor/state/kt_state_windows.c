/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fixed windows. A word holds which window it counts for and how much of it is used; the first take in a new
 * window starts from nothing by the same swap, so that no process has to reset anything.
 */
#include "interceptor/state/kt_state_layout.h"

#define AMOUNT_BITS 44
#define TAG_MASK ((1ull << (64 - AMOUNT_BITS)) - 1)

/* The key is part of the tag: a place that was another key's a moment ago counts from nothing, too. */
static uint64_t tag_of(const struct kt_window *w, uint64_t number)
{
    uint64_t tag = (number + (w->key >> 40)) & TAG_MASK;
    return tag ? tag : TAG_MASK; /* a word of zeros belongs to no window */
}

struct place {
    kt_word *word;
    uint64_t number, end_ms;
};

static bool place_in(struct kt_seg *seg, const struct kt_window *w, uint64_t now_ms, bool force,
                     struct place *out)
{
    bool fresh = false, spend = w->kind == KT_WINDOW_SPEND;
    if (!seg)
        return false;
    struct kt_seg_window *all = spend ? seg->spends : seg->rates;
    const struct kt_table table = {spend ? seg->spend_keys : seg->rate_keys, &all[0].ends_ms,
                                   sizeof(struct kt_seg_window) / sizeof(kt_word),
                                   spend ? KT_SEG_SPENDS : KT_SEG_RATES, 0};
    long at = kt_place(&table, w->key, now_ms, out->end_ms, &fresh);
    if (at < 0 && force)
        at = (long)(w->key % table.count);
    if (at < 0)
        return false;
    out->word = &all[at].word;
    kt_word_set(&all[at].ends_ms, out->end_ms);
    return true;
}

static bool find_place(struct kt_state *s, const struct kt_window *w, uint64_t now_ms, struct place *out)
{
    uint64_t length = (uint64_t)(w->window_ms > 0 ? w->window_ms : 1);
    out->number = now_ms / length;
    out->end_ms = (out->number + 1) * length;
    return s && (place_in(kt_state_seg(s), w, now_ms, false, out) ||
                 place_in(kt_state_private(s), w, now_ms, true, out));
}

/* What is used of the window with that number. Where the word is the next one's already, that is counted on:
 * this process read the clock just before the others, or the clock was set back, which gives nobody a fresh
 * window. */
static int64_t used_of(const struct kt_window *w, uint64_t word, uint64_t number)
{
    uint64_t tag = word >> AMOUNT_BITS;
    bool same = tag == tag_of(w, number) || tag == tag_of(w, number + 1);
    return same ? (int64_t)(word & (uint64_t)KT_WINDOW_MAX) : 0;
}

static uint64_t word_of(const struct kt_window *w, uint64_t old, uint64_t number, int64_t used)
{
    uint64_t tag = old >> AMOUNT_BITS, ahead = tag_of(w, number + 1);
    return (tag == ahead ? ahead : tag_of(w, number)) << AMOUNT_BITS | (uint64_t)used;
}

struct kt_window_result kt_window_take(struct kt_state *s, const struct kt_window *w, uint64_t now_ms,
                                       int64_t amount, int64_t limit)
{
    struct place p;
    if (!find_place(s, w, now_ms, &p))
        return (struct kt_window_result){.ok = true};
    amount = amount < 0 ? 0 : amount > KT_WINDOW_MAX ? KT_WINDOW_MAX : amount;
    limit = limit > KT_WINDOW_MAX ? KT_WINDOW_MAX : limit;
    struct kt_window_result r = {.left_ms = (int64_t)(p.end_ms - now_ms)};
    uint64_t old = kt_word_get(p.word);
    for (;;) {
        r.used = used_of(w, old, p.number);
        r.ok = r.used + amount <= limit;
        if (!r.ok)
            return r;
        if (kt_word_swap(p.word, &old, word_of(w, old, p.number, r.used + amount)))
            return r;
    }
}

void kt_window_settle(struct kt_state *s, const struct kt_window *w, uint64_t taken_ms, uint64_t now_ms,
                      int64_t delta)
{
    struct place p;
    if (!find_place(s, w, now_ms, &p))
        return;
    /* Too much was taken from a window that is over: nobody gets it back. Too little: the next one pays. */
    if (taken_ms / (uint64_t)(w->window_ms > 0 ? w->window_ms : 1) != p.number && delta < 0)
        return;
    uint64_t old = kt_word_get(p.word);
    for (;;) {
        int64_t used = used_of(w, old, p.number) + delta;
        used = used < 0 ? 0 : used > KT_WINDOW_MAX ? KT_WINDOW_MAX : used;
        if (kt_word_swap(p.word, &old, word_of(w, old, p.number, used)))
            break;
    }
}
