/* SPDX-License-Identifier: Apache-2.0 */
/* Which segment is in use, and where in it a key has its place. */
#include "interceptor/state/kt_state_layout.h"

#include "policyengine/base/kt_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_MS 1000u
#define MAX_MAPPINGS 16 /* a file that is removed for ever and ever does not fill the address space */
#define STALE_TARGET_MS (7ull * 86400000ull)
#define STALE_SEQUENCE_MS 86400000ull

/* Mappings that are no longer in use stay until the end: another thread may be inside. */
struct kt_state {
    char dir[4096];
    _Atomic(struct kt_seg *) seg, own;
    struct kt_seg *all[MAX_MAPPINGS];
    size_t count;
    struct kt_file_id id;
    char problem[512];
    _Atomic uint64_t next_check;
    atomic_bool checking, full_told;
    bool shared;
};

static void degrade(struct kt_state *s)
{
    s->shared = false;
    kt_warn("routing state is this process's own (breakers, latencies, limits are not shared): %s",
            s->problem);
}

kt_result kt_state_open(const char *state_dir, struct kt_state **out)
{
    *out = NULL;
    struct kt_state *s = calloc(1, sizeof *s);
    KT_ENSURE(s, KT_ERR_MEMORY);
    struct kt_seg *seg = NULL;
    if (state_dir && (size_t)snprintf(s->dir, sizeof s->dir, "%s/state", state_dir) < sizeof s->dir)
        seg = kt_seg_open(s->dir, &s->id, s->problem, sizeof s->problem);
    else
        snprintf(s->problem, sizeof s->problem, "no state folder");
    s->shared = seg != NULL;
    if (!seg) {
        seg = kt_seg_anonymous();
        if (!seg) {
            free(s);
            return kt_err(KT_ERR_MEMORY);
        }
        degrade(s);
    }
    s->all[s->count++] = seg;
    atomic_store(&s->seg, seg);
    *out = s;
    return kt_ok();
}

void kt_state_free(struct kt_state *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++)
        kt_seg_unmap(s->all[i]);
    kt_seg_unmap(atomic_load(&s->own));
    free(s);
}

bool kt_state_is_shared(const struct kt_state *s)
{
    return s && s->shared;
}

const char *kt_state_problem(const struct kt_state *s)
{
    return s->problem;
}

struct kt_seg *kt_state_seg(struct kt_state *s)
{
    return atomic_load_explicit(&s->seg, memory_order_acquire);
}

size_t kt_state_mappings(struct kt_state *s, struct kt_seg *const **all)
{
    *all = s->all;
    return s->count;
}

struct kt_seg *kt_state_private(struct kt_state *s)
{
    if (!atomic_exchange(&s->full_told, true))
        kt_warn("a table of the routing state in %s is full; what has no place in it is this process's own",
                s->dir);
    struct kt_seg *own = atomic_load(&s->own);
    if (own)
        return own;
    struct kt_seg *made = kt_seg_anonymous();
    if (made && !atomic_compare_exchange_strong(&s->own, &own, made)) {
        kt_seg_unmap(made);
        return own;
    }
    return made;
}

static void follow(struct kt_state *s)
{
    if (kt_seg_is_current(s->dir, &s->id) || s->count == MAX_MAPPINGS)
        return;
    struct kt_file_id id;
    struct kt_seg *seg = kt_seg_open(s->dir, &id, s->problem, sizeof s->problem);
    if (!seg) {
        degrade(s); /* the old mapping serves on, alone */
        return;
    }
    s->id = id;
    s->all[s->count++] = seg;
    atomic_store_explicit(&s->seg, seg, memory_order_release);
}

void kt_state_check(struct kt_state *s, uint64_t now_ms)
{
    if (!s || !s->shared || now_ms < atomic_load_explicit(&s->next_check, memory_order_relaxed) ||
        atomic_exchange(&s->checking, true))
        return;
    follow(s);
    atomic_store(&s->next_check, now_ms + CHECK_MS);
    atomic_store(&s->checking, false);
}

static void (*on_lost)(void); /* written before the first thread */

void kt_state_on_lost(void (*fn)(void))
{
    on_lost = fn;
}

void kt_state_event_lost(struct kt_state *s)
{
    if (!kt_state_is_shared(s) && on_lost)
        on_lost();
    if (s)
        atomic_fetch_add(&kt_state_seg(s)->lost_events, 1);
}

uint64_t kt_state_lost_events(struct kt_state *s)
{
    return s ? kt_word_get(&kt_state_seg(s)->lost_events) : 0;
}

/* ---- places ---- */

/* The first place with the key, in the order of the places: two processes that took one each in the same
 * moment agree on the same one from then on. */
static long find(const struct kt_table *t, uint64_t key)
{
    for (size_t i = 0; i < KT_SEG_PROBE; i++) {
        size_t at = (size_t)((key + i) % t->count);
        if (atomic_load_explicit(&t->keys[at], memory_order_acquire) == key)
            return (long)at;
    }
    return -1;
}

long kt_place(const struct kt_table *t, uint64_t key, uint64_t now_ms, uint64_t stamp, bool *fresh)
{
    key = key ? key : 1;
    *fresh = false;
    long at = find(t, key);
    for (size_t i = 0; at < 0 && i < KT_SEG_PROBE; i++) {
        size_t here = (size_t)((key + i) % t->count);
        kt_word *stamped = t->stamps + here * t->stride;
        uint64_t old = kt_word_get(&t->keys[here]);
        if (old && old != key && kt_word_get(stamped) + t->age_ms >= now_ms)
            continue;
        /* The stamp first: nobody else may take the place for a forgotten one between the two. */
        if (old != key)
            kt_word_set(stamped, stamp);
        if (old != key && atomic_compare_exchange_strong(&t->keys[here], &old, key))
            *fresh = true;
        if (*fresh || old == key)
            at = find(t, key);
    }
    return at;
}

static struct kt_tstate *target_in(struct kt_seg *seg, uint64_t key, uint64_t now_ms)
{
    bool fresh = false;
    if (!seg)
        return NULL;
    const struct kt_table table = {seg->target_keys, &seg->targets[0].last_use_ms,
                                   sizeof(struct kt_tstate) / sizeof(kt_word), KT_SEG_TARGETS,
                                   STALE_TARGET_MS};
    long at = kt_place(&table, key, now_ms, now_ms, &fresh);
    if (at < 0)
        return NULL;
    struct kt_tstate *t = &seg->targets[at];
    kt_word_set(&t->last_use_ms, now_ms);
    if (fresh) { /* killed before this: what stays of the old target is too old to count, or a spent breaker
                  */
        kt_word_set(&t->breaker, 0);
        kt_word_set(&t->failed_ms, 0);
        kt_word_set(&t->lease, 0);
        kt_word_set(&t->probe, 0);
    }
    return t;
}

struct kt_tstate *kt_state_target(struct kt_state *s, uint64_t key, uint64_t now_ms)
{
    if (!s)
        return NULL;
    struct kt_tstate *t = target_in(kt_state_seg(s), key, now_ms);
    return t ? t : target_in(kt_state_private(s), key, now_ms);
}

static struct kt_seg_sequence *sequence_in(struct kt_seg *seg, uint64_t key, uint64_t now_ms)
{
    bool fresh = false;
    if (!seg)
        return NULL;
    const struct kt_table table = {seg->sequence_keys, &seg->sequences[0].last_use_ms,
                                   sizeof(struct kt_seg_sequence) / sizeof(kt_word), KT_SEG_SEQUENCES,
                                   STALE_SEQUENCE_MS};
    long at = kt_place(&table, key, now_ms, now_ms, &fresh);
    return at < 0 ? NULL : &seg->sequences[at];
}

uint64_t kt_sequence_next(struct kt_state *s, uint64_t key, uint64_t now_ms)
{
    static _Atomic uint64_t alone;
    struct kt_seg_sequence *q = s ? sequence_in(kt_state_seg(s), key, now_ms) : NULL;
    if (s && !q)
        q = sequence_in(kt_state_private(s), key, now_ms);
    if (!q)
        return atomic_fetch_add(&alone, 1);
    kt_word_set(&q->last_use_ms, now_ms);
    return atomic_fetch_add(&q->next, 1);
}
