/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/route/kt_rank.h"

static void order(const struct kt_route_ask *ask, const struct kt_candidate *c, size_t n, size_t *out)
{
    kt_rank_by_samples(ask, c, n, KT_SAMPLE_SPEED, -1, out);
}

extern const struct kt_strategy kt_strategy_highest_throughput;
const struct kt_strategy kt_strategy_highest_throughput = {
    .name = "highest_throughput",
    .id = KT_STRATEGY_HIGHEST_THROUGHPUT,
    .help = "the target that gave the most tokens per second within window_seconds; now and then another one",
    .order = order,
};
