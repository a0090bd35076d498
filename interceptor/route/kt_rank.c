/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/route/kt_rank.h"

#define FAILING_MS                                                                                           \
    10000u               /* who failed just now, with no success since, is no candidate for the first place */
#define EXPLORE_EVERY 16 /* calls: one goes to who was measured longest ago */
#define LEARN_EVERY 2    /* calls: one goes to who was measured too rarely, while there is one */

void kt_rank_by(const double *score, size_t n, size_t *out)
{
    for (size_t i = 0; i < n; i++) {
        size_t at = i;
        for (; at > 0 && score[out[at - 1]] > score[i]; at--)
            out[at] = out[at - 1];
        out[at] = i;
    }
}

void kt_rank_front(size_t *order, size_t n, size_t first)
{
    size_t at = 0;
    while (at < n && order[at] != first)
        at++;
    for (; at > 0 && at < n; at--)
        order[at] = order[at - 1];
    if (at == 0 && n)
        order[0] = first;
}

uint64_t kt_rank_turn_key(const char *salt, const struct kt_candidate *c, size_t n)
{
    uint64_t key = kt_key_text(KT_KEY_SEED, salt);
    for (size_t i = 0; i < n; i++)
        key = kt_key_number(key, c[i].key);
    return key;
}

/* ---- by measured speed ---- */

/* Three classes, each in itself by the mean: measured, measured too rarely (in the order of the file),
 * failing just now. So long as one is measured too rarely, every second call goes to the one that was
 * measured least; else every sixteenth goes to the one measured longest ago, whose mean may no longer be
 * true. */
struct ranking {
    double score[KT_ROUTE_MAX];
    size_t learn, oldest; /* SIZE_MAX = none */
};

static struct ranking look(const struct kt_route_ask *ask, const struct kt_candidate *c, size_t n,
                           enum kt_sample_kind kind, double sign)
{
    const int64_t window_ms = ask->config->providers.routing.window_seconds * 1000;
    int64_t wanted = ask->config->providers.routing.min_sample_count;
    wanted = wanted < 1 ? 1 : wanted > KT_SAMPLES_MAX ? KT_SAMPLES_MAX : wanted;
    struct ranking r = {.learn = SIZE_MAX, .oldest = SIZE_MAX};
    unsigned fewest = KT_SAMPLES_MAX;
    uint64_t longest = 0;
    for (size_t i = 0; i < n; i++) {
        struct kt_samples s = kt_samples_read(c[i].state, kind, window_ms, ask->now_ms);
        bool measured = s.count >= (uint64_t)wanted;
        bool failing = kt_target_failing_ms(c[i].state, ask->now_ms) < FAILING_MS;
        r.score[i] = failing ? 1e300 : measured ? sign * s.mean : 1e200;
        if (!failing && !measured && s.count < fewest) {
            fewest = s.count;
            r.learn = i;
        }
        if (!failing && measured && s.newest_age_ms >= longest) {
            longest = s.newest_age_ms;
            r.oldest = i;
        }
    }
    return r;
}

void kt_rank_by_samples(const struct kt_route_ask *ask, const struct kt_candidate *c, size_t n,
                        enum kt_sample_kind kind, double sign, size_t *out)
{
    struct ranking r = look(ask, c, n, kind, sign);
    kt_rank_by(r.score, n, out);
    if (n < 2)
        return;
    uint64_t turn = kt_sequence_next(ask->state, kt_rank_turn_key("speed", c, n), ask->now_ms);
    if (r.learn != SIZE_MAX && turn % LEARN_EVERY == 0)
        kt_rank_front(out, n, r.learn);
    else if (r.learn == SIZE_MAX && r.oldest != SIZE_MAX && turn % EXPLORE_EVERY == EXPLORE_EVERY - 1)
        kt_rank_front(out, n, r.oldest);
}

/* ---- weighted turns ---- */

/*
 * Target i's k-th turn of a cycle is due at (k + 1/2) * cycle / weight[i] (Webster's divisor method, as used
 * to share out seats); turns are taken in the order in which they are due. So a cycle holds exactly weight[i]
 * turns of target i, evenly spread, and which turn is whose follows from its number alone: processes need to
 * share nothing but a counter.
 */
static uint64_t odd_numbers_upto(uint64_t n) /* 1, 3, 5, ... <= n */
{
    return (n + 1) / 2;
}

/* How many turns of all targets come before turn k of target i; equal ones in the order of the file. */
static uint64_t turns_before(const uint64_t *weight, size_t n, size_t i, uint64_t k)
{
    uint64_t before = 0;
    for (size_t j = 0; j < n; j++) {
        uint64_t due = (2 * k + 1) * weight[j]; /* x 1/weight[i]; (2k'+1) * weight[i] < due comes before */
        uint64_t upto = j < i ? due : due ? due - 1 : 0;
        before += weight[j] ? odd_numbers_upto(upto / weight[i]) : 0;
    }
    return before;
}

size_t kt_weighted_turn(const uint64_t *weight, size_t n, uint64_t turn)
{
    uint64_t cycle = 0;
    for (size_t i = 0; i < n; i++)
        cycle += weight[i];
    turn %= cycle ? cycle : 1;
    for (size_t i = 0; i < n; i++) {
        uint64_t low = 0, high = weight[i]; /* the first k that has `turn` or more in front of it */
        while (low < high) {
            uint64_t k = low + (high - low) / 2;
            if (turns_before(weight, n, i, k) < turn)
                low = k + 1;
            else
                high = k;
        }
        if (low < weight[i] && turns_before(weight, n, i, low) == turn)
            return i;
    }
    return 0;
}
