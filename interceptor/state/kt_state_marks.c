/* SPDX-License-Identifier: Apache-2.0 */
/* Marks of the calls that are under way. */
#include "interceptor/state/kt_state_layout.h"

#include <stdio.h>
#include <string.h>

#define WHOLE (1ull << KT_OWNER_BITS) /* all of the mark is written; until then nothing has left */
#define DEAD_LOOKS 64                 /* a look at a process costs some microseconds, and somebody waits */

uint64_t kt_run_key(const char *run)
{
    return run && *run ? kt_key_text(KT_KEY_SEED, run) : 0;
}

struct kt_run_keys kt_run_keys_of(const char *run)
{
    struct kt_run_keys out = {{0}};
    char outer[512];
    size_t depth = 0, len = run ? strlen(run) : 0;
    for (size_t i = 1; i < len && depth < KT_RUN_DEPTH - 1; i++) {
        if (run[i] != '/' || i >= sizeof outer)
            continue;
        memcpy(outer, run, i);
        outer[i] = '\0';
        out.key[depth++] = kt_run_key(outer);
    }
    out.key[depth] = kt_run_key(run);
    return out;
}

/* A place that is now the owner's; -1 = none. */
static long take(struct kt_seg *seg, uint64_t mine)
{
    size_t start = (size_t)(kt_key_number(KT_KEY_SEED, mine) % KT_SEG_MARKS);
    for (size_t i = 0; i < KT_SEG_MARKS; i++) {
        size_t at = (start + i) % KT_SEG_MARKS;
        uint64_t free_word = 0;
        if (kt_word_get(&seg->mark_owners[at]) == 0 &&
            atomic_compare_exchange_strong(&seg->mark_owners[at], &free_word, mine))
            return (long)at;
    }
    for (size_t i = 0; i < DEAD_LOOKS; i++) {
        size_t at = (start + i) % KT_SEG_MARKS;
        uint64_t old = kt_word_get(&seg->mark_owners[at]);
        if (!kt_owner_dead(old) || !atomic_compare_exchange_strong(&seg->mark_owners[at], &old, mine))
            continue;
        if (old & WHOLE)
            atomic_fetch_add(&seg->lost_events, 1); /* nobody will write its event now */
        return (long)at;
    }
    return -1;
}

static void fill(struct kt_seg_mark *m, const struct kt_run_keys *runs, const char *host, uint16_t port,
                 uint64_t real_ms)
{
    char origin[KT_MARK_ORIGIN];
    memset(origin, 0, sizeof origin);
    bool v6 = strchr(host, ':') != NULL;
    snprintf(origin, sizeof origin, v6 ? "[%s]:%u" : "%s:%u", host, port);
    kt_word_set(&m->began_ms, real_ms);
    for (size_t i = 0; i < KT_RUN_DEPTH; i++)
        kt_word_set(&m->runs[i], runs->key[i]);
    for (size_t i = 0; i < KT_COUNT(m->origin); i++) {
        uint64_t piece;
        memcpy(&piece, origin + 8 * i, sizeof piece);
        kt_word_set(&m->origin[i], piece);
    }
}

struct kt_mark kt_mark_set(struct kt_state *s, const struct kt_run_keys *runs, const char *host,
                           uint16_t port, uint64_t real_ms)
{
    struct kt_mark none = {NULL, 0};
    if (!s)
        return none;
    struct kt_seg *seg = kt_state_seg(s);
    uint64_t mine = kt_owner_me();
    long at = take(seg, mine);
    if (at < 0) {
        atomic_fetch_add(&seg->unlisted, 1);
        return (struct kt_mark){&seg->unlisted, 0};
    }
    fill(&seg->marks[at], runs, host, port, real_ms);
    atomic_store_explicit(&seg->mark_owners[at], mine | WHOLE, memory_order_release);
    return (struct kt_mark){&seg->mark_owners[at], mine | WHOLE};
}

void kt_mark_clear(struct kt_mark *m)
{
    kt_word *place = m->place;
    uint64_t mine = m->owner;
    m->place = NULL;
    if (place && mine)
        atomic_compare_exchange_strong(place, &mine, 0); /* not where somebody wrote over the segment */
    else if (place)
        atomic_fetch_sub(place, 1);
}

/* ---- what was left behind ---- */

static bool belongs(const struct kt_seg_mark *m, uint64_t run_key)
{
    if (!run_key)
        return kt_word_get(&m->runs[0]) == 0;
    for (size_t i = 0; i < KT_RUN_DEPTH; i++)
        if (kt_word_get(&m->runs[i]) == run_key)
            return true;
    return false;
}

static struct kt_left_mark read_mark(const struct kt_seg_mark *m, uint64_t owner)
{
    struct kt_left_mark out = {.pid = (int)kt_owner_pid(owner), .began_ms = kt_word_get(&m->began_ms)};
    for (size_t i = 0; i < KT_COUNT(m->origin); i++) {
        uint64_t piece = kt_word_get(&m->origin[i]);
        memcpy(out.origin + 8 * i, &piece, sizeof piece);
    }
    out.origin[sizeof out.origin - 1] = '\0';
    return out;
}

static size_t collect(struct kt_seg *seg, uint64_t run_key,
                      void (*each)(void *arg, const struct kt_left_mark *mark), void *arg)
{
    size_t alive = 0;
    for (size_t at = 0; at < KT_SEG_MARKS; at++) {
        uint64_t owner = atomic_load_explicit(&seg->mark_owners[at], memory_order_acquire);
        if (!(owner & WHOLE) || !belongs(&seg->marks[at], run_key))
            continue;
        struct kt_left_mark left = read_mark(&seg->marks[at], owner);
        if (!kt_owner_dead(owner))
            alive++;
        else if (atomic_compare_exchange_strong(&seg->mark_owners[at], &owner, 0))
            each(arg, &left);
    }
    return alive;
}

size_t kt_marks_collect(struct kt_state *s, uint64_t run_key,
                        void (*each)(void *arg, const struct kt_left_mark *mark), void *arg)
{
    struct kt_seg *const *all = NULL;
    size_t alive = 0, count = s ? kt_state_mappings(s, &all) : 0;
    for (size_t i = 0; i < count; i++)
        alive += collect(all[i], run_key, each, arg);
    return alive;
}

bool kt_marks_any(struct kt_state *s, uint64_t run_key)
{
    struct kt_seg *const *all = NULL;
    size_t count = s ? kt_state_mappings(s, &all) : 0;
    for (size_t i = 0; i < count; i++)
        for (size_t at = 0; at < KT_SEG_MARKS; at++)
            if ((atomic_load_explicit(&all[i]->mark_owners[at], memory_order_acquire) & WHOLE) &&
                belongs(&all[i]->marks[at], run_key))
                return true;
    return false;
}

uint64_t kt_marks_unlisted(struct kt_state *s)
{
    return s ? kt_word_get(&kt_state_seg(s)->unlisted) : 0;
}
