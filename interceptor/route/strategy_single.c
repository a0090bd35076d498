/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/route/kt_route.h"

static void order(const struct kt_route_ask *ask, const struct kt_candidate *c, size_t n, size_t *out)
{
    (void)ask, (void)c, (void)n;
    out[0] = 0;
}

extern const struct kt_strategy kt_strategy_single;
const struct kt_strategy kt_strategy_single = {
    .name = "single",
    .id = KT_STRATEGY_SINGLE,
    .help = "the first target, and no other",
    .first_only = true,
    .keeps_order = true,
    .order = order,
};
