/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/route/kt_route.h"

static void order(const struct kt_route_ask *ask, const struct kt_candidate *c, size_t n, size_t *out)
{
    (void)ask, (void)c;
    for (size_t i = 0; i < n; i++)
        out[i] = i;
}

extern const struct kt_strategy kt_strategy_ordered;
const struct kt_strategy kt_strategy_ordered = {
    .name = "ordered",
    .id = KT_STRATEGY_ORDERED,
    .help = "targets in the order of the file; the next one when a fallback trigger fires",
    .keeps_order = true,
    .order = order,
};
