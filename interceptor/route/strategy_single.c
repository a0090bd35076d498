/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/route/kt_route.h"

static size_t order_single(const struct kt_config *config, size_t *out, size_t cap)
{
    if (cap == 0 || config->providers.target_count == 0)
        return 0;
    out[0] = 0;
    return 1;
}

extern const struct kt_strategy kt_strategy_single;
const struct kt_strategy kt_strategy_single = {
    .name = "single",
    .id = KT_STRATEGY_SINGLE,
    .help = "the first target, and no other",
    .order = order_single,
};
