// SPDX-License-Identifier: Apache-2.0
#include "interceptor/route/kt_limits.h"

#include "state_fixture.hpp"

#include <atomic>

#include <sys/mman.h>

namespace {

using namespace state;

class Limits : public StateTest {
  protected:
    void SetUp() override
    {
        StateTest::SetUp();
        s = open();
        call.now_ms = kNow;
        call.real_ms = 20000ull * 86400000;
        call.user = kt_span("anna", 4);
    }
    void set(kt_limit_kind k, int64_t max, int64_t window_ms)
    {
        l.of[k].max = max;
        l.of[k].window_ms = window_ms;
    }
    bool take() { return kt_limits_take(s, &l, &call, &taken, &hit); }
    void settle(int64_t tokens, int64_t money, bool never_sent = false)
    {
        kt_limits_settle(s, &l, &taken, tokens, money, never_sent, call.now_ms, call.real_ms);
    }
    kt_state *s = nullptr;
    kt_limits l = {};
    kt_limits_call call = {};
    kt_limits_taken taken = {};
    kt_limits_hit hit = {};
};

TEST_F(Limits, NoneIsNone)
{
    for (int i = 0; i < 100; i++)
        EXPECT_TRUE(take());
    EXPECT_FALSE(taken.any);
    settle(5, 5);
}

TEST_F(Limits, RequestsPerWindow)
{
    set(KT_LIMIT_GLOBAL, 2, 1000);
    EXPECT_TRUE(take());
    EXPECT_TRUE(take());
    EXPECT_FALSE(take());
    EXPECT_EQ(hit.kind, KT_LIMIT_GLOBAL);
    EXPECT_EQ(hit.left_ms, 1000);
    EXPECT_EQ(hit.max, 2);
    call.now_ms += 1000;
    EXPECT_TRUE(take());
}

TEST_F(Limits, EachUserHasHisOwn)
{
    set(KT_LIMIT_USER, 1, 1000);
    EXPECT_TRUE(take());
    EXPECT_FALSE(take());
    call.user = kt_span("bert", 4);
    EXPECT_TRUE(take());
    call.user = kt_span("", 0);
    EXPECT_TRUE(take());
    EXPECT_FALSE(take()) << "the nameless are one";
}

TEST_F(Limits, WhatIsRefusedTakesNothing)
{
    set(KT_LIMIT_GLOBAL, 10, 1000);
    set(KT_LIMIT_TOKENS, 100, 1000);
    call.tokens = 60;
    EXPECT_TRUE(take());
    for (int i = 0; i < 50; i++)
        EXPECT_FALSE(take()) << "no room for sixty more";
    EXPECT_EQ(hit.kind, KT_LIMIT_TOKENS);
    call.tokens = 1;
    for (int i = 0; i < 9; i++)
        EXPECT_TRUE(take()) << "the refused ones did not count as requests";
    EXPECT_FALSE(take());
    EXPECT_EQ(hit.kind, KT_LIMIT_GLOBAL);
}

TEST_F(Limits, EstimatesAreCorrected)
{
    set(KT_LIMIT_TOKENS, 100, 1000);
    call.tokens = 90;
    EXPECT_TRUE(take());
    settle(10, 0);
    EXPECT_TRUE(take()) << "eighty came back";
    settle(95, 0);
    call.tokens = 1;
    EXPECT_FALSE(take()) << "and it is over the limit now";
    settle(1000, 0); // twice is once
    call.now_ms += 1000;
    call.tokens = 100;
    EXPECT_TRUE(take());
}

TEST_F(Limits, ACallThatWasNeverSentCostsNothing)
{
    set(KT_LIMIT_GLOBAL, 1, 1000);
    set(KT_LIMIT_BUDGET, 1000, 86400000);
    call.money = 1000;
    EXPECT_TRUE(take());
    settle(0, 0, true);
    EXPECT_TRUE(take());
    settle(0, 400);
    EXPECT_FALSE(take());
    call.now_ms += 1000;
    EXPECT_FALSE(take());
    EXPECT_EQ(hit.kind, KT_LIMIT_BUDGET);
    EXPECT_EQ(hit.left_ms, 86400000);
    call.money = 600;
    EXPECT_TRUE(take());
    call.real_ms += 86400000;
    call.money = 1000;
    call.now_ms += 1000;
    EXPECT_TRUE(take()) << "a new day";
}

TEST_F(Limits, ARaisedBudgetKeepsWhatIsSpent)
{
    set(KT_LIMIT_BUDGET, 1000, 86400000);
    call.money = 1000;
    EXPECT_TRUE(take());
    set(KT_LIMIT_BUDGET, 1500, 86400000);
    EXPECT_FALSE(take());
    call.money = 500;
    EXPECT_TRUE(take());
    l.scope = "another";
    call.money = 1500;
    EXPECT_TRUE(take());
}

TEST_F(Limits, FiftyProcessesHaveOneBudget)
{
    set(KT_LIMIT_BUDGET, 1000, 86400000);
    call.money = 7;
    auto *passed = static_cast<std::atomic<int> *>(
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    EXPECT_TRUE(in_children(50, [&](int) {
        for (int i = 0; i < 20; i++)
            if (take()) {
                settle(0, 10); // dearer than thought
                ++*passed;
            }
        return true;
    }));
    EXPECT_GE(*passed, 95);
    EXPECT_LE(*passed, 100 + 50) << "at most what was under way when it ran out";
    munmap(passed, 4096);
}

TEST(Cost, FromPrices)
{
    kt_target t = {};
    t.pricing.prompt = 2;
    t.pricing.completion = 6;
    t.pricing.cached_prompt = -1;
    EXPECT_EQ(kt_cost_of(&t, 1000000, 0, 0), 20000000); // 2 USD
    EXPECT_EQ(kt_cost_of(&t, 1000, 500, 0), 50000);
    EXPECT_EQ(kt_cost_of(&t, 1000, 500, 400), 50000) << "cached tokens have no price of their own";
    t.pricing.cached_prompt = 0.5;
    EXPECT_EQ(kt_cost_of(&t, 1000, 500, 400), 44000);
    EXPECT_EQ(kt_cost_of(&t, 1000, 500, 4000), 35000) << "never more than the prompt has";
    EXPECT_EQ(kt_cost_of(&t, 1000, 500, -5), 50000);
    t.pricing.completion = -1; // an embedding model has none
    EXPECT_EQ(kt_cost_of(&t, 1000, 500, 0), 20000);
    t.pricing.prompt = -1;
    EXPECT_EQ(kt_cost_of(&t, 1000, 500, 0), -1) << "not known is not free";
    t.pricing.prompt = t.pricing.completion = 0;
    EXPECT_EQ(kt_cost_of(&t, 1000, 500, 0), 0) << "but free is free";
    t.pricing.prompt = 1e6;
    EXPECT_EQ(kt_cost_of(&t, INT64_MAX, INT64_MAX, 0), KT_WINDOW_MAX);
}

TEST(LimitsOfAConfig, AreInTheirUnits)
{
    kt_config *c = nullptr;
    kt_diags d = {};
    const std::string yaml = "pack: {name: p, version: 1.0.0, enabled: true}\npolicies: {chain: []}\n"
                             "global_rate_limit: {max_requests: 7, window_seconds: 60}\n"
                             "user_rate_limit: {max_requests: 3, window_seconds: 1}\n"
                             "token_rate_limit: {max_tokens: 900, window_seconds: 2, scope: user}\n"
                             "limits: {budget: {usd: 1.5, window_seconds: 86400}}\n";
    ASSERT_TRUE(kt_is_ok(kt_config_parse("t.yaml", yaml.data(), yaml.size(), &c, &d)));
    kt_limits l = kt_limits_of(c);
    EXPECT_EQ(l.of[KT_LIMIT_GLOBAL].max, 7);
    EXPECT_EQ(l.of[KT_LIMIT_GLOBAL].window_ms, 60000);
    EXPECT_EQ(l.of[KT_LIMIT_USER].max, 3);
    EXPECT_EQ(l.of[KT_LIMIT_TOKENS].max, 900);
    EXPECT_TRUE(l.tokens_per_user);
    EXPECT_EQ(l.of[KT_LIMIT_BUDGET].max, 15000000);
    EXPECT_EQ(l.of[KT_LIMIT_BUDGET].window_ms, 86400000);
    EXPECT_STREQ(l.scope, "p");
    kt_diags_free(&d);
    kt_config_free(c);
}

} // namespace
