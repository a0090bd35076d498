/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange_words.hpp"

namespace {

using namespace fake;

class Exchange : public ExchangeTest {};

/* ---- success ---- */

TEST_F(Exchange, TargetGetsItsOwnKeyAndModel)
{
    Server up(answer);
    configure(config(target("a", up.port(), "KT_TEST_KEY_A", "mistral-large-latest")));
    Client k;
    size_t events_before_end = 0;
    k.at_end = [&] { events_before_end = event_lines().size(); };
    ask(k, post(chat("hello", ",\"temperature\":0.5"),
                "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n",
                "/v1/chat/completions?api-key=leak"));
    EXPECT_EQ(k.status, 200);
    EXPECT_EQ(k.body, kAnswer);
    EXPECT_EQ(k.headers["X-Request-Id"], "up-1");
    EXPECT_EQ(k.headers["x-kt-target"], "a");
    EXPECT_EQ(k.headers["x-kt-attempts"], "1");
    EXPECT_EQ(k.headers.count("Set-Cookie") + k.headers.count("Alt-Svc"), 0u);
    EXPECT_EQ(events_before_end, 1u) << "the event comes before the last byte";

    Request r = up.requests().at(0);
    EXPECT_EQ(r.target, "/v1/chat/completions");
    EXPECT_EQ(r.header("authorization"), "Bearer sk-target-a");
    EXPECT_EQ(r.header("openai-organization") + r.header("cookie"), "");
    EXPECT_EQ(r.header("user-agent").substr(0, 7), "ktwrap/");
    Json sent = parse(r.body);
    EXPECT_EQ(str(sent, "model"), "mistral-large-latest");
    EXPECT_EQ(str(sent, "messages.0.content"), "hello");
    EXPECT_EQ(num(sent, "temperature"), 0.5);

    Json e = event();
    EXPECT_EQ(str(e, "event_type"), "decision");
    EXPECT_EQ(str(e, "verdict"), "allow");
    EXPECT_EQ(str(e, "model"), "gpt-4o");
    EXPECT_EQ(str(e, "target"), "a");
    EXPECT_EQ(str(e, "upstream_model"), "mistral-large-latest");
    EXPECT_EQ(str(e, "path"), "/v1/chat/completions");
    EXPECT_EQ(str(e, "lane"), "divert");
    EXPECT_EQ(str(e, "attempts.0.outcome"), "ok");
    EXPECT_EQ(num(e, "attempts.0.status"), 200);
    EXPECT_EQ(num(e, "status"), 200);
    EXPECT_EQ(num(e, "usage.total_tokens"), 5);
    EXPECT_EQ(str(e, "config.name"), "test");
    EXPECT_EQ(str(e, "config.version"), "1.2.3");
    EXPECT_EQ(str(e, "config.sha256").size(), 64u);
    EXPECT_EQ(str(e, "trace_id"), "4bf92f3577b34da6a3ce929d0e0e4736");
    for (const char *secret : {"sk-", "leak", "hello"})
        EXPECT_EQ(event_lines()[0].find(secret), std::string::npos) << secret;
}

TEST_F(Exchange, RedactionReachesTheTarget)
{
    Server up(answer);
    configure(config(target("a", up.port(), "KT_TEST_KEY_A")), words());
    Client k;
    ask(k, post(chat("my SECRET is \\u00e9 SECRET", ",\"seed\":12345678901234567890")));
    EXPECT_EQ(k.status, 200);
    Json sent = parse(up.requests().at(0).body);
    EXPECT_EQ(str(sent, "messages.0.content"), "my [WORD_1] is \xc3\xa9 [WORD_1]");
    EXPECT_EQ(up.requests().at(0).body.find("SECRET"), std::string::npos);
    Json e = event();
    EXPECT_EQ(str(e, "verdict"), "redact");
    EXPECT_EQ(str(e, "reason_code"), "words.redacted");
    EXPECT_EQ(num(e, "policies.0.matches"), 2);
}

TEST_F(Exchange, ModelMapIsForTheFirstTargetsProvider)
{
    Server first([](Conn &c, const Request &) { return c.reply(500, "application/json", "{}"); });
    Server second(answer);
    std::string other = target("b", second.port(), "KT_TEST_KEY_B", "b-model");
    other.replace(other.find("provider: mistral"), 17, "provider: openai");
    configure(config(target("a", first.port(), "KT_TEST_KEY_A", "a-model") + other,
                     "model_map:\n  gpt-4o: mapped-model\n"));
    Client k;
    ask(k, post(chat("x")));
    EXPECT_EQ(str(parse(first.requests().at(0).body), "model"), "mapped-model");
    EXPECT_EQ(str(parse(second.requests().at(0).body), "model"), "b-model");
    EXPECT_EQ(str(event(), "attempts.0.model"), "mapped-model");
}

/* ---- block ---- */

TEST_F(Exchange, BlockedRequestNeverLeaves)
{
    Server up(answer);
    configure(config(target("a", up.port(), "KT_TEST_KEY_A")), words());
    Client k;
    ask(k, post(chat("FORBIDDEN fruit SECRET")));
    EXPECT_EQ(k.status, 409);
    EXPECT_EQ(k.headers["x-should-retry"], "false");
    EXPECT_EQ(k.headers["content-type"], "application/json");
    Json j = parse(k.body);
    EXPECT_EQ(str(j, "error.type"), "policy_violation");
    EXPECT_EQ(str(j, "error.code"), "input_blocked");
    EXPECT_EQ(str(j, "error.policy"), "test-words");
    EXPECT_EQ(str(j, "error.message"), "a forbidden word was found");
    EXPECT_TRUE(cJSON_IsNull(at(j.get(), "error.param")));
    EXPECT_EQ(up.connections(), 0u);
    Json e = event();
    EXPECT_EQ(str(e, "verdict"), "block");
    EXPECT_EQ(str(e, "reason_code"), "words.forbidden");
    EXPECT_EQ(num(e, "status"), 409);
    EXPECT_EQ(num(e, "policies.0.score"), 0.9);
}

TEST_F(Exchange, EscalationStopsTheCall)
{
    Server up(answer);
    configure(config(target("a", up.port(), "KT_TEST_KEY_A"), "block_status: 451\n"), words());
    Client k;
    ask(k, post(chat("ESCALATE")));
    EXPECT_EQ(k.status, 451);
    EXPECT_EQ(str(parse(k.body), "error.code"), "escalation_required");
    EXPECT_EQ(str(event(), "verdict"), "escalate");
    EXPECT_EQ(up.connections(), 0u);
}

TEST_F(Exchange, PolicyThatFails)
{
    Server up(answer);
    for (int mode : {KT_FAIL_BLOCK, KT_FAIL_ALLOW}) {
        configure(config(target("a", up.port(), "KT_TEST_KEY_A")), words(), KT_MODE_ENFORCE, mode);
        Client k;
        ask(k, post(chat("CRASH")));
        EXPECT_EQ(k.status, mode == KT_FAIL_BLOCK ? 503 : 200);
        EXPECT_EQ(up.requests().size(), mode == KT_FAIL_BLOCK ? 0u : 1u);
        EXPECT_EQ(str(event(mode == KT_FAIL_BLOCK ? 0 : 1), "reason_code"), "policy_error");
    }
}

TEST_F(Exchange, InvalidRequestIsOpenAiShaped)
{
    Server up(answer);
    configure(config(target("a", up.port(), "KT_TEST_KEY_A")), words());
    for (const char *body :
         {"", "not json", "[]", "{\"model\":\"m\"", "{\"model\":\"m\",\"model\":\"n\",\"messages\":[]}"}) {
        Client k;
        ask(k, post(body));
        EXPECT_EQ(k.status, 400) << body;
        EXPECT_EQ(str(parse(k.body), "error.type"), "invalid_request_error") << body;
        EXPECT_FALSE(str(parse(k.body), "error.message").empty()) << body;
    }
    EXPECT_EQ(up.connections(), 0u);
    EXPECT_EQ(str(event(0), "verdict"), "error");
}

/* ---- outside checks ---- */

TEST_F(Exchange, PendingPolicyIsAnswered)
{
    std::atomic<bool> refuse{false};
    Server up([&](Conn &c, const Request &r) {
        return r.target == "/v1/check"
                   ? c.reply(200, "application/json", refuse ? "{\"v\":\"bad\"}" : "{\"v\":\"good\"}")
                   : answer(c, r);
    });
    configure(config(target("a", up.port(), "KT_TEST_KEY_A")), words());
    Client good, bad;
    ask(good, post(chat("ASK then SECRET")));
    EXPECT_EQ(good.status, 200);
    Request check = up.requests().at(0);
    EXPECT_EQ(check.target, "/v1/check");
    EXPECT_EQ(check.body, "{\"input\":\"x\"}");
    EXPECT_EQ(check.header("authorization"), "Bearer sk-target-a");
    EXPECT_EQ(str(parse(up.requests().at(1).body), "messages.0.content"), "ASK then [WORD_1]");
    refuse = true;
    ask(bad, post(chat("ASK")));
    EXPECT_EQ(bad.status, 409);
    EXPECT_EQ(str(event(1), "reason_code"), "words.checked");
    EXPECT_EQ(up.requests().size(), 3u) << "the blocked one was only checked";
}

TEST_F(Exchange, PendingPolicyHearsOfFailures)
{
    DeadPort dead;
    configure(config(target("a", dead.port(), "KT_TEST_KEY_A")), words());
    for (const char *text : {"ASK", "ASK-NOBODY"}) {
        Client k;
        ask(k, post(chat(text)));
        EXPECT_EQ(k.status, 409) << text;
        EXPECT_EQ(str(parse(k.body), "error.message"), "the check could not be made");
    }
}

TEST_F(Exchange, PendingWithoutEndIsStopped)
{
    Server up([](Conn &c, const Request &) { return c.reply(200, "application/json", "again"); });
    configure(config(target("a", up.port(), "KT_TEST_KEY_A")), words());
    Client k;
    ask(k, post(chat("ASK")));
    EXPECT_EQ(k.status, 503);
    EXPECT_LE(up.requests().size(), 64u);
}

/* ---- the client ---- */

TEST_F(Exchange, ClientGoneCancelsTheTarget)
{
    Gate gone;
    Server up([&](Conn &c, const Request &) {
        if (c.peer_gone())
            gone.open();
        return false;
    });
    configure(config(target("a", up.port(), "KT_TEST_KEY_A") + target("b", up.port(), "KT_TEST_KEY_B")));
    Client k;
    start(k, post(chat("x")));
    ASSERT_TRUE(up.wait_requests(1));
    on_loop([&] { kt_exchange_client_gone(k.x); });
    EXPECT_TRUE(gone.wait());
    EXPECT_EQ(str(event(), "error"), "client_gone");
    EXPECT_EQ(up.requests().size(), 1u) << "no fallback for nobody";
    EXPECT_FALSE(k.over());
}

TEST_F(Exchange, PreparedButNeverStarted)
{
    configure(config(""), words());
    kt_request r = read_request(post(chat("a SECRET")));
    kt_exchange_origin origin = {"h", 443, true, "handoff", false, nullptr};
    kt_exchange *x = nullptr;
    ASSERT_TRUE(kt_is_ok(kt_exchange_new(&ctx, &r, &origin, &x)));
    EXPECT_EQ(r.head.data, nullptr) << "the request was taken";
    kt_exchange_prepare(x);
    kt_exchange_free(x);
}

TEST_F(Exchange, ManyAtOnce)
{
    Server up(answer);
    configure(config(target("a", up.port(), "KT_TEST_KEY_A")), words());
    std::vector<std::unique_ptr<Client>> all;
    for (int i = 0; i < 60; i++) {
        all.push_back(std::make_unique<Client>());
        start(*all.back(), post(chat("SECRET " + std::to_string(i))));
    }
    for (auto &k : all) {
        ASSERT_TRUE(k->wait_over());
        EXPECT_EQ(k->status, 200);
    }
    on_loop([] {});
    EXPECT_EQ(event_lines().size(), 60u);
}

} // namespace
