// SPDX-License-Identifier: Apache-2.0
#include "interceptor/route/kt_retry.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>

namespace {

class Retry : public ::testing::Test {
  protected:
    void SetUp() override
    {
        ASSERT_TRUE(kt_is_ok(kt_config_default(&config)));
        auto &r = config->providers.retry;
        r.configured = true;
        r.max_attempts = 3;
        r.initial_delay_ms = 500;
        r.max_delay_ms = 3000;
        r.multiplier = 2;
        r.jitter = false;
        r.respect_retry_after = true;
        const int statuses[] = {429, 500, 503};
        memcpy(r.on_status, statuses, sizeof statuses);
        r.on_status_count = 3;
        config->providers.fallback.triggers = KT_ON_RATE_LIMIT | KT_ON_SERVER_ERROR | KT_ON_TIMEOUT | KT_ON_CONNECTION_ERROR;
        ask = {config, KT_FAILED_OVERLOAD, 503, -1, 1, true, 60000, INT64_MAX, 0};
    }
    void TearDown() override { kt_config_free(config); }
    std::string decide()
    {
        kt_retry d = kt_retry_decide(&ask);
        EXPECT_NE(d.why, nullptr);
        const char *const words[] = {"again", "next", "give up"};
        return std::string(words[d.what]) + (d.what == KT_RETRY_AGAIN ? " " + std::to_string(d.wait_ms) : "");
    }
    kt_config *config = nullptr;
    kt_retry_ask ask = {};
};

TEST_F(Retry, TheTableIsWhole)
{
    std::set<std::string> names;
    for (int i = 0; i < KT_FAILED_COUNT; i++) {
        const kt_failure_class *c = kt_failure_class_of(static_cast<kt_failure>(i));
        EXPECT_TRUE(names.insert(c->name).second);
        EXPECT_TRUE(c->outcome && *c->outcome && c->help && *c->help);
        EXPECT_EQ(c->breaker, c->next != 0 && !(c->next & (KT_NEXT_CONTEXT_WINDOW | KT_NEXT_CONTENT_POLICY)))
            << c->name << ": what is the target's fault counts against it, and nothing else";
    }
}

TEST_F(Retry, StatusesHaveTheirClass)
{
    auto of = [](int status, const char *body = "") {
        return std::string(kt_failure_class_of(kt_failure_of_status(status, kt_span(body, strlen(body))))->name);
    };
    for (int s : {401, 402, 403})
        EXPECT_EQ(of(s), "auth");
    for (int s : {400, 404, 405, 409, 413, 415, 422, 451, 499})
        EXPECT_EQ(of(s), "bad_request");
    for (int s : {500, 501, 502, 504, 520, 599, 302, 304, 408, 425, 101})
        EXPECT_EQ(of(s), "server_error") << s;
    for (int s : {503, 529})
        EXPECT_EQ(of(s), "overload");
    EXPECT_EQ(of(429), "rate_limit");
    EXPECT_EQ(of(400, R"({"error":{"code":"context_length_exceeded"}})"), "context_window");
    EXPECT_EQ(of(400, R"({"message":"Prompt contains too many tokens: 40000"})"), "context_window");
    EXPECT_EQ(of(403, R"({"message":"Request blocked by a guardrail"})"), "content_policy");
    EXPECT_EQ(of(400, R"({"error":{"code":"content_policy_violation"}})"), "content_policy");
    EXPECT_EQ(of(500, "context_length_exceeded"), "server_error");
    EXPECT_EQ(of(400, std::string(100000, 'x').append("guardrail").c_str()), "bad_request") << "only the beginning is read";
}

TEST_F(Retry, DelaysGrowToTheirMaximum)
{
    config->providers.retry.max_attempts = 20;
    const char *const want[] = {"again 500", "again 1000", "again 2000", "again 3000", "again 3000"};
    for (unsigned i = 0; i < 5; i++) {
        ask.tries = i + 1;
        EXPECT_EQ(decide(), want[i]);
    }
    config->providers.retry.jitter = true;
    ask.tries = 2;
    int64_t least = INT64_MAX, most = 0;
    for (ask.chance = 0; ask.chance < 1000; ask.chance++) {
        kt_retry d = kt_retry_decide(&ask);
        least = d.wait_ms < least ? d.wait_ms : least;
        most = d.wait_ms > most ? d.wait_ms : most;
    }
    EXPECT_EQ(least, 500);
    EXPECT_GE(most, 990);
    EXPECT_LE(most, 1000);
}

TEST_F(Retry, NumberOfTriesThenTheNext)
{
    ask.tries = 3;
    EXPECT_EQ(decide(), "next");
    ask.more_targets = false;
    EXPECT_EQ(decide(), "give up");
    ask.tries = 2;
    EXPECT_EQ(decide(), "again 1000") << "the last target is tried again like any other";
}

TEST_F(Retry, OnStatusDecides)
{
    ask.failure = KT_FAILED_SERVER_ERROR;
    ask.status = 502;
    EXPECT_EQ(decide(), "next") << "502 is not in the list";
    ask.status = 500;
    EXPECT_EQ(decide(), "again 500");
    ask.failure = KT_FAILED_BAD_REQUEST;
    ask.status = 404;
    EXPECT_EQ(decide(), "give up");
    config->providers.retry.on_status[0] = 404;
    EXPECT_EQ(decide(), "again 500") << "who lists it, gets it";
    ask.failure = KT_FAILED_AUTH;
    ask.status = 401;
    config->providers.retry.on_status[0] = 401;
    EXPECT_EQ(decide(), "give up") << "a key does not become right by asking again";
}

TEST_F(Retry, WithoutARetrySectionNothingIsTriedAgain)
{
    config->providers.retry.configured = false;
    for (int f = 0; f < KT_FAILED_COUNT; f++) {
        ask.failure = static_cast<kt_failure>(f);
        EXPECT_NE(decide().substr(0, 5), "again");
    }
}

TEST_F(Retry, TriggersDecideAboutTheNext)
{
    config->providers.retry.configured = false;
    config->providers.fallback.triggers = KT_ON_TIMEOUT;
    EXPECT_EQ(decide(), "give up");
    ask.failure = KT_FAILED_TIMEOUT;
    EXPECT_EQ(decide(), "next");
    ask.failure = KT_FAILED_CONTEXT_WINDOW;
    EXPECT_EQ(decide(), "give up");
    config->providers.fallback.context_window = 1;
    EXPECT_EQ(decide(), "next");
    ask.failure = KT_FAILED_CONTENT_POLICY;
    EXPECT_EQ(decide(), "give up");
    config->providers.fallback.content_policy = 1;
    EXPECT_EQ(decide(), "next");
    ask.failure = KT_FAILED_AUTH;
    EXPECT_EQ(decide(), "give up");
}

TEST_F(Retry, TimeIsABudget)
{
    ask.target_left_ms = 500;
    EXPECT_EQ(decide(), "next") << "the pause alone would use it up";
    ask.target_left_ms = 501;
    EXPECT_EQ(decide(), "again 500");
    ask.total_left_ms = 400;
    EXPECT_EQ(decide(), "give up");
    ask.target_left_ms = 0;
    ask.total_left_ms = 0;
    EXPECT_EQ(decide(), "give up");
}

TEST_F(Retry, WhatTheAnswerAsksForIsKept)
{
    ask.failure = KT_FAILED_RATE_LIMIT;
    ask.status = 429;
    ask.asked_ms = 2000;
    EXPECT_EQ(decide(), "again 2000");
    ask.asked_ms = 0;
    EXPECT_EQ(decide(), "again 0");
    ask.asked_ms = 5000; // longer than max_delay_ms
    EXPECT_EQ(decide(), "next") << "somebody else can answer sooner";
    ask.more_targets = false;
    EXPECT_EQ(decide(), "again 5000") << "nobody else can";
    ask.asked_ms = 60000;
    EXPECT_EQ(decide(), "give up") << "not within the target's time";
    config->providers.retry.respect_retry_after = false;
    EXPECT_EQ(decide(), "again 500");
    config->providers.retry.respect_retry_after = true;
    config->providers.retry.jitter = true;
    ask.asked_ms = 2000;
    for (ask.chance = 0; ask.chance < 5000; ask.chance += 7) {
        kt_retry d = kt_retry_decide(&ask);
        EXPECT_GE(d.wait_ms, 2000) << "never earlier";
        EXPECT_LE(d.wait_ms, 2200);
    }
}

TEST_F(Retry, TheTableIsThatOfTheConfig)
{
    auto line = [&](const std::string &name) {
        kt_buf text = KT_BUF_INIT(1 << 16);
        EXPECT_TRUE(kt_is_ok(kt_failure_table(config, "# ", &text)));
        std::string all(text.data, text.len);
        kt_buf_free(&text);
        size_t at = all.find("# " + name);
        return at == std::string::npos ? "" : all.substr(at, all.find('\n', at) - at);
    };
    config->providers.fallback.enabled = true;
    config->providers.strategy = KT_STRATEGY_ORDERED;
    EXPECT_EQ(line("rate_limit"), "# rate_limit      429                       yes          -        429");
    EXPECT_NE(line("server_error").find(" 500 "), std::string::npos);
    EXPECT_NE(line("timeout").find(" yes                       yes "), std::string::npos);
    EXPECT_NE(line("auth").find(" no                        no "), std::string::npos);
    config->providers.retry.configured = false;
    config->providers.circuit_breaker.enabled = true;
    EXPECT_EQ(line("rate_limit"), "# rate_limit      no                        yes          counts   429");
    config->providers.strategy = KT_STRATEGY_SINGLE;
    EXPECT_NE(line("timeout").find(" no                        no "), std::string::npos);
}

constexpr uint64_t kReal = 784111777000; // Sun, 06 Nov 1994 08:49:37 GMT

TEST(RetryAfter, EveryForm)
{
    auto ms = [](const char *after, const char *after_ms = nullptr, const char *date = nullptr) {
        return kt_retry_after_ms(after, after_ms, date, kReal);
    };
    EXPECT_EQ(ms("3"), 3000);
    EXPECT_EQ(ms(" 120 "), 120000);
    EXPECT_EQ(ms("0"), 0);
    EXPECT_EQ(ms("1.5"), 1500);
    EXPECT_EQ(ms("3", "250"), 250) << "the finer one counts";
    EXPECT_EQ(ms("3", "250.5"), 251);
    EXPECT_EQ(ms("3", "soon"), 3000);
    EXPECT_EQ(ms(nullptr, "20"), 20);
    EXPECT_EQ(ms(nullptr), -1);
    EXPECT_EQ(ms("Sun, 06 Nov 1994 08:49:47 GMT"), 10000);
    EXPECT_EQ(ms("Sunday, 06-Nov-94 08:49:47 GMT"), 10000);
    EXPECT_EQ(ms("Sun Nov  6 08:49:47 1994"), 10000);
    EXPECT_EQ(ms("Sun, 06 Nov 1994 08:49:27 GMT"), 0) << "already over";
    EXPECT_EQ(ms("Sun, 06 Nov 1994 09:49:47 GMT", nullptr, "Sun, 06 Nov 1994 09:49:37 GMT"), 10000)
        << "measured by the clock that wrote it";
    EXPECT_EQ(ms("99999999999999999999"), 86400000) << "nobody sleeps longer than a day";
    EXPECT_EQ(ms("Sun, 06 Nov 2094 08:49:47 GMT"), 86400000);
    EXPECT_EQ(kt_retry_after_ms("Thu, 01 Jan 2026 00:00:05 GMT", nullptr, nullptr, 1767225600000), 5000);
    EXPECT_EQ(kt_retry_after_ms("Fri, 29 Feb 2028 00:00:00 GMT", nullptr, nullptr, 1835395199000), 1000);
    EXPECT_EQ(kt_retry_after_ms("Friday, 29-Feb-28 00:00:00 GMT", nullptr, nullptr, 1835395199000), 1000);
}

TEST(RetryAfter, NonsenseIsNoWish)
{
    const char *const bad[] = {"", " ", "-1", "+3", "3s", "abc", "1e3", "3,4", "Sun, 06 Nov 1994", "Sun, 06 Foo 1994 08:49:37 GMT",
                               "Sun, 06 Nov 1994 25:49:37 GMT", "Sun, 06 Nov 1994 08:61:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET",
                               "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 32 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 94 08:49:37 GMT",
                               "Sun Nov  6 08:49:37", "Nov", ",", "Sun,", "0x10", "\xff\xfe"};
    for (const char *s : bad)
        EXPECT_EQ(kt_retry_after_ms(s, nullptr, nullptr, kReal), -1) << s;
    // Cut at every byte: no read past the end, and never a shorter pause than none at all.
    for (std::string whole : {"Sun, 06 Nov 1994 08:49:47 GMT", "Sunday, 06-Nov-94 08:49:47 GMT", "Sun Nov  6 08:49:47 1994"})
        for (size_t n = 0; n < whole.size(); n++) {
            std::string part = whole.substr(0, n);
            EXPECT_EQ(kt_retry_after_ms(part.c_str(), nullptr, nullptr, kReal), -1) << part;
        }
}

} // namespace
