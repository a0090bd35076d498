/* SPDX-License-Identifier: Apache-2.0 */
/* Who probes a target, and what the last probe said. */
#include "interceptor/state/kt_state_layout.h"

/* A lease: its owner (kt_state_owner.c) | end in seconds since boot (26: two years). */
#define END_BITS 26
#define LONGEST_S 90000u

static uint64_t bits(uint64_t v, unsigned n)
{
    return v & ((1ull << n) - 1);
}

static uint64_t owner_of(uint64_t word)
{
    return bits(word, KT_OWNER_BITS);
}

bool kt_lease_take(struct kt_tstate *t, uint64_t now_ms, int64_t lease_ms)
{
    if (!t)
        return true; /* nobody to share the work with */
    uint64_t mine = kt_owner_me(), now_s = now_ms / 1000;
    uint64_t end = now_s + 1 + (uint64_t)(lease_ms > 0 ? lease_ms : 0) / 1000;
    uint64_t old = kt_word_get(&t->lease);
    for (;;) {
        uint64_t until = old >> (64 - END_BITS);
        bool over = old == 0 || until <= now_s || until > now_s + LONGEST_S;
        if (!over && owner_of(old) != mine && !kt_owner_dead(old))
            return false;
        if (kt_word_swap(&t->lease, &old, mine | bits(end, END_BITS) << (64 - END_BITS)))
            return true;
    }
}

void kt_lease_drop(struct kt_tstate *t)
{
    uint64_t old = t ? kt_word_get(&t->lease) : 0, mine = t ? kt_owner_me() : 0;
    while (old && owner_of(old) == mine)
        if (kt_word_swap(&t->lease, &old, 0))
            return;
}

/* Result: ms since boot (40) | status (10) | failures in a row (8) | known | ok */
void kt_probe_set(struct kt_tstate *t, bool ok, int status, uint64_t now_ms)
{
    if (!t)
        return;
    uint64_t old = kt_word_get(&t->probe), failures = bits(old >> 2, 8);
    failures = ok ? 0 : failures < 255 ? failures + 1 : failures;
    uint64_t code = status > 0 && status < 1000 ? (uint64_t)status : 0;
    kt_word_set(&t->probe, now_ms << 24 >> 4 | code << 10 | failures << 2 | 2 | ok);
}

struct kt_probe kt_probe_get(const struct kt_tstate *t, uint64_t now_ms)
{
    uint64_t w = t ? kt_word_get(&t->probe) : 0, when = w >> 20;
    struct kt_probe p = {.known = w & 2,
                         .ok = w & 1,
                         .failures = (unsigned)bits(w >> 2, 8),
                         .status = (int)bits(w >> 10, 10),
                         .age_ms = when > now_ms ? 0 : now_ms - when};
    return p;
}
