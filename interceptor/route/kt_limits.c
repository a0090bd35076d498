/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/route/kt_limits.h"

#include <string.h>

const char *kt_limit_name(enum kt_limit_kind k)
{
    static const char *const names[] = {"global_rate_limit", "user_rate_limit", "token_rate_limit", "budget"};
    return (size_t)k < KT_COUNT(names) ? names[k] : "";
}

int64_t kt_cost_of(const struct kt_target *t, int64_t prompt, int64_t completion, int64_t cached)
{
    if (t->pricing.prompt < 0 && t->pricing.completion < 0)
        return -1;
    const double of_prompt = t->pricing.prompt < 0 ? 0 : t->pricing.prompt;
    const double of_completion = t->pricing.completion < 0 ? 0 : t->pricing.completion;
    cached = cached < 0 ? 0 : cached > prompt ? prompt : cached;
    double of_cached = t->pricing.cached_prompt < 0 ? of_prompt : t->pricing.cached_prompt;
    double usd_per_million = (double)(prompt - cached) * of_prompt + (double)cached * of_cached +
                             (double)completion * of_completion;
    double money = usd_per_million / 1e6 * KT_MONEY_PER_USD + 0.5;
    return money < (double)KT_WINDOW_MAX ? (int64_t)money : KT_WINDOW_MAX;
}

struct kt_limits kt_limits_of(const struct kt_config *c)
{
    const struct kt_rate_window *const rates[] = {&c->global_rate_limit, &c->user_rate_limit.window,
                                                  &c->token_rate_limit.window};
    struct kt_limits l = {.scope = c->pack.name};
    for (size_t k = 0; k < KT_COUNT(rates); k++) {
        l.of[k].max = rates[k]->max;
        l.of[k].window_ms = rates[k]->window_seconds * 1000;
    }
    l.tokens_per_user = c->token_rate_limit.scope && strcmp(c->token_rate_limit.scope, "user") == 0;
    double money = c->limits.budget.usd * KT_MONEY_PER_USD;
    l.of[KT_LIMIT_BUDGET].max = money < (double)KT_WINDOW_MAX ? (int64_t)money : KT_WINDOW_MAX;
    l.of[KT_LIMIT_BUDGET].window_ms = c->limits.budget.usd > 0 ? c->limits.budget.window_seconds * 1000 : 0;
    return l;
}

static uint64_t user_key(struct kt_span user)
{
    uint64_t key = kt_key_number(KT_KEY_SEED, user.len);
    for (size_t i = 0; i < user.len; i++)
        key = (key ^ (unsigned char)user.data[i]) * 1099511628211ull;
    return key;
}

/* A limit that is changed in the config begins a count of its own. */
static struct kt_window window_of(const struct kt_limits *l, enum kt_limit_kind k, uint64_t user)
{
    struct kt_window w = {.kind = k == KT_LIMIT_BUDGET ? KT_WINDOW_SPEND : KT_WINDOW_RATE,
                          .window_ms = l->of[k].window_ms};
    w.key = kt_key_text(kt_key_text(KT_KEY_SEED, kt_limit_name(k)), l->scope ? l->scope : "");
    w.key = kt_key_number(w.key, (uint64_t)w.window_ms);
    if (k != KT_LIMIT_BUDGET) /* money that is spent stays spent when the budget is raised */
        w.key = kt_key_number(w.key, (uint64_t)l->of[k].max);
    if (k == KT_LIMIT_USER || (k == KT_LIMIT_TOKENS && l->tokens_per_user))
        w.key = kt_key_number(w.key, user);
    return w;
}

static int64_t amount_of(const struct kt_limits_taken *t, enum kt_limit_kind k)
{
    return k == KT_LIMIT_TOKENS ? t->tokens : k == KT_LIMIT_BUDGET ? t->money : 1;
}

static uint64_t time_of(const struct kt_limits_taken *t, enum kt_limit_kind k)
{
    return k == KT_LIMIT_BUDGET ? t->real_ms : t->now_ms;
}

bool kt_limits_take(struct kt_state *s, const struct kt_limits *l, const struct kt_limits_call *call,
                    struct kt_limits_taken *taken, struct kt_limits_hit *hit)
{
    *taken = (struct kt_limits_taken){.user_key = user_key(call->user),
                                      .tokens = call->tokens > 0 ? call->tokens : 0,
                                      .money = call->money > 0 ? call->money : 0,
                                      .now_ms = call->now_ms,
                                      .real_ms = call->real_ms};
    for (unsigned k = 0; k < KT_LIMIT_COUNT; k++) {
        if (l->of[k].window_ms <= 0)
            continue;
        struct kt_window w = window_of(l, k, taken->user_key);
        uint64_t now = time_of(taken, k);
        struct kt_window_result r = kt_window_take(s, &w, now, amount_of(taken, k), l->of[k].max);
        taken->any = true;
        if (r.ok)
            continue;
        *hit = (struct kt_limits_hit){(enum kt_limit_kind)k, l->of[k].max, r.left_ms, r.used,
                                      amount_of(taken, k)};
        while (k-- > 0) {
            struct kt_window back = window_of(l, k, taken->user_key);
            if (back.window_ms > 0)
                kt_window_settle(s, &back, time_of(taken, k), time_of(taken, k), -amount_of(taken, k));
        }
        taken->any = false;
        return false;
    }
    return true;
}

void kt_limits_settle(struct kt_state *s, const struct kt_limits *l, struct kt_limits_taken *taken,
                      int64_t tokens, int64_t money, bool never_sent, uint64_t now_ms, uint64_t real_ms)
{
    for (unsigned k = 0; taken->any && k < KT_LIMIT_COUNT; k++) {
        struct kt_window w = window_of(l, k, taken->user_key);
        int64_t really = k == KT_LIMIT_TOKENS ? tokens : k == KT_LIMIT_BUDGET ? money : never_sent ? 0 : 1;
        int64_t delta = really - amount_of(taken, k);
        if (w.window_ms > 0 && delta != 0)
            kt_window_settle(s, &w, time_of(taken, k), k == KT_LIMIT_BUDGET ? real_ms : now_ms, delta);
    }
    taken->any = false;
}
