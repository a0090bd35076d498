/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The bytes of the segment. Inside interceptor/state only. A change of anything here changes the layout's
 * hash, and with it the file's name: two versions never fight about one file. */
#include "interceptor/state/kt_state.h"

#include <stdatomic.h>
#include <sys/types.h>

#define KT_SEG_MAGIC 0x31455441545354ull /* "TSTATE1" */
#define KT_SEG_VERSION 1u
#define KT_SEG_TARGETS 512u
#define KT_SEG_SEQUENCES 1024u
#define KT_SEG_RATES 4096u
#define KT_SEG_SPENDS 512u
#define KT_SEG_MARKS 2048u
#define KT_SEG_PROBE 64u /* places that a key may take: its own and those behind it */

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock inside an atomic would not work across processes");

typedef _Atomic uint64_t kt_word;

struct kt_seg_header { /* written before the file gets its name, never changed after */
    uint64_t magic, layout, size;
    uint32_t version, uid;
    uint64_t created_ms; /* real time */
    char boot[48];       /* of the kernel: times since boot mean nothing in another one */
    uint64_t check;      /* over all of the above */
};

struct kt_tstate {
    kt_word last_use_ms, breaker, failed_ms, lease, probe;
    kt_word at[2];                      /* next place in `samples`, per kind */
    kt_word spare;                      /* keeps `samples` on its own cache lines */
    kt_word samples[2][KT_SAMPLES_MAX]; /* time in tenths of a second | float */
};

struct kt_seg_sequence {
    kt_word next, last_use_ms;
};

struct kt_seg_window {
    kt_word word; /* tag of the window | amount */
    kt_word ends_ms;
};

struct kt_seg_mark {
    kt_word began_ms, runs[KT_RUN_DEPTH];
    kt_word origin[KT_MARK_ORIGIN / 8];
};

/* Keys lie together: looking one up reads a few cache lines. 0 = free. */
struct kt_seg {
    union {
        struct {
            struct kt_seg_header header;
            kt_word lost_events;
            kt_word unlisted; /* calls under way that found no place in the marks */
        };
        char page[4096];
    };
    kt_word target_keys[KT_SEG_TARGETS];
    kt_word sequence_keys[KT_SEG_SEQUENCES];
    kt_word rate_keys[KT_SEG_RATES];
    kt_word spend_keys[KT_SEG_SPENDS];
    struct kt_seg_sequence sequences[KT_SEG_SEQUENCES];
    struct kt_seg_window rates[KT_SEG_RATES];
    struct kt_seg_window spends[KT_SEG_SPENDS];
    struct kt_tstate targets[KT_SEG_TARGETS];
    kt_word mark_owners[KT_SEG_MARKS]; /* kt_state_owner.c, and whether the mark is whole; 0 = free */
    struct kt_seg_mark marks[KT_SEG_MARKS];
};

struct kt_file_id { /* which file a mapping is of */
    uint64_t dev, ino;
};

/* kt_state_file.c */
/* Opens or makes the file in `dir` and maps it: new, kt_seg_unmap. NULL where that cannot be, with the cause
 * in `why`. */
struct kt_seg *kt_seg_open(const char *dir, struct kt_file_id *id, char *why, size_t why_size);
/* New, kt_seg_unmap: memory of this process and its fork children. NULL: none left. */
struct kt_seg *kt_seg_anonymous(void);
void kt_seg_unmap(struct kt_seg *seg);
/* Is the file in `dir` still that one? */
bool kt_seg_is_current(const char *dir, const struct kt_file_id *id);

/* kt_state_owner.c: the low bits of a word say which process owns something. Never 0. */
#define KT_OWNER_BITS 38
uint64_t kt_owner_me(void);
pid_t kt_owner_pid(uint64_t word);
/* Known to be gone. An owner in another pid namespace cannot be looked at: it counts as alive. */
bool kt_owner_dead(uint64_t word);

/* kt_state_seg.c */
uint64_t kt_seg_layout(void);
void kt_seg_name(char out[64]);
/* The header of a segment that is made now. */
void kt_seg_header_fill(struct kt_seg_header *h);
enum kt_seg_verdict { KT_SEG_GOOD, KT_SEG_OTHER_BOOT, KT_SEG_BAD };
enum kt_seg_verdict kt_seg_judge(const struct kt_seg_header *h);
/* What outlives a boot. */
void kt_seg_carry_spending(struct kt_seg *to, struct kt_seg *from);

/* kt_state.c */
/* All that were in use, the newest last. */
size_t kt_state_mappings(struct kt_state *s, struct kt_seg *const **all);
struct kt_seg *kt_state_seg(struct kt_state *s);     /* the one in use */
struct kt_seg *kt_state_private(struct kt_state *s); /* for what has no place there; NULL: no memory */
/* Keys of one kind and the stamps by which a place counts as forgotten. */
struct kt_table {
    kt_word *keys;
    kt_word *stamps;      /* of place 0 */
    size_t stride, count; /* words from one stamp to the next; places */
    uint64_t age_ms;      /* a stamp that is so much older than now */
};
/* Place of the key; a free or forgotten one is taken for it, stamped with `stamp`. -1 = full. `*fresh`: it
 * was just taken, and still holds what was left there. */
long kt_place(const struct kt_table *t, uint64_t key, uint64_t now_ms, uint64_t stamp, bool *fresh);

static inline uint64_t kt_word_get(const kt_word *w)
{
    return atomic_load_explicit((kt_word *)w, memory_order_relaxed);
}

static inline void kt_word_set(kt_word *w, uint64_t value)
{
    atomic_store_explicit(w, value, memory_order_relaxed);
}

/* False: *old holds what stands there now. */
static inline bool kt_word_swap(kt_word *w, uint64_t *old, uint64_t value)
{
    return atomic_compare_exchange_weak_explicit(w, old, value, memory_order_acq_rel, memory_order_relaxed);
}
