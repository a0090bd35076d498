/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange_words.hpp"

#include <sys/resource.h>

namespace {

using namespace fake;

class Fallback : public ExchangeTest {};

/* ---- fallback ---- */

struct Fault {
    const char *name;
    Handler handler; // empty = a port on which nobody listens
    const char *outcome;
};

TEST_F(Fallback, FallbackMatrix)
{
    Gate end;
    const std::vector<Fault> faults = {
        {"refused", nullptr, "connection_error"},
        {"500", [](Conn &c, const Request &) { return c.reply(500, "text/html", "<h1>oops</h1>"); },
         "server_error"},
        {"503", [](Conn &c, const Request &) { return c.reply(503, "application/json", "{}"); },
         "server_error"},
        {"429",
         [](Conn &c, const Request &) {
             return c.reply(429, "application/json", "{}", "Retry-After: 3\r\n");
         },
         "rate_limit"},
        {"hang", [&](Conn &, const Request &) { return end.wait() && false; }, "timeout"},
        {"closed", [](Conn &, const Request &) { return false; }, "connection_error"},
        {"cut",
         [](Conn &c, const Request &) {
             c.send(
                 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"id\"");
             return false;
         },
         "connection_error"},
        {"html", [](Conn &c, const Request &) { return c.reply(200, "text/html", "<html>login</html>"); },
         "bad_body"},
        {"torn", [](Conn &c, const Request &) { return c.reply(200, "application/json", "{\"id\":"); },
         "bad_body"},
        {"empty", [](Conn &c, const Request &) { return c.reply(200, "application/json", ""); }, "bad_body"},
        {"redirect",
         [](Conn &c, const Request &) { return c.reply(302, "text/plain", "", "Location: /x\r\n"); },
         "server_error"},
        {"not http", [](Conn &c, const Request &) { return c.send("SSH-2.0-x\r\n\r\n") && false; },
         "connection_error"},
    };
    size_t n = 0;
    for (const Fault &f : faults) {
        end.close();
        DeadPort dead;
        std::unique_ptr<Server> first(f.handler ? new Server(f.handler) : nullptr);
        Server second(answer);
        configure(config(target("a", first ? first->port() : dead.port(), "KT_TEST_KEY_A", "",
                                "      timeout_seconds: 1\n") +
                         target("b", second.port(), "KT_TEST_KEY_B")));
        Client k;
        ask(k, post(chat("hello")));
        end.open();
        EXPECT_EQ(k.status, 200) << f.name;
        EXPECT_EQ(k.body, kAnswer) << f.name;
        EXPECT_EQ(k.headers["x-kt-target"], "b") << f.name;
        EXPECT_EQ(k.headers["x-kt-attempts"], "2") << f.name;
        EXPECT_EQ(second.requests().at(0).header("authorization"), "Bearer sk-target-b") << f.name;
        EXPECT_EQ(str(parse(second.requests().at(0).body), "messages.0.content"), "hello") << f.name;
        Json e = event(n++);
        EXPECT_EQ(str(e, "attempts.0.outcome"), f.outcome) << f.name;
        EXPECT_EQ(str(e, "attempts.1.outcome"), "ok") << f.name;
        EXPECT_EQ(str(e, "target"), "b") << f.name;
    }
}

TEST_F(Fallback, TriggersDecideAboutFallback)
{
    Server first([](Conn &c, const Request &) { return c.reply(500, "application/json", "{}"); });
    Server second(answer);
    configure(config(target("a", first.port(), "KT_TEST_KEY_A") +
                     target("b", second.port(), "KT_TEST_KEY_B") +
                     "  fallback:\n    enabled: true\n    triggers: [timeout]\n"));
    Client k;
    ask(k, post(chat("x")));
    EXPECT_EQ(k.status, 502);
    EXPECT_EQ(second.connections(), 0u);
}

TEST_F(Fallback, AttemptsAreBounded)
{
    std::vector<std::unique_ptr<Server>> all;
    std::string targets;
    for (int i = 0; i < 4; i++) {
        all.push_back(std::make_unique<Server>(
            [](Conn &c, const Request &) { return c.reply(500, "application/json", "{}"); }));
        targets += target("t" + std::to_string(i), all.back()->port(), "KT_TEST_KEY_A");
    }
    configure(config(targets + "  fallback:\n    enabled: true\n    max_fallback_attempts: 2\n"));
    Client k;
    ask(k, post(chat("x")));
    EXPECT_EQ(k.status, 502);
    EXPECT_EQ(all[2]->requests().size(), 1u);
    EXPECT_EQ(all[3]->connections(), 0u);
}

TEST_F(Fallback, AllDeadIsABounded502)
{
    DeadPort a, b;
    configure(
        config(target("first", a.port(), "KT_TEST_KEY_A") + target("second", b.port(), "KT_TEST_KEY_B")));
    Client k;
    ask(k, post(chat("x")));
    EXPECT_EQ(k.status, 502);
    Json j = parse(k.body);
    EXPECT_EQ(str(j, "error.type"), "upstream_error");
    EXPECT_EQ(str(j, "error.code"), "all_targets_failed");
    const std::string message = str(j, "error.message");
    EXPECT_EQ(message, "ktwrap: no target could answer: first (connection_error: no connection), "
                       "second (connection_error: no connection)");
    EXPECT_NE(str(event(), "attempts.0.detail").find("no connection: Failed to connect to 127.0.0.1"),
              std::string::npos);
    EXPECT_EQ(str(event(), "error"), "all_targets_failed");
    EXPECT_EQ(str(event(), "verdict"), "allow");
}

// What each target said stands in the message, without its key, and no more of it than a line.
TEST_F(Fallback, AllDeadTellsWhatTheProvidersSaid)
{
    struct Case {
        int status;
        std::string body, told;
    };
    const std::vector<Case> cases = {
        {500, R"({"error":{"message":"too hot for sk-target-a \u00e9","type":"server_error"}})",
         "a (server_error: status 500: \"too hot for *********** \u00e9\")"},
        {503, R"({"object":"error","message":"Service unavailable","code":"1"})",
         "a (server_error: status 503: \"Service unavailable\")"},
        {500, R"({"detail":[{"loc":["body","x"],"msg":"odd","input":"my secret prompt"}]})",
         "a (server_error: status 500: \"body.x: odd\")"},
        {500, "<h1>oops</h1>", "a (server_error: status 500)"},
        {500, R"({"error":{"message":")" + std::string(255, 'x') + "\u00e9" + std::string(9999, 'y') + "\"}}",
         "a (server_error: status 500: \"" + std::string(255, 'x') + "\")"},
        {200, R"({"error":{"message":"no credits left","code":402}})",
         "a (bad_body: no choices: \"no credits left\")"},
    };
    for (const Case &c : cases) {
        Server up([&](Conn &k, const Request &) { return k.reply(c.status, "application/json", c.body); });
        configure(config(target("a", up.port(), "KT_TEST_KEY_A")));
        Client k;
        ask(k, post(chat("my secret prompt")));
        EXPECT_EQ(k.status, 502);
        EXPECT_EQ(str(parse(k.body), "error.message"), "ktwrap: no target could answer: " + c.told);
    }
}

TEST_F(Fallback, TriesThatEndAlikeAreToldOnceAndTheLastOnesRetryAfterIsKept)
{
    std::atomic<int> n{0};
    Server up([&](Conn &k, const Request &) {
        const char *words = ++n < 3 ? "{\"message\":\"warming up\"}" : "{\"message\":\"come back\"}";
        return k.reply(503, "application/json", words, n < 3 ? "" : "Retry-After: 7\r\n");
    });
    DeadPort dead;
    configure(config(target("a", up.port(), "KT_TEST_KEY_A") + target("b", dead.port(), "KT_TEST_KEY_B") +
                     "  retry:\n    max_attempts: 2\n    initial_delay_ms: 1\n"));
    Client k;
    ask(k, post(chat("x")));
    std::string message = str(parse(k.body), "error.message");
    EXPECT_NE(message.find(": a (server_error: status 503, 2 times: \"warming up\"), b (connection_error"),
              std::string::npos)
        << message;
    EXPECT_EQ(k.headers.count("retry-after"), 0u);
    configure(config(target("a", up.port(), "KT_TEST_KEY_A")));
    Client asked;
    ask(asked, post(chat("x")));
    EXPECT_EQ(asked.status, 502);
    EXPECT_EQ(asked.headers["retry-after"], "7");
}

TEST_F(Fallback, TotalTimeBoundsAllAttempts)
{
    Gate end;
    Server hangs([&](Conn &, const Request &) { return end.wait() && false; });
    Server never(answer);
    configure(config(target("a", hangs.port(), "KT_TEST_KEY_A") + target("b", never.port(), "KT_TEST_KEY_B"),
                     "limits:\n  total_seconds: 1\n"));
    Client k;
    ask(k, post(chat("x")));
    EXPECT_EQ(k.status, 502);
    EXPECT_EQ(str(event(), "attempts.0.outcome"), "timeout");
    EXPECT_EQ(never.connections(), 0u) << "no time was left";
    end.open();
}

TEST_F(Fallback, ClientErrorsAreGivenBackAsTheyAre)
{
    size_t n = 0;
    for (int status : {400, 401, 403, 404, 413, 422}) {
        Server first([&](Conn &c, const Request &) {
            return c.reply(status, "application/json",
                           "{\"object\":\"error\",\"message\":{\"detail\":[{\"msg\":\"Extra "
                           "inputs\"}]},\"type\":\"t\",\"code\":\"c\"}");
        });
        Server second(answer);
        configure(
            config(target("a", first.port(), "KT_TEST_KEY_A") + target("b", second.port(), "KT_TEST_KEY_B")));
        Client k;
        ask(k, post(chat("x")));
        EXPECT_EQ(k.status, status);
        EXPECT_FALSE(str(parse(k.body), "error.message").empty()) << k.body;
        EXPECT_EQ(second.connections(), 0u);
        EXPECT_EQ(str(event(n++), "attempts.0.outcome"), "client_error");
    }
}

/* Of a base_url that leads elsewhere; a 404 of the API itself (no such model) stays as it is. */
TEST_F(Fallback, A404WithoutAnErrorNamesTheTarget)
{
    for (const char *body : {"{\"detail\":\"Not Found\"}", "<h1>Not Found</h1>", "",
                             "{\"message\":\"no model\"}", "{\"error\":{\"message\":\"no model\"}}"}) {
        Server up([&](Conn &c, const Request &) { return c.reply(404, "application/json", body); });
        configure(config(target("a", up.port(), "KT_TEST_KEY_A")));
        Client k;
        ask(k, post(chat("x")));
        EXPECT_EQ(k.status, 404);
        std::string said = str(parse(k.body), "error.message");
        if (strstr(body, "no model"))
            EXPECT_EQ(said, "no model");
        else
            EXPECT_NE(said.find("the target 'a' has no such endpoint"), std::string::npos) << k.body;
    }
}

TEST_F(Fallback, LastRateLimitReachesTheClient)
{
    DeadPort dead;
    Server limited([](Conn &c, const Request &) {
        return c.reply(429, "text/html", "<p>slow down</p>", "Retry-After: 7\r\n");
    });
    configure(config(target("a", dead.port(), "KT_TEST_KEY_A") +
                     target("b", limited.port(), "KT_TEST_KEY_B") +
                     target("c", dead.port(), "KT_TEST_MISSING")));
    Client k;
    ask(k, post(chat("x")));
    EXPECT_EQ(k.status, 429);
    EXPECT_EQ(k.headers["Retry-After"], "7");
    EXPECT_EQ(k.headers["content-type"], "application/json");
    EXPECT_EQ(k.headers.count("Content-Type"), 0u);
    EXPECT_TRUE(cJSON_IsObject(at(parse(k.body).get(), "error")));
}

TEST_F(Fallback, MissingKeyMakesATargetUnavailable)
{
    Server first(answer), second(answer);
    configure(
        config(target("a", first.port(), "KT_TEST_MISSING") + target("b", second.port(), "KT_TEST_KEY_B")));
    Client k;
    ask(k, post(chat("x")));
    EXPECT_EQ(k.status, 200);
    EXPECT_EQ(first.connections(), 0u);
    Json e = event();
    EXPECT_EQ(str(e, "attempts.0.outcome"), "unavailable");
    EXPECT_NE(str(e, "attempts.0.detail").find("KT_TEST_MISSING"), std::string::npos);
    configure(config(target("a", first.port(), "KT_TEST_MISSING")));
    Client none;
    ask(none, post(chat("x")));
    EXPECT_EQ(none.status, 502);
    EXPECT_NE(str(parse(none.body), "error.message").find("a (unavailable: "), std::string::npos);
    EXPECT_NE(str(parse(none.body), "error.message").find("KT_TEST_MISSING"), std::string::npos);
    EXPECT_EQ(first.connections(), 0u);
}

TEST_F(Fallback, NoFileDescriptorIsNotTheTargetsFault)
{
    Server up([](Conn &c, const Request &) { return c.reply(200, "application/json", kAnswer); });
    configure(config(target("a", up.port(), "KT_TEST_KEY_A")));
    Client k;
    struct rlimit was, none;
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &was), 0);
    none = was;
    none.rlim_cur = 3;
    on_loop([&] { ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0); });
    ask(k, post(chat("x")));
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &was), 0);
    EXPECT_EQ(k.status, 502);
    EXPECT_NE(str(parse(k.body), "error.message").find("RLIMIT_NOFILE"), std::string::npos) << k.body;
    EXPECT_EQ(up.connections(), 0u);
    Json e = event();
    EXPECT_EQ(str(e, "attempts.0.outcome"), "unavailable");
}

TEST_F(Fallback, AnswerLargerThanTheLimit)
{
    Server big([](Conn &c, const Request &) {
        return c.reply(200, "application/json", std::string(100000, ' ') + "{}");
    });
    Server second(answer);
    configure(config(target("a", big.port(), "KT_TEST_KEY_A") + target("b", second.port(), "KT_TEST_KEY_B"),
                     "limits:\n  max_response_bytes: 65536\n"));
    Client k;
    ask(k, post(chat("x")));
    EXPECT_EQ(k.status, 200);
    EXPECT_EQ(str(event(), "attempts.0.outcome"), "too_large");

    configure(config(target("a", big.port(), "KT_TEST_KEY_A"), "limits:\n  max_response_bytes: 65536\n"));
    Client alone;
    ask(alone, post(chat("x")));
    EXPECT_EQ(alone.status, 502);
    EXPECT_NE(str(parse(alone.body), "error.message").find("larger than limits.max_response_bytes"),
              std::string::npos)
        << alone.body;
    EXPECT_EQ(big.requests().size(), 2u) << "what is too large is not asked for again";
}

TEST_F(Fallback, AHeadThatIsTooLargeIsTheTargetsTrouble)
{
    Server up([](Conn &c, const Request &) {
        std::string head;
        for (int i = 0; i < 2000; i++)
            head += "X-" + std::to_string(i) + ": " + std::string(200, 'b') + "\r\n";
        return c.reply(200, "application/json", kAnswer, head);
    });
    configure(config(target("a", up.port(), "KT_TEST_KEY_A")));
    Client k;
    ask(k, post(chat("x")));
    EXPECT_EQ(k.status, 502);
    EXPECT_EQ(str(event(), "attempts.0.outcome"), "too_large");
    EXPECT_NE(k.body.find("a (too_large: the answer's head is too large)"), std::string::npos) << k.body;
}

} // namespace
