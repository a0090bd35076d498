/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange_sse.hpp"

namespace {

using namespace fake;

/* What the far side of a stream does behind its head, and what the attempt is called then. */
struct Fault {
    const char *name;
    std::string sent;
    enum { ENDS, CUTS, WAITS } then; /* ends the body, closes in the middle of it, stays silent */
    const char *outcome;
};

class StreamFault : public StreamTest {
  protected:
    /* Asks a target that has the fault, with a good one behind it. */
    void ask_faulty(const Fault &f, Client &k)
    {
        ask_faulty(
            [&](Conn &c, const Request &) {
                return c.sse_head() && (f.sent.empty() || c.chunk(f.sent)) &&
                       (f.then == Fault::ENDS ? c.chunk_end()
                                              : f.then == Fault::WAITS && silence.wait() && false);
            },
            k);
    }
    void ask_faulty(Handler faulty, Client &k)
    {
        silence.close();
        Server bad(faulty), second(good);
        two_targets(bad.port(), second.port(),
                    "      timeout_seconds: 1\n      stream_timeout_seconds: 30\n");
        ask(k, ask_stream());
        silence.open();
        second_connections = second.connections();
    }
    void expect_second(const Client &k, const char *name, const char *outcome)
    {
        EXPECT_TRUE(k.ended) << name;
        EXPECT_EQ(k.status, 200) << name;
        EXPECT_EQ(k.headers.at("x-kt-target"), "b") << name;
        EXPECT_EQ(k.body, kRole + delta("fine") + delta("", "\"stop\"", kUsage) + kDone) << name;
        EXPECT_EQ(str(event(asked), "attempts.0.outcome"), outcome) << name;
        EXPECT_EQ(str(event(asked++), "attempts.1.outcome"), "ok") << name;
    }
    Gate silence;
    size_t asked = 0;
    unsigned second_connections = 0;
};

/* ---- before the first content: another target answers ---- */

TEST_F(StreamFault, FallbackUntilTheFirstContent)
{
    const std::vector<Fault> faults = {
        {"nothing", "", Fault::ENDS, "bad_body"},
        {"only done", kDone, Fault::ENDS, "bad_body"},
        {"done behind the role", kRole + kDone, Fault::ENDS, "bad_body"},
        {"finish_reason error", kRole + delta("", "\"error\"") + kDone, Fault::ENDS, "server_error"},
        {"cut at once", "", Fault::CUTS, "connection_error"},
        {"cut behind the role", kRole, Fault::CUTS, "connection_error"},
        {"cut in the first chunk", "data: {\"choi", Fault::CUTS, "connection_error"},
        {"error event", "data: {\"error\":{\"message\":\"overloaded\"}}\n\n", Fault::ENDS, "server_error"},
        {"error event of Mistral", "data: {\"object\":\"error\",\"message\":\"overloaded\"}\n\n", Fault::ENDS,
         "server_error"},
        {"not json", "data: {oops\n\n", Fault::ENDS, "bad_body"},
        {"stall behind the role", kRole, Fault::WAITS, "timeout"},
    };
    for (const Fault &f : faults) {
        Client k;
        ask_faulty(f, k);
        expect_second(k, f.name, f.outcome);
    }
}

TEST_F(StreamFault, FallbackWhereItIsNoStreamAtAll)
{
    struct Case {
        int status;
        const char *type;
        std::string body;
        const char *outcome;
    };
    for (const Case &f : std::vector<Case>{{500, "application/json", "{}", "server_error"},
                                           {200, "application/json", kAnswer, "bad_body"},
                                           {200, "text/html", "<p>", "bad_body"}}) {
        Client k;
        ask_faulty([&](Conn &c, const Request &) { return c.reply(f.status, f.type, f.body); }, k);
        expect_second(k, f.type, f.outcome);
    }
}

TEST_F(StreamFault, AnErrorEventInFrontIsAsGoodAsItsStatus)
{
    struct Case {
        const char *error;
        int status;
        const char *outcome, *says;
    };
    const std::vector<Case> cases = {
        {R"({"error":{"message":"slow, sk-target-a","type":"rate_limit_error"}})", 429, "rate_limit",
         "slow, ***********"},
        {R"({"error":{"message":"bad words","type":"invalid_request_error","code":"x"}})", 400,
         "client_error", "bad words"},
        {R"({"error":{"message":"no key","code":401}})", 401, "client_error", "no key"},
        {R"({"object":"error","message":"odd","type":"invalid_request_error"})", 400, "client_error", "odd"},
        {R"({"detail":"Unauthorized"})", 401, "client_error", "Unauthorized"},
        {R"({"message":"Requests rate limit exceeded"})", 429, "rate_limit", "Requests rate limit exceeded"},
        {R"({"error":{"message":"too many, sk-target-a","type":"server_error"}})", 502, "server_error",
         "ktwrap: no target could answer: a (server_error: an error event instead of an answer: \"too many, "
         "***********\")"},
    };
    size_t n = 0;
    for (const Case &c : cases) {
        Server up([&](Conn &k, const Request &) {
            return k.sse_head() && k.chunk(kRole + "data: " + c.error + "\n\n" + kDone) && k.chunk_end();
        });
        one_target(up);
        Client k;
        ask(k, ask_stream());
        EXPECT_EQ(k.status, c.status) << k.body;
        EXPECT_EQ(str(parse(k.body), "error.message"), c.says);
        EXPECT_EQ(str(event(n++), "attempts.0.outcome"), c.outcome);
    }
}

TEST_F(StreamFault, AllStreamsDeadIsA502)
{
    Server a([](Conn &c, const Request &) { return c.sse_head() && c.chunk(kRole) && false; });
    Server b([](Conn &c, const Request &) { return c.reply(500, "text/plain", ""); });
    two_targets(a.port(), b.port());
    Client k;
    ask(k, ask_stream());
    EXPECT_EQ(k.status, 502);
    EXPECT_EQ(str(parse(k.body), "error.code"), "all_targets_failed");
}

/* ---- behind it: an explicit error, never a clean end ---- */

TEST_F(StreamFault, FailureBehindContentIsAnErrorEvent)
{
    const std::string begun = delta("begun");
    const std::string other_stops =
        begun + "data: {\"choices\":[{\"index\":1,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    const std::vector<Fault> faults = {
        {"cut", begun, Fault::CUTS, "connection_error"},
        {"cut inside an event", begun + "data: {\"choi", Fault::CUTS, "connection_error"},
        {"clean end", begun, Fault::ENDS, "bad_body"},
        {"one of two choices is left open", other_stops, Fault::ENDS, "bad_body"},
        {"done, and a choice is left open", begun + kDone, Fault::WAITS, "bad_body"},
        {"done, and one of two choices is left open", other_stops + kDone, Fault::WAITS, "bad_body"},
        {"finish_reason error", begun + delta("", "\"error\"") + kDone, Fault::WAITS, "server_error"},
        {"a bare error", begun + "data: {\"message\":\"limit\"}\n\n", Fault::WAITS, "server_error"},
        {"malformed", begun + "data: {oops}\n\n", Fault::WAITS, "bad_body"},
        {"an error that no client knows", begun + "data: {\"object\":\"error\",\"message\":\"m\"}\n\n",
         Fault::WAITS, "server_error"},
        {"an event that is called error", begun + "event: error\ndata: {\"detail\":\"m\"}\n\n", Fault::WAITS,
         "server_error"},
        {"stall", begun, Fault::WAITS, "timeout"},
    };
    for (const Fault &f : faults) {
        Client k;
        ask_faulty(f, k);
        EXPECT_TRUE(k.ended) << f.name;
        ASSERT_EQ(k.body.substr(0, begun.size()), begun) << f.name;
        const size_t last = k.body.rfind("data: ");
        ASSERT_GE(last, begun.size()) << f.name;
        const std::string rest = k.body.substr(last);
        ASSERT_EQ(rest.substr(0, 6), "data: ") << f.name << ": " << rest;
        Json j = parse(rest.substr(6));
        EXPECT_EQ(str(j, "error.code"), "stream_interrupted") << f.name;
        EXPECT_EQ(str(j, "error.message").find("127.0.0.1"), std::string::npos) << f.name;
        EXPECT_EQ(rest.substr(rest.size() - 2), "\n\n");
        EXPECT_EQ(k.body.find("[DONE]"), std::string::npos) << f.name;
        EXPECT_EQ(second_connections, 0u) << f.name << ": never a fallback behind content";
        EXPECT_EQ(str(event(asked), "attempts.0.outcome"), f.outcome) << f.name;
        EXPECT_EQ(str(event(asked), "error"), "stream_interrupted") << f.name;
        // Whatever the library said stands behind our own words, which the client has.
        const std::string kept = str(event(asked++), "attempts.0.detail");
        const std::string told = " (" + std::string(f.outcome) + ": " + kept.substr(0, kept.find(": "));
        EXPECT_NE(str(j, "error.message").find(told), std::string::npos) << told << str(j, "error.message");
    }
}

TEST_F(StreamFault, ErrorEventOfTheProviderIsEnough)
{
    const std::string error = "data: {\"error\":{\"message\":\"gone\",\"code\":\"x\"}}\n\n";
    Server up([&](Conn &c, const Request &) {
        return c.sse_head() && c.chunk(delta("a") + error) && c.chunk_end();
    });
    one_target(up);
    Client k;
    ask(k, ask_stream());
    EXPECT_TRUE(k.ended);
    EXPECT_EQ(k.body, delta("a") + error);
}

// Its words are kept where its shape is none that clients raise on.
TEST_F(StreamFault, WhatAnErrorInAnotherShapeSaidIsInOurs)
{
    const std::vector<std::pair<std::string, std::string>> cases = {
        {R"(data: {"object":"error","message":"over capacity for sk-target-a"})",
         "a was interrupted (server_error: an error event: \"over capacity for ***********\")"},
        {"event: error\ndata: {\"detail\":\"gone\"}",
         "a was interrupted (server_error: an error event: \"gone\")"},
        {"data: {oops}", "a was interrupted (bad_body: a chunk that is not JSON)"},
    };
    for (const auto &[sent, told] : cases) {
        Server up([&, s = sent](Conn &c, const Request &) {
            return c.sse_head() && c.chunk(delta("a") + s + "\n\n") && c.chunk_end();
        });
        one_target(up);
        Client k;
        ask(k, ask_stream());
        EXPECT_EQ(str(parse(k.body.substr(k.body.rfind("data: ") + 6)), "error.message"),
                  "ktwrap: the answer of target " + told);
    }
}

TEST_F(StreamFault, OversizedEventIsCutOff)
{
    Server up([&](Conn &c, const Request &) {
        c.sse_head();
        c.chunk(delta("a"));
        c.chunk("data: {\"x\":\"");
        for (int i = 0; i < 64; i++)
            if (!c.chunk(std::string(65536, 'x')))
                return false;
        return false;
    });
    one_target(up);
    Client k;
    ask(k, ask_stream());
    EXPECT_TRUE(k.ended);
    EXPECT_NE(k.body.find("stream_interrupted"), std::string::npos);
    EXPECT_LT(k.body.size(), 4096u);
}

TEST_F(StreamFault, ALineOfTenMegabytesIsRefused)
{
    Server huge([](Conn &c, const Request &) {
        return c.sse_head() && c.chunk("data: {\"x\":\"" + std::string(10u << 20, 'x') + "\"}\n\n") &&
               c.chunk_end();
    });
    Server second(good);
    two_targets(huge.port(), second.port());
    Client k;
    ask(k, ask_stream());
    EXPECT_EQ(k.body.find("xxx"), std::string::npos);
    EXPECT_NE(k.body.find("fine"), std::string::npos) << "nothing was shown yet: the next target answers";
    EXPECT_EQ(str(event(), "attempts.0.outcome"), "bad_body");
}

TEST_F(StreamFault, BehindTheFirstDoneNothingComes)
{
    Server up([](Conn &c, const Request &) {
        return c.sse_head() &&
               c.chunk(delta("a") + delta("", "\"stop\"") + kDone + kDone + delta("late") + kDone) &&
               c.chunk_end();
    });
    one_target(up);
    Client k;
    ask(k, ask_stream());
    EXPECT_TRUE(k.ended);
    EXPECT_EQ(k.body, delta("a") + delta("", "\"stop\"") + kDone);
    EXPECT_EQ(str(event(), "attempts.0.outcome"), "ok");
}

TEST_F(StreamFault, AnAnswerWithoutATypeIsWhatWasAskedFor)
{
    Server up([](Conn &c, const Request &) {
        return c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") &&
               c.chunk(kRole + delta("fine") + delta("", "\"stop\"") + kDone) && c.chunk_end();
    });
    one_target(up);
    Client k;
    ask(k, ask_stream());
    EXPECT_EQ(k.body, kRole + delta("fine") + delta("", "\"stop\"") + kDone);
    origin_port = up.port();
    configure(config(""));
    Client origin;
    ask(origin, ask_stream());
    EXPECT_EQ(origin.body, k.body);
}

TEST_F(StreamFault, CutBehindAnyChunk)
{
    std::atomic<int> n{0};
    Server up([&](Conn &c, const Request &) {
        bool ok = c.sse_head();
        for (int i = 0; ok && i < n; i++)
            ok = c.chunk(delta("piece "));
        return false;
    });
    size_t i = 0;
    for (int chunks : {0, 1, 2, 500}) {
        n = chunks;
        one_target(up);
        Client k;
        ask(k, ask_stream());
        EXPECT_TRUE(k.ended);
        EXPECT_EQ(k.status, chunks ? 200 : 502);
        size_t seen = 0;
        for (size_t at = 0; (at = k.body.find("piece ", at)) != std::string::npos; at++)
            seen++;
        EXPECT_EQ(seen, static_cast<size_t>(chunks)) << "what came is shown";
        EXPECT_EQ(k.body.find("[DONE]"), std::string::npos);
        Json e = event(i++);
        EXPECT_EQ(str(e, "interruption"), chunks ? "cut" : "");
        EXPECT_EQ(num(e, "chunks"), chunks ? chunks : -1);
    }
}

/* ---- the event ---- */

TEST_F(StreamFault, TheEventCountsWhatWasDelivered)
{
    Gate first, end;
    std::atomic<int> how{0};
    Server up([&](Conn &c, const Request &) {
        c.sse_head();
        c.chunk(kRole + delta("one"));
        first.wait();
        if (how == 0)
            return c.chunk(delta("two") + delta("", "\"stop\"", kUsage) + kDone) && c.chunk_end();
        c.chunk(delta("two") + (how == 1 ? "" : "data: {oops}\n\n"));
        return how == 2 && end.wait() && false;
    });
    one_target(up);
    const char *words[] = {"", "cut", "bad_chunk", "client_gone"};
    for (how = 0; how < 4; how++) {
        first.close();
        Client k;
        start(k, ask_stream());
        ASSERT_TRUE(k.wait_body("one"));
        if (how == 3)
            on_loop([&] { kt_exchange_client_gone(k.x); });
        first.open();
        if (how != 3) {
            ASSERT_TRUE(k.wait_over());
        }
        on_loop([] {});
        Json e = event(static_cast<size_t>(how));
        EXPECT_EQ(num(e, "chunks"), how == 0 ? 4 : how == 3 ? 2 : 3) << how;
        EXPECT_EQ(num(e, "held_bytes_max"), 0) << how;
        EXPECT_EQ(str(e, "interruption"), words[how]);
        EXPECT_EQ(num(e, "delivered_chunks"), num(e, "chunks")) << how;
        EXPECT_EQ(num(e, "delivered_bytes"), how == 3 ? 3 : 6) << how;
        EXPECT_EQ(num(e, "tokens_per_s") > 0, how == 0) << "wherever the usage is known";
        EXPECT_GE(num(e, "ttft_ms"), 0);
    }
    end.open();
}

TEST_F(StreamFault, TokensPerSecondWhereverTheUsageIsKnown)
{
    std::atomic<int> how{0};
    Server up([&](Conn &c, const Request &) {
        const std::string last = delta("", "\"stop\"", kUsage), done = how & 1 ? "" : kDone;
        bool ok = c.sse_head();
        if (how / 2 == 0) /* all at once */
            return ok && c.chunk(kRole + delta("one") + delta("two") + last + done) && c.chunk_end();
        if (how / 2 == 1) /* one chunk only, and late */
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        ok = ok && c.chunk(delta("one"));
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        return ok && c.chunk((how / 2 == 1 ? "" : delta("two")) + last + done) && c.chunk_end();
    });
    for (size_t n = 0; n < 12; n++) {
        how = static_cast<int>(n % 6);
        n < 6 ? one_target(up) : openai_target(up);
        Client k;
        ask(k, ask_stream());
        Json e = event(n);
        double tokens = num(e, "usage.completion_tokens"), rate = num(e, "tokens_per_s");
        ASSERT_GT(tokens, 0);
        EXPECT_GT(rate, 0) << how;
        if (how / 2 == 1) {
            EXPECT_LE(rate, tokens / 0.039) << "from the beginning of the attempt";
        }
        if (how / 2 == 2) {
            EXPECT_LE(rate, tokens / 0.015) << "from the first to the last text";
        }
    }
}

} // namespace
