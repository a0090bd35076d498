/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/route/kt_rank.h"

static uint64_t next(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static void order(const struct kt_route_ask *ask, const struct kt_candidate *c, size_t n, size_t *out)
{
    uint64_t chance = ask->seed;
    (void)c;
    if (!chance && !kt_is_ok(kt_random(&chance, sizeof chance)))
        chance = kt_now_mono_ns();
    for (size_t i = 0; i < n; i++) { /* the shuffle that gives every order the same chance */
        size_t at = (size_t)(next(&chance) % (i + 1));
        out[i] = out[at];
        out[at] = i;
    }
}

extern const struct kt_strategy kt_strategy_random;
const struct kt_strategy kt_strategy_random = {
    .name = "random",
    .id = KT_STRATEGY_RANDOM,
    .help = "any target, each with the same chance",
    .order = order,
};
