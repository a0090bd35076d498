// SPDX-License-Identifier: Apache-2.0
// Retries, breakers, routes by state: the exchange with everything that processes share.
#include "exchange_resilience.hpp"

namespace {

using namespace fake;

// Plays one answer after the other, then `answer`.
struct Script {
    std::vector<Handler> turns;
    std::atomic<size_t> n{0};
    std::vector<std::chrono::steady_clock::time_point> when;
    std::mutex m;
    Handler handler()
    {
        return [this](Conn &c, const Request &r) {
            size_t i = n++;
            {
                std::lock_guard<std::mutex> l(m);
                when.push_back(std::chrono::steady_clock::now());
            }
            return i < turns.size() ? turns[i](c, r) : answer(c, r);
        };
    }
    int64_t gap_ms(size_t i)
    {
        std::lock_guard<std::mutex> l(m);
        return std::chrono::duration_cast<std::chrono::milliseconds>(when.at(i + 1) - when.at(i)).count();
    }
};

TEST_F(Resilience, TheSameTargetIsTriedAgainBeforeTheNext)
{
    Script script;
    script.turns = {status(503), status(500)};
    Server first(script.handler()), second(answer);
    configure(config(target("a", first.port(), "KT_TEST_KEY_A") +
                     target("b", second.port(), "KT_TEST_KEY_B") + retry));
    Client k;
    ask(k, post(chat("hello")));
    EXPECT_EQ(k.status, 200);
    EXPECT_EQ(k.headers["x-kt-target"], "a");
    EXPECT_EQ(k.headers["x-kt-attempts"], "3");
    EXPECT_EQ(k.headers["x-kt-request-id"].size(), 32u);
    EXPECT_EQ(outcomes(0), "a:server_error a:server_error a:ok");
    EXPECT_EQ(second.connections(), 0u);
    for (const Request &r : first.requests())
        EXPECT_EQ(str(parse(r.body), "messages.0.content"), "hello") << "each try has the whole body";
    EXPECT_GE(script.gap_ms(0), 10);
    EXPECT_GE(script.gap_ms(1), 20);
}

TEST_F(Resilience, RetriesEndAndTheNextTargetGetsItsOwn)
{
    Script one, two;
    one.turns = std::vector<Handler>(9, status(503));
    two.turns = {[](Conn &, const Request &) { return false; }, status(502)};
    Server first(one.handler()), second(two.handler());
    configure(config(target("a", first.port(), "KT_TEST_KEY_A") +
                     target("b", second.port(), "KT_TEST_KEY_B") + retry));
    Client k;
    ask(k, post(chat("x")));
    EXPECT_EQ(k.status, 200);
    EXPECT_EQ(outcomes(0),
              "a:server_error a:server_error a:server_error b:connection_error b:server_error b:ok");
    EXPECT_EQ(k.headers["x-kt-attempts"], "6");
}

TEST_F(Resilience, WhatIsNotListedIsNotTriedAgain)
{
    Script script;
    script.turns = {status(404)};
    Server up(script.handler());
    configure(config(target("a", up.port(), "KT_TEST_KEY_A") + retry));
    Client k;
    ask(k, post(chat("x")));
    EXPECT_EQ(k.status, 404);
    EXPECT_EQ(outcomes(0), "a:client_error");
}

TEST_F(Resilience, RetryAfterIsKeptFromTheNewestAnswer)
{
    Script script;
    script.turns = {status(429, "Retry-After-Ms: 300\r\n"),
                    status(429, "retry-after-ms: 120\r\nRetry-After: 60\r\n"), status(429)};
    Server up(script.handler());
    configure(config(target("a", up.port(), "KT_TEST_KEY_A") +
                     "  retry: {max_attempts: 4, initial_delay_ms: 20, max_delay_ms: 1000}\n"));
    Client k;
    ask(k, post(chat("x")));
    EXPECT_EQ(k.status, 200);
    EXPECT_EQ(outcomes(0), "a:rate_limit a:rate_limit a:rate_limit a:ok");
    EXPECT_GE(script.gap_ms(0), 300);
    EXPECT_GE(script.gap_ms(1), 120);
    EXPECT_LT(script.gap_ms(1), 300) << "not the one before";
    EXPECT_LT(script.gap_ms(2), 200) << "none was asked for this time";
}

TEST_F(Resilience, ALongRetryAfterGoesToTheNextTarget)
{
    Script script;
    script.turns = {status(429, "Retry-After: 30\r\n")};
    Server limited(script.handler()), free(answer);
    configure(config(target("a", limited.port(), "KT_TEST_KEY_A") +
                     target("b", free.port(), "KT_TEST_KEY_B") + retry));
    Client k;
    ask(k, post(chat("x")));
    EXPECT_EQ(k.status, 200);
    EXPECT_EQ(outcomes(0), "a:rate_limit b:ok");
}

TEST_F(Resilience, TheClientIsToldWhenToComeBack)
{
    Server one(status(429, "Retry-After: 40\r\n")), two(status(429));
    configure(config(target("a", one.port(), "KT_TEST_KEY_A") + target("b", two.port(), "KT_TEST_KEY_B")));
    Client k;
    ask(k, post(chat("x")));
    EXPECT_EQ(k.status, 429);
    EXPECT_EQ(k.headers["retry-after"], "40") << "the soonest that any of them named";
}

TEST_F(Resilience, ARetryThatComesTooLateIsNone)
{
    Script script;
    script.turns = {[&](Conn &c, const Request &r) {
                        bool said = status(503, "Retry-After-Ms: 300\r\n")(c, r);
                        auto stall = [](void *) {
                            std::this_thread::sleep_for(std::chrono::milliseconds(1100));
                        };
                        std::this_thread::sleep_for(std::chrono::milliseconds(100)); // its timer is set
                        EXPECT_TRUE(kt_is_ok(kt_loop_post(ctx.loop, stall, nullptr)));
                        return said;
                    },
                    answer};
    Server slow(script.handler()), second(answer);
    configure(config(target("a", slow.port(), "KT_TEST_KEY_A", "", "      timeout_seconds: 1\n") +
                     target("b", second.port(), "KT_TEST_KEY_B") + retry));
    Client k;
    ask(k, post(chat("x")));
    EXPECT_EQ(outcomes(0), "a:server_error b:ok") << "its time was over when the loop came to it";
}

TEST_F(Resilience, AllTriesOfATargetShareItsTime)
{
    Gate end;
    Script script;
    script.turns = {status(503), [&](Conn &, const Request &) { return end.wait() && false; }};
    Server slow(script.handler()), second(answer);
    configure(
        config(target("a", slow.port(), "KT_TEST_KEY_A", "", "      timeout_seconds: 1\n") +
               target("b", second.port(), "KT_TEST_KEY_B") +
               "  retry: {max_attempts: 5, initial_delay_ms: 400, max_delay_ms: 400, jitter: false}\n"));
    auto start = std::chrono::steady_clock::now();
    Client k;
    ask(k, post(chat("x")));
    auto took = std::chrono::steady_clock::now() - start;
    EXPECT_EQ(k.status, 200);
    EXPECT_EQ(outcomes(0), "a:server_error a:timeout b:ok");
    EXPECT_LT(took, std::chrono::milliseconds(1900)) << "400 ms of pause are part of the one second";
    EXPECT_GE(took, std::chrono::milliseconds(950));
    end.open();
}

TEST_F(Resilience, TotalSecondsBoundRetriesToo)
{
    Server up(status(503));
    configure(
        config(target("a", up.port(), "KT_TEST_KEY_A") +
                   "  retry: {max_attempts: 20, initial_delay_ms: 300, max_delay_ms: 300, jitter: false}\n",
               "limits:\n  total_seconds: 1\n"));
    Client k;
    ask(k, post(chat("x")));
    EXPECT_EQ(k.status, 502);
    EXPECT_GE(up.requests().size(), 2u);
    EXPECT_LE(up.requests().size(), 4u);
}

TEST_F(Resilience, TheClientMayGoWhileWeWait)
{
    Gate once;
    Server up([&](Conn &c, const Request &) {
        once.open();
        return c.reply(503, "application/json", "{}");
    });
    configure(config(target("a", up.port(), "KT_TEST_KEY_A", "", "      timeout_seconds: 3600\n") +
                     "  retry: {max_attempts: 5, initial_delay_ms: 60000, max_delay_ms: 60000}\n"));
    Client k;
    start(k, post(chat("x")));
    ASSERT_TRUE(once.wait());
    auto until = std::chrono::steady_clock::now() + kPatience;
    while (up.requests().empty() && std::chrono::steady_clock::now() < until)
        std::this_thread::yield();
    on_loop([] {});
    on_loop([&] { kt_exchange_client_gone(k.x); });
    EXPECT_EQ(str(event(0), "error"), "client_gone");
    EXPECT_EQ(up.requests().size(), 1u);
}

TEST_F(Resilience, ABreakerOpensAndTriesAgainLater)
{
    std::atomic<bool> broken{true};
    Server first(
        [&](Conn &c, const Request &r) { return broken ? c.reply(500, "text/plain", "x") : answer(c, r); });
    Server second(answer);
    configure(config(target("a", first.port(), "KT_TEST_KEY_A") +
                     target("b", second.port(), "KT_TEST_KEY_B") + breaker));
    for (int i = 0; i < 4; i++) {
        Client k;
        ask(k, post(chat("x")));
        EXPECT_EQ(k.status, 200);
    }
    EXPECT_EQ(outcomes(1), "a:server_error b:ok");
    EXPECT_EQ(outcomes(2), "a:unavailable b:ok");
    EXPECT_EQ(str(event(2), "attempts.0.detail").rfind("breaker_open: open, ", 0), 0u)
        << str(event(2), "attempts.0.detail");
    EXPECT_EQ(first.requests().size(), 2u) << "nothing is sent while it is open";
    broken = false;
    kt_breaker_rules r = kt_breaker_rules_of(runtime->config, &runtime->config->providers.targets[0]);
    int64_t wait = 1;
    while (kt_breaker_look(state(0), &r, kt_state_now_ms(), nullptr, &wait) != KT_BREAKER_CLOSED && wait > 0)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    Client k;
    ask(k, post(chat("x")));
    EXPECT_EQ(outcomes(4), "a:ok");
    EXPECT_EQ(kt_breaker_look(state(0), &r, kt_state_now_ms(), nullptr, nullptr), KT_BREAKER_CLOSED);
}

TEST_F(Resilience, OnlyABreakerInTheWaySays503AndWhen)
{
    Server up(status(500));
    configure(config(target("a", up.port(), "KT_TEST_KEY_A") +
                     "  circuit_breaker: {failure_threshold: 1, recovery_timeout_seconds: 20}\n"));
    Client first, second;
    ask(first, post(chat("x")));
    EXPECT_EQ(first.status, 502);
    ask(second, post(chat("x")));
    EXPECT_EQ(second.status, 503);
    EXPECT_EQ(second.headers["retry-after"], "20");
    EXPECT_EQ(up.requests().size(), 1u);
}

TEST_F(Resilience, AClientThatLeavesOwesTheBreakerNothing)
{
    Gate asked, end;
    std::atomic<int> n{0};
    Server up([&](Conn &c, const Request &r) {
        if (n++ == 0)
            return c.reply(500, "text/plain", "x");
        if (n == 2) {
            asked.open();
            return end.wait() && false;
        }
        return answer(c, r);
    });
    configure(config(target("a", up.port(), "KT_TEST_KEY_A") +
                     "  circuit_breaker: {failure_threshold: 1, recovery_timeout_seconds: 1}\n"));
    Client one, two, three;
    ask(one, post(chat("x")));
    kt_breaker_rules r = kt_breaker_rules_of(runtime->config, &runtime->config->providers.targets[0]);
    int64_t wait = 1;
    while (wait > 0) {
        kt_breaker_look(state(0), &r, kt_state_now_ms(), nullptr, &wait);
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    start(two, post(chat("x"))); // the trial
    ASSERT_TRUE(asked.wait());
    on_loop([&] { kt_exchange_client_gone(two.x); });
    end.open();
    ask(three, post(chat("x")));
    EXPECT_EQ(three.status, 200) << "its place was free again";
}

TEST_F(Resilience, BadAnswersAreFailuresOfTheServer)
{
    const char *const bodies[] = {"",
                                  "<html>",
                                  "{",
                                  "[]",
                                  "null",
                                  "{\"id\":\"x\"}",
                                  "{\"choices\":{}}",
                                  "{\"choices\":[]}",
                                  "{\"choices\":null}",
                                  "{\"error\":{\"message\":\"no\"}}"};
    size_t n = 0;
    for (const char *body : bodies) {
        Server first([&](Conn &c, const Request &) { return c.reply(200, "application/json", body); });
        Server second(answer);
        configure(
            config(target("a", first.port(), "KT_TEST_KEY_A") + target("b", second.port(), "KT_TEST_KEY_B")));
        Client k;
        ask(k, post(chat("x")));
        EXPECT_EQ(k.status, 200) << body;
        EXPECT_EQ(outcomes(n++), "a:bad_body b:ok") << body;
    }
}

TEST_F(Resilience, ContextOutcomesFollowTheConfig)
{
    Server small([](Conn &c, const Request &) {
        return c.reply(400, "application/json",
                       R"({"error":{"message":"too long","code":"context_length_exceeded"}})");
    });
    Server large(answer);
    std::string targets =
        target("a", small.port(), "KT_TEST_KEY_A") + target("b", large.port(), "KT_TEST_KEY_B");
    configure(config(targets));
    Client stays, moves;
    ask(stays, post(chat("x")));
    EXPECT_EQ(stays.status, 400);
    configure(config(targets + "  fallback: {enabled: true, context_window: fallback}\n"));
    ask(moves, post(chat("x")));
    EXPECT_EQ(moves.status, 200);
    EXPECT_EQ(outcomes(1), "a:client_error b:ok");
}

TEST_F(Resilience, ARequestThatFitsNowhereIsNotSent)
{
    Server up(answer);
    std::string small = target("a", up.port(), "KT_TEST_KEY_A", "", "      max_context_tokens: 50\n");
    configure(config(small + target("b", up.port(), "KT_TEST_KEY_B", "", "      max_context_tokens: 80\n")));
    std::string words;
    for (int i = 0; i < 100; i++)
        words += "word ";
    Client k, fits, completion;
    ask(k, post(chat(words)));
    EXPECT_EQ(k.status, 400);
    EXPECT_EQ(str(parse(k.body), "error.code"), "context_length_exceeded");
    EXPECT_EQ(str(parse(k.body), "error.type"), "invalid_request_error");
    EXPECT_NE(str(parse(k.body), "error.message").find("80 tokens"), std::string::npos);
    EXPECT_EQ(up.connections(), 0u);
    EXPECT_EQ(str(event(0), "attempts.1.detail").rfind("context_too_small: ", 0), 0u);
    EXPECT_EQ(str(event(0), "error"), "context_length_exceeded");
    ask(fits, post(chat("short")));
    EXPECT_EQ(fits.headers["x-kt-target"], "a");
    ask(completion, post(chat("short", ",\"max_tokens\":60")));
    EXPECT_EQ(completion.headers["x-kt-target"], "b") << "the completion needs room, too";
}

} // namespace
