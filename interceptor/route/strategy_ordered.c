/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/route/kt_route.h"

static size_t order_as_written(const struct kt_config *config, size_t *out, size_t cap)
{
    size_t n = config->providers.target_count < cap ? config->providers.target_count : cap;
    for (size_t i = 0; i < n; i++)
        out[i] = i;
    return n;
}

extern const struct kt_strategy kt_strategy_ordered;
const struct kt_strategy kt_strategy_ordered = {
    .name = "ordered",
    .id = KT_STRATEGY_ORDERED,
    .help = "targets in the order of the file; the next one when a fallback trigger fires",
    .order = order_as_written,
};
