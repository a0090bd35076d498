/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/route/kt_rank.h"

/* A call whose answer has no limit: the price per token is compared at a usual proportion. */
#define USUAL_COMPLETION 256

static double price(const struct kt_target *t, double prompt, double completion)
{
    if (t->pricing.prompt < 0 || t->pricing.completion < 0)
        return 1e300;
    return prompt * t->pricing.prompt + completion * t->pricing.completion;
}

static void order(const struct kt_route_ask *ask, const struct kt_candidate *c, size_t n, size_t *out)
{
    double score[KT_ROUTE_MAX];
    double prompt = ask->prompt_tokens > 0 ? (double)ask->prompt_tokens : USUAL_COMPLETION;
    double completion = ask->completion_tokens > 0 ? (double)ask->completion_tokens : USUAL_COMPLETION;
    for (size_t i = 0; i < n; i++)
        score[i] = price(c[i].target, prompt, completion);
    kt_rank_by(score, n, out);
}

extern const struct kt_strategy kt_strategy_cost;
const struct kt_strategy kt_strategy_cost = {
    .name = "cost",
    .id = KT_STRATEGY_COST,
    .help = "the cheapest target for a call of that size, by its pricing; those without a price last",
    .order = order,
};
