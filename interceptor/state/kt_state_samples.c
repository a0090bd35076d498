/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast a target was: the newest samples, each one word. The mean is worked out by who reads it, with the
 * window of its own config; so configs that share a target need not agree, and no word depends on another.
 */
#include "interceptor/state/kt_state_layout.h"

#include <math.h>
#include <string.h>

#define TICK_MS 100u
#define HALVES_IN_WINDOW 4

static uint32_t ticks(uint64_t ms)
{
    return (uint32_t)(ms / TICK_MS + 1); /* 0 = no sample */
}

void kt_samples_add(struct kt_tstate *t, enum kt_sample_kind kind, double value, uint64_t now_ms)
{
    float f = (float)value;
    uint32_t bits;
    if (!t || !(f >= 0) || !isfinite(f))
        return;
    memcpy(&bits, &f, sizeof bits);
    uint64_t at = atomic_fetch_add_explicit(&t->at[kind], 1, memory_order_relaxed);
    kt_word_set(&t->samples[kind][at % KT_SAMPLES_MAX], (uint64_t)ticks(now_ms) << 32 | bits);
}

/* 2^-x in linear pieces: exact where it matters (0, 1, 2, ...), and no libm. */
static double half_to_the(double x)
{
    double w = 1;
    while (x >= 1) {
        w /= 2;
        x -= 1;
    }
    return w * (1 - x / 2);
}

struct kt_samples kt_samples_read(const struct kt_tstate *t, enum kt_sample_kind kind, int64_t window_ms,
                                  uint64_t now_ms)
{
    struct kt_samples out = {.newest_age_ms = UINT64_MAX};
    double sum = 0, weights = 0;
    uint32_t now = ticks(now_ms);
    for (size_t i = 0; t && window_ms > 0 && i < KT_SAMPLES_MAX; i++) {
        uint64_t word = kt_word_get(&t->samples[kind][i]);
        uint32_t bits = (uint32_t)word, when = (uint32_t)(word >> 32);
        float value;
        memcpy(&value, &bits, sizeof value);
        uint64_t age = when > now ? 0 : (uint64_t)(now - when) * TICK_MS;
        /* A time ahead of now: another thread read the clock a moment later, or somebody wrote nonsense. */
        if (!when || when > now + 10 || age > (uint64_t)window_ms || !isfinite(value) || !(value >= 0))
            continue;
        double w = half_to_the((double)age * HALVES_IN_WINDOW / (double)window_ms);
        sum += w * (double)value;
        weights += w;
        out.count++;
        if (age < out.newest_age_ms)
            out.newest_age_ms = age;
    }
    out.mean = weights > 0 ? sum / weights : 0;
    return out;
}
