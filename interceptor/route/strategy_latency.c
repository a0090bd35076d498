/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/route/kt_rank.h"

static void order(const struct kt_route_ask *ask, const struct kt_candidate *c, size_t n, size_t *out)
{
    kt_rank_by_samples(ask, c, n, KT_SAMPLE_TTFB, 1, out);
}

extern const struct kt_strategy kt_strategy_latency;
const struct kt_strategy kt_strategy_latency = {
    .name = "latency",
    .id = KT_STRATEGY_LATENCY,
    .help = "the target that gave its first byte soonest within window_seconds; now and then another one, to "
            "know",
    .order = order,
};
