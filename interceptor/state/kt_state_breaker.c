/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The circuit breaker of a target: one word, so that every change is whole.
 *
 *   closed     counts failures in a row; so many of them open it
 *   open       until its time is over
 *   half open  lets trial calls through; all of them must go well to close it, one failure opens it again,
 * for twice as long. `until` is then the time by which a trial must have ended: one whose process was killed
 * is forgotten, never waited for.
 */
#include "interceptor/state/kt_state_layout.h"

#define STATE_BITS 2
#define COUNT_BITS 20 /* closed: failures in a row; half open: trials begun (10) and gone well (10) */
#define TURN_BITS 4   /* how often it opened again: the open time doubles */
#define UNTIL_BITS 38 /* ms since boot: eight years */
#define TRIALS_MAX 1000
#define LONGEST_MS (25 * 3600000ll) /* an `until` further away than that was not written by us */

struct breaker {
    unsigned state, failures, begun, well, turn;
    uint64_t until;
};

static struct breaker unpack(uint64_t w)
{
    struct breaker b = {.state = (unsigned)(w & 3)};
    unsigned count = (unsigned)(w >> STATE_BITS) & ((1u << COUNT_BITS) - 1);
    b.turn = (unsigned)(w >> (STATE_BITS + COUNT_BITS)) & ((1u << TURN_BITS) - 1);
    b.until = w >> (STATE_BITS + COUNT_BITS + TURN_BITS);
    if (b.state > KT_BREAKER_HALF_OPEN)
        b.state = KT_BREAKER_CLOSED;
    if (b.state == KT_BREAKER_CLOSED)
        b.failures = count;
    b.begun = b.state == KT_BREAKER_HALF_OPEN ? count & 1023 : 0;
    b.well = b.state == KT_BREAKER_HALF_OPEN ? count >> 10 : 0;
    if (b.well > b.begun)
        b.well = b.begun;
    return b;
}

static uint64_t pack(const struct breaker *b)
{
    uint64_t count = b->state == KT_BREAKER_HALF_OPEN ? b->begun | (uint64_t)b->well << 10 : b->failures;
    uint64_t until = b->until & ((1ull << UNTIL_BITS) - 1);
    return b->state | count << STATE_BITS | (uint64_t)b->turn << (STATE_BITS + COUNT_BITS) |
           until << (STATE_BITS + COUNT_BITS + TURN_BITS);
}

static struct breaker read_word(uint64_t w, uint64_t now_ms)
{
    struct breaker b = unpack(w);
    if (b.until > now_ms + (uint64_t)LONGEST_MS)
        b.until = now_ms;
    return b;
}

static unsigned trials_of(const struct kt_breaker_rules *r)
{
    return r->trials < 1 ? 1 : r->trials > TRIALS_MAX ? TRIALS_MAX : (unsigned)r->trials;
}

/* What would a call find? Trials that were lost do not count. */
static enum kt_permit judge(struct breaker *b, const struct kt_breaker_rules *r, uint64_t now_ms,
                            int64_t *wait_ms)
{
    *wait_ms = 0;
    if (b->state == KT_BREAKER_CLOSED)
        return KT_PERMIT_YES;
    bool over = now_ms >= b->until;
    if (b->state == KT_BREAKER_HALF_OPEN && over)
        b->begun = b->well;
    if (b->state == KT_BREAKER_HALF_OPEN ? b->begun < trials_of(r) : over)
        return KT_PERMIT_TRIAL;
    *wait_ms = over ? 1 : (int64_t)(b->until - now_ms);
    return KT_PERMIT_NO;
}

enum kt_breaker_state kt_breaker_look(const struct kt_tstate *t, const struct kt_breaker_rules *r,
                                      uint64_t now_ms, unsigned *failures, int64_t *wait_ms)
{
    struct breaker b = read_word(t ? kt_word_get(&t->breaker) : 0, now_ms);
    int64_t wait = 0;
    enum kt_breaker_state state = r->enabled ? (enum kt_breaker_state)b.state : KT_BREAKER_CLOSED;
    if (state != KT_BREAKER_CLOSED)
        judge(&b, r, now_ms, &wait);
    if (failures)
        *failures = b.failures;
    if (wait_ms)
        *wait_ms = wait;
    return state;
}

enum kt_permit kt_breaker_enter(struct kt_tstate *t, const struct kt_breaker_rules *r, uint64_t now_ms,
                                int64_t *wait_ms)
{
    *wait_ms = 0;
    if (!t || !r->enabled)
        return KT_PERMIT_YES;
    uint64_t old = kt_word_get(&t->breaker);
    for (;;) {
        struct breaker b = read_word(old, now_ms);
        enum kt_permit p = judge(&b, r, now_ms, wait_ms);
        if (p != KT_PERMIT_TRIAL)
            return p;
        if (b.state == KT_BREAKER_OPEN)
            b.begun = b.well = 0;
        b.state = KT_BREAKER_HALF_OPEN;
        b.begun++;
        b.until = now_ms + (uint64_t)(r->trial_ms > 0 ? r->trial_ms : 1);
        if (kt_word_swap(&t->breaker, &old, pack(&b)))
            return p;
    }
}

void kt_breaker_success(struct kt_tstate *t, const struct kt_breaker_rules *r, enum kt_permit p)
{
    if (!t)
        return;
    if (kt_word_get(&t->failed_ms))
        kt_word_set(&t->failed_ms, 0);
    uint64_t old = kt_word_get(&t->breaker);
    while (r->enabled) {
        struct breaker b = unpack(old);
        if (b.state == KT_BREAKER_CLOSED && b.failures == 0)
            return; /* the usual case writes nothing: no cache line wanders between processes */
        if (b.state != KT_BREAKER_CLOSED && (b.state != KT_BREAKER_HALF_OPEN || p != KT_PERMIT_TRIAL))
            return; /* an answer to a call from before it opened */
        if (b.state == KT_BREAKER_HALF_OPEN && b.well < b.begun)
            b.well++;
        if (b.state == KT_BREAKER_CLOSED || b.well >= trials_of(r))
            b = (struct breaker){.state = KT_BREAKER_CLOSED};
        if (kt_word_swap(&t->breaker, &old, pack(&b)))
            return;
    }
}

static int64_t open_ms(const struct kt_breaker_rules *r, unsigned turn, int64_t asked_ms)
{
    int64_t base = r->recovery_ms > 0 ? r->recovery_ms : 1;
    if (asked_ms >= 0)
        base = asked_ms < 1 ? 1 : asked_ms > KT_BREAKER_ASKED_MS ? KT_BREAKER_ASKED_MS : asked_ms;
    int64_t most = base > KT_BREAKER_MAX_MS ? base : KT_BREAKER_MAX_MS;
    for (unsigned i = 0; i < turn && base < most; i++)
        base *= 2;
    base = base > most ? most : base;
    return base < LONGEST_MS ? base : LONGEST_MS - 1;
}

void kt_breaker_failure(struct kt_tstate *t, const struct kt_breaker_rules *r, enum kt_permit p,
                        uint64_t now_ms, int64_t asked_ms)
{
    if (!t)
        return;
    kt_word_set(&t->failed_ms, now_ms ? now_ms : 1);
    uint64_t old = kt_word_get(&t->breaker);
    while (r->enabled) {
        struct breaker b = read_word(old, now_ms);
        bool again = b.state == KT_BREAKER_HALF_OPEN && p == KT_PERMIT_TRIAL;
        if (b.state != KT_BREAKER_CLOSED && !again)
            return;
        b.failures += b.failures < (1u << COUNT_BITS) - 1;
        b.turn = !again ? 0 : b.turn < (1u << TURN_BITS) - 1 ? b.turn + 1 : b.turn;
        if (again || b.failures >= (uint64_t)(r->threshold < 1 ? 1 : r->threshold)) {
            b.state = KT_BREAKER_OPEN;
            b.until = now_ms + (uint64_t)open_ms(r, b.turn, asked_ms);
        }
        if (kt_word_swap(&t->breaker, &old, pack(&b)))
            return;
    }
}

void kt_breaker_release(struct kt_tstate *t, enum kt_permit p)
{
    if (!t || p != KT_PERMIT_TRIAL)
        return;
    uint64_t old = kt_word_get(&t->breaker);
    for (;;) {
        struct breaker b = unpack(old);
        if (b.state != KT_BREAKER_HALF_OPEN || b.begun <= b.well)
            return;
        b.begun--;
        if (kt_word_swap(&t->breaker, &old, pack(&b)))
            return;
    }
}

uint64_t kt_target_failing_ms(const struct kt_tstate *t, uint64_t now_ms)
{
    uint64_t at = t ? kt_word_get(&t->failed_ms) : 0;
    return at == 0 ? UINT64_MAX : at > now_ms ? 0 : now_ms - at;
}
