/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/route/kt_rank.h"

static void order(const struct kt_route_ask *ask, const struct kt_candidate *c, size_t n, size_t *out)
{
    uint64_t turn = kt_sequence_next(ask->state, kt_rank_turn_key("round", c, n), ask->now_ms);
    for (size_t i = 0; i < n; i++)
        out[i] = (size_t)((turn + i) % n);
}

extern const struct kt_strategy kt_strategy_round_robin;
const struct kt_strategy kt_strategy_round_robin = {
    .name = "round_robin",
    .id = KT_STRATEGY_ROUND_ROBIN,
    .help = "one target after the other, over all processes",
    .order = order,
};
