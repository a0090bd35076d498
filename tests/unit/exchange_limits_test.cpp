// SPDX-License-Identifier: Apache-2.0
// Rate limits and budgets, of which all processes see the same.
#include "exchange_resilience.hpp"

namespace {

using namespace fake;

class Limits : public Resilience {};

TEST_F(Limits, RateLimitsAnswer429AndWhen)
{
    Server up(answer);
    configure(config(target("a", up.port(), "KT_TEST_KEY_A"),
                     "global_rate_limit: {max_requests: 3, window_seconds: 3600}\n"
                     "user_rate_limit: {max_requests: 2, window_seconds: 3600}\n"));
    auto status_of = [&](const std::string &user) {
        Client k;
        ask(k, post(chat("x"), "X-User-Id: " + user + "\r\n"));
        if (k.status == 429) {
            EXPECT_EQ(str(parse(k.body), "error.code"), "rate_limit_exceeded");
            EXPECT_GT(std::stoi(k.headers["retry-after"]), 0);
            EXPECT_LE(std::stoi(k.headers["retry-after"]), 3600);
            EXPECT_EQ(k.headers.count("x-should-retry"), 0u);
        }
        return k.status;
    };
    EXPECT_EQ(status_of("anna"), 200);
    EXPECT_EQ(status_of("anna"), 200);
    EXPECT_EQ(status_of("anna"), 429);
    EXPECT_EQ(str(event(2), "reason_code"), "user_rate_limit");
    EXPECT_EQ(status_of("bert"), 200);
    EXPECT_EQ(status_of("carl"), 429);
    EXPECT_EQ(str(event(4), "reason_code"), "global_rate_limit");
    EXPECT_EQ(up.requests().size(), 3u);
}

TEST_F(Limits, TokensAreCountedAsTheyWere)
{
    Server up(answer); // each answer reports 5 tokens
    configure(config(target("a", up.port(), "KT_TEST_KEY_A"),
                     "token_rate_limit: {max_tokens: 300, window_seconds: 3600}\n"));
    for (int i = 0; i < 5; i++) { // each is thought to take 260
        Client k;
        ask(k, post(chat("x")));
        EXPECT_EQ(k.status, 200) << i;
    }
    Client large;
    ask(large, post(chat("x", ",\"max_tokens\":290")));
    EXPECT_EQ(large.status, 429) << "25 are used, and 290 more would not fit";
}

TEST_F(Limits, AStreamWithoutItsUsageIsCountedByItsText)
{
    const std::string chunk =
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" + std::string(400, 'w') + "\"}}]}\n\n";
    Server up([&](Conn &c, const Request &) {
        bool on = c.sse_head();
        for (int i = 0; i < 20; i++) // 2,000 tokens
            on = on && c.chunk(chunk);
        return on &&
               c.chunk("data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: "
                       "[DONE]\n\n") &&
               c.chunk_end();
    });
    configure(config(
        target("a", up.port(), "KT_TEST_KEY_A", "", "      pricing: {prompt: 1000, completion: 1000}\n"),
        "token_rate_limit: {max_tokens: 5000, window_seconds: 3600}\nlimits: {budget: {usd: 100, "
        "window_seconds: 3600}}\n"));
    int statuses[4];
    for (int &status : statuses) {
        Client k;
        ask(k, post(chat("x", ",\"stream\":true")));
        status = k.status;
    }
    EXPECT_EQ(statuses[1], 200);
    EXPECT_EQ(statuses[2], 200) << "about 4,010 are used, and this one is thought to take 260";
    EXPECT_EQ(statuses[3], 429);
}

TEST_F(Limits, BudgetsAreMoney)
{
    Server up(answer); // 3 prompt and 2 completion tokens
    std::string priced =
        target("a", up.port(), "KT_TEST_KEY_A", "", "      pricing: {prompt: 1000, completion: 1000}\n");
    configure(config(priced, "limits: {budget: {usd: 1, window_seconds: 86400}}\n"));
    Client one, two, three;
    ask(one, post(chat("x", ",\"max_tokens\":20")));
    EXPECT_EQ(one.status, 200);
    EXPECT_DOUBLE_EQ(num(event(0), "cost_usd"), 0.005);
    ask(two, post(chat("x", ",\"max_tokens\":995")));
    EXPECT_EQ(two.status, 402) << "half a cent is spent";
    EXPECT_EQ(str(parse(two.body), "error.code"), "budget_exceeded");
    EXPECT_NE(
        str(parse(two.body), "error.message").find("of the budget of 1 USD per 86400 s only 0.995 are left"),
        std::string::npos)
        << two.body;
    EXPECT_GT(std::stoi(two.headers["retry-after"]), 0);
    ask(three, post(chat("x", ",\"max_tokens\":900")));
    EXPECT_EQ(three.status, 200);
    configure(config(priced, "limits: {budget: {usd: 0.005, window_seconds: 86400}}\n"));
    Client spent;
    ask(spent, post(chat("x", ",\"max_tokens\":900")));
    EXPECT_NE(spent.body.find("the budget of 0.005 USD per 86400 s is used up"), std::string::npos)
        << spent.body;
    configure(config(priced, "limits: {max_cost_per_request: 0.01}\n"));
    Client cheap, dear;
    ask(cheap, post(chat("x", ",\"max_tokens\":2")));
    EXPECT_EQ(cheap.status, 200);
    ask(dear, post(chat("x", ",\"max_tokens\":20")));
    EXPECT_EQ(dear.status, 402);
    EXPECT_EQ(dear.headers["x-should-retry"], "false");
    EXPECT_EQ(str(event(5), "attempts.0.detail").rfind("too_expensive: ", 0), 0u);
}

TEST_F(Limits, WhatFailsCostsNothing)
{
    DeadPort dead;
    configure(config(
        target("a", dead.port(), "KT_TEST_KEY_A", "", "      pricing: {prompt: 1000, completion: 1000}\n"),
        "limits: {budget: {usd: 1, window_seconds: 86400}}\n"));
    for (int i = 0; i < 10; i++) {
        Client k;
        ask(k, post(chat("x", ",\"max_tokens\":900")));
        EXPECT_EQ(k.status, 502);
    }
}

TEST_F(Limits, ObserveModeLimitsNothing)
{
    Server origin(answer);
    origin_port = origin.port();
    configure(config("", "global_rate_limit: {max_requests: 1, window_seconds: 3600}\n"), nullptr,
              KT_MODE_OBSERVE);
    for (int i = 0; i < 3; i++) {
        Client k;
        ask(k, post(chat("x")));
        EXPECT_EQ(k.status, 200);
    }
}

TEST_F(Limits, LimitsHoldForTheOriginToo)
{
    Server origin(answer);
    origin_port = origin.port();
    configure(config("", "global_rate_limit: {max_requests: 1, window_seconds: 3600}\n"));
    Client one, two;
    ask(one, post(chat("x")));
    EXPECT_EQ(one.status, 200);
    ask(two, post(chat("x")));
    EXPECT_EQ(two.status, 429);
}

} // namespace
