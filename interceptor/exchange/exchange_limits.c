/* SPDX-License-Identifier: Apache-2.0 */
/* Rate limits and budgets of one exchange: taken by estimate before it goes anywhere, corrected at its end.
 */
#include "interceptor/exchange/kt_exchange_private.h"

#include <stdio.h>
#include <string.h>

struct kt_span kt_x_user(const struct kt_exchange *x)
{
    const struct kt_strings *names = &x->rt->config->user_rate_limit.header_names;
    for (size_t i = 0; i < names->count; i++) {
        struct kt_span v = kt_request_header(&x->request, names->items[i]);
        if (v.data && v.len)
            return v;
    }
    return kt_span("", 0);
}

static int64_t usual_completion(const struct kt_exchange *x)
{
    return x->completion_tokens ? x->completion_tokens : KT_USUAL_COMPLETION;
}

/* By the cheapest target that has a price: a dearer one is paid for at the end. */
static int64_t estimated_money(const struct kt_exchange *x)
{
    int64_t least = -1;
    const struct kt_config *c = x->rt->config;
    for (size_t i = 0; x->plan == KT_X_TARGETS && i < c->providers.target_count; i++) {
        int64_t money = kt_cost_of(&c->providers.targets[i], x->prompt_tokens, usual_completion(x), 0);
        if (money >= 0 && (least < 0 || money < least))
            least = money;
    }
    return least < 0 ? 0 : least;
}

/* As many digits as it needs, with a point whatever the program's locale says. */
static const char *usd(int64_t money, char out[32])
{
    const long long unit = (long long)KT_MONEY_PER_USD;
    int n = snprintf(out, 32, "%lld.%07lld", (long long)money / unit, (long long)money % unit);
    while (n > 0 && out[n - 1] == '0')
        out[--n] = '\0';
    if (n > 0 && out[n - 1] == '.')
        out[n - 1] = '\0';
    return out;
}

static void say_money(const struct kt_limits_hit *hit, long long window_s, char *out, size_t room)
{
    char max[32], left[32], wanted[32];
    if (hit->used >= hit->max)
        snprintf(out, room, "ktwrap: the budget of %s USD per %lld s is used up (limits.budget)",
                 usd(hit->max, max), window_s);
    else
        snprintf(out, room,
                 "ktwrap: this call may cost %s USD, and of the budget of %s USD per %lld s only %s are left "
                 "(limits.budget)",
                 usd(hit->wanted, wanted), usd(hit->max, max), window_s, usd(hit->max - hit->used, left));
}

static void refuse(struct kt_exchange *x, const struct kt_limits *l, const struct kt_limits_hit *hit)
{
    char message[256];
    const bool money = hit->kind == KT_LIMIT_BUDGET;
    const long long window_s = l->of[hit->kind].window_ms / 1000;
    x->verdict = "block";
    x->reason_code = kt_limit_name(hit->kind);
    x->error = money ? "budget_exceeded" : "rate_limit_exceeded";
    x->retry_after_ms = hit->left_ms;
    if (money)
        say_money(hit, window_s, message, sizeof message);
    else
        snprintf(message, sizeof message, "ktwrap: %s: no more than %lld %s per %lld s",
                 kt_limit_name(hit->kind), (long long)hit->max,
                 hit->kind == KT_LIMIT_TOKENS ? "tokens" : "requests", window_s);
    kt_x_keep_message(x, message);
    kt_x_reply_error(x, money ? 402 : 429, money ? "insufficient_quota" : "rate_limit", x->error, message);
}

bool kt_x_take_limits(struct kt_exchange *x)
{
    if (!x->parsed || kt_x_observe(x))
        return true;
    struct kt_limits l = kt_limits_of(x->rt->config);
    struct kt_limits_hit hit;
    if (l.of[KT_LIMIT_TOKENS].window_ms || l.of[KT_LIMIT_BUDGET].window_ms)
        kt_x_estimate(x);
    struct kt_limits_call call = {.user = kt_x_user(x),
                                  .tokens = x->prompt_tokens + usual_completion(x),
                                  .money = estimated_money(x),
                                  .now_ms = kt_state_now_ms(),
                                  .real_ms = kt_state_real_ms()};
    if (kt_limits_take(x->ctx->state, &l, &call, &x->taken, &hit))
        return true;
    refuse(x, &l, &hit);
    return false;
}

/* What the call cost where its target has a price; -1 = not known. */
int64_t kt_x_money(const struct kt_exchange *x)
{
    const struct kt_target *t = x->attempt_count ? x->attempts[x->attempt_count - 1].target : NULL;
    if (!t || !x->usage.known)
        return -1;
    return kt_cost_of(t, x->usage.prompt_tokens, x->usage.completion_tokens, x->usage.cached_tokens);
}

#define BYTES_PER_TOKEN 4 /* of a model's text, about */

/* Of a stream that does not tell its usage the text that came tells more than what was thought before. */
static void count_text(const struct kt_exchange *x, int64_t *tokens, int64_t *money)
{
    const struct kt_target *t = x->attempt_count ? x->attempts[x->attempt_count - 1].target : NULL;
    int64_t said = (int64_t)(kt_x_delivered(x).bytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN;
    if (!said)
        return;
    *tokens = x->prompt_tokens + said;
    int64_t cost = t ? kt_cost_of(t, x->prompt_tokens, said, 0) : -1;
    *money = cost >= 0 ? cost : *money;
}

/* An answer without its usage cost about what was thought; a failure is taken to have cost nothing. */
void kt_x_settle_limits(struct kt_exchange *x)
{
    if (!x->taken.any)
        return;
    struct kt_limits l = kt_limits_of(x->rt->config);
    bool answered = x->status >= 200 && x->status < 300;
    int64_t tokens = x->usage.known ? x->usage.total_tokens : answered ? x->taken.tokens : 0;
    int64_t money = kt_x_money(x);
    if (money < 0)
        money = answered && !x->usage.known ? x->taken.money : 0;
    if (answered && !x->usage.known)
        count_text(x, &tokens, &money);
    kt_limits_settle(x->ctx->state, &l, &x->taken, tokens, money, x->tries == 0, kt_state_now_ms(),
                     kt_state_real_ms());
}
