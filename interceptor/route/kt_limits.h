/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What calls may use up: requests, tokens and money per window, over all processes. Taken before anything is
 * sent, by estimate, and corrected by what it really was.
 */
#include "interceptor/state/kt_state.h"
#include "policyengine/config/kt_config.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Money is counted in ten-millionths of a US dollar: a token of the cheapest model is some of them. */
#define KT_MONEY_PER_USD 1e7
/* In money; -1 where no price of the target is known. Cached tokens are among the prompt's; without a
 * price of their own they cost what the others do. */
int64_t kt_cost_of(const struct kt_target *t, int64_t prompt, int64_t completion, int64_t cached);
/* Of a call that sets no maximum, and a usual answer: for estimates. */
#define KT_USUAL_COMPLETION 256

enum kt_limit_kind { KT_LIMIT_GLOBAL, KT_LIMIT_USER, KT_LIMIT_TOKENS, KT_LIMIT_BUDGET, KT_LIMIT_COUNT };
/* "global_rate_limit", "user_rate_limit", "token_rate_limit", "budget". */
const char *kt_limit_name(enum kt_limit_kind k);

struct kt_limits {
    struct {
        int64_t max;       /* requests, requests, tokens, money */
        int64_t window_ms; /* 0 = no such limit */
    } of[KT_LIMIT_COUNT];
    const char *scope; /* borrowed: configs of one scope share the counts; NULL = "" */
    bool tokens_per_user;
};
/* Of a config; its scope is the pack's name. */
struct kt_limits kt_limits_of(const struct kt_config *c);

struct kt_limits_call {
    struct kt_span user; /* empty: everybody without a name is one user */
    int64_t tokens, money;
    uint64_t now_ms, real_ms;
};

struct kt_limits_hit {
    enum kt_limit_kind kind;
    int64_t max, left_ms; /* until the next window */
    int64_t used, wanted; /* before, and by this call; counted as `max` */
};

/* What was taken, for the correction. */
struct kt_limits_taken {
    bool any;
    uint64_t user_key;
    int64_t tokens, money;
    uint64_t now_ms, real_ms;
};

/* True where the call fits into every limit; else nothing stays taken and `hit` says which one it was. */
bool kt_limits_take(struct kt_state *s, const struct kt_limits *l, const struct kt_limits_call *call,
                    struct kt_limits_taken *taken, struct kt_limits_hit *hit);
/* Once, when the call is over: what it really used. Nothing reached a target: `never_sent`, and the request
 * itself is given back, too. */
void kt_limits_settle(struct kt_state *s, const struct kt_limits *l, struct kt_limits_taken *taken,
                      int64_t tokens, int64_t money, bool never_sent, uint64_t now_ms, uint64_t real_ms);

#ifdef __cplusplus
}
#endif
