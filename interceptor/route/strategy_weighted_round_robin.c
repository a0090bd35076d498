/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/route/kt_rank.h"

#define FINEST 1000 /* weights are told apart down to a thousandth */
#define MAX_CYCLE 100000

static uint64_t divisor(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static double total(const struct kt_candidate *c, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += c[i].target->weight > 0 ? c[i].target->weight : 0;
    return sum;
}

/* Turns per cycle: the weights themselves where they are short numbers (0.8 and 0.2 are 4 and 1), else the
 * nearest in a cycle of 100,000. A weight of 0 gets no turn, unless all have it. */
static void turns(const struct kt_candidate *c, size_t n, uint64_t *out)
{
    double sum = total(c, n);
    double scale = sum * FINEST <= MAX_CYCLE ? FINEST : MAX_CYCLE / sum;
    uint64_t common = 0;
    for (size_t i = 0; i < n; i++) {
        double w = c[i].target->weight > 0 ? c[i].target->weight : 0;
        out[i] = sum > 0 ? (uint64_t)(w * scale + 0.5) : 1;
        if (w > 0 && out[i] == 0)
            out[i] = 1;
        common = divisor(out[i], common);
    }
    for (size_t i = 0; i < n; i++)
        out[i] /= common ? common : 1;
}

/* After the one whose turn it is: the heavier ones first. */
static void order(const struct kt_route_ask *ask, const struct kt_candidate *c, size_t n, size_t *out)
{
    uint64_t weight[KT_ROUTE_MAX];
    double score[KT_ROUTE_MAX];
    turns(c, n, weight);
    uint64_t key = kt_rank_turn_key("weighted", c, n);
    for (size_t i = 0; i < n; i++) {
        key = kt_key_number(key, weight[i]);
        score[i] = -(double)weight[i];
    }
    kt_rank_by(score, n, out);
    kt_rank_front(out, n, kt_weighted_turn(weight, n, kt_sequence_next(ask->state, key, ask->now_ms)));
}

extern const struct kt_strategy kt_strategy_weighted_round_robin;
const struct kt_strategy kt_strategy_weighted_round_robin = {
    .name = "weighted_round_robin",
    .id = KT_STRATEGY_WEIGHTED_ROUND_ROBIN,
    .help = "targets in proportion to their weight, exact over any cycle of calls of all processes",
    .order = order,
};
