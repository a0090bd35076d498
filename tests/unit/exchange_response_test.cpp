/* SPDX-License-Identifier: Apache-2.0 */
/* The response phase over whole answers, values for their placeholders, tools. */
#include "exchange_guard.hpp"

namespace {

using namespace fake;

class Response : public GuardTest {};

TEST_F(Response, RedactsEveryTextOfEveryChoiceAndNothingElse)
{
    guarded();
    Client k;
    const std::string call =
        "\"tool_calls\":[{\"id\":\"t1\",\"type\":\"function\",\"function\":{\"name\":\"ls\","
        "\"arguments\":\"{\\\"p\\\":\\\"SECRET\\\\n\\\"}\"}}]";
    std::string body = completion(
        {says("a SECRET\n\"b\""), "\"content\":null," + call,
         "\"content\":[{\"type\":\"text\",\"text\":\"p SECRET\"},{\"type\":\"thinking\","
         "\"thinking\":[{\"type\":\"text\",\"text\":\"SECRET t\"}]}]",
         says("nothing") + ",\"reasoning_content\":\"r SECRET\",\"refusal\":\"f SECRET\"", says("plain")},
        ",\"x_unknown\":12345678901234567890.10");
    through(k, body);
    EXPECT_EQ(k.status, 200) << k.body;
    std::string want = body;
    // Mistral's list of content is a text to OpenAI's clients; a thought behind it has no place there.
    const std::string list =
        "\"content\":[{\"type\":\"text\",\"text\":\"p "
        "SECRET\"},{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"SECRET t\"}]}]";
    want.replace(want.find(list), list.size(), "\"content\":\"p SECRET\"");
    size_t changed = 0;
    for (size_t i = want.find("SECRET"); i != std::string::npos; i = want.find("SECRET"), changed++)
        want.replace(i, 6, "[WORD_1]");
    EXPECT_EQ(changed, 5u);
    // Log probabilities of choices that changed are gone; those of the last one stay.
    const std::string log = "{\"content\":[{\"token\":\"SEC\"}]}";
    for (size_t i; (i = want.find(log)) != std::string::npos;)
        want.replace(i, log.size(), "null");
    EXPECT_EQ(k.body, want);
    EXPECT_EQ(k.headers["X-Request-Id"], "up-1");
    EXPECT_EQ(k.headers["x-kt-target"], "a");
    Json e = event();
    EXPECT_EQ(str(e, "verdict"), "redact");
    EXPECT_EQ(str(e, "reason_code"), "words.redacted");
    EXPECT_EQ(str(e, "policies.0.phase"), "request");
    EXPECT_EQ(str(e, "policies.0.verdict"), "allow");
    EXPECT_EQ(str(e, "policies.1.phase"), "response");
    EXPECT_EQ(str(e, "policies.1.verdict"), "redact");
    EXPECT_EQ(num(e, "policies.1.matches"), 6);
    EXPECT_EQ(num(e, "usage.total_tokens"), 2);
    EXPECT_EQ(event_lines().size(), 1u);
}

TEST_F(Response, UntouchedAnswersKeepTheirBytes)
{
    guarded();
    Client k;
    std::string body = " {\"choices\" : [ {\"message\":{\"content\":\"\\u0061\\/\"}} ]\n}\n";
    through(k, body);
    EXPECT_EQ(k.body, body);
    EXPECT_EQ(str(event(), "verdict"), "allow");
}

TEST_F(Response, BlocksWithoutAWordOfTheText)
{
    guarded(KT_MODE_ENFORCE, KT_FAIL_BLOCK, "block_status: 451\n");
    Client k;
    through(k, completion({says("fine"), says("very FORBIDDEN fruit")}));
    EXPECT_EQ(k.status, 451);
    EXPECT_EQ(k.headers["x-should-retry"], "false");
    Json j = parse(k.body);
    EXPECT_EQ(str(j, "error.code"), "output_blocked");
    EXPECT_EQ(str(j, "error.type"), "policy_violation");
    EXPECT_EQ(str(j, "error.policy"), "test-guard");
    EXPECT_EQ(k.body.find("fruit"), std::string::npos);
    Json e = event();
    EXPECT_EQ(str(e, "verdict"), "block");
    EXPECT_EQ(str(e, "reason_code"), "words.forbidden");
    EXPECT_EQ(str(e, "attempts.0.outcome"), "ok");
    EXPECT_EQ(str(e, "target"), "a");
    EXPECT_EQ(num(e, "status"), 451);
    EXPECT_EQ(num(e, "usage.total_tokens"), 2) << "it was paid for";
    Client esc;
    through(esc, completion({says("ESCALATE")}));
    EXPECT_EQ(str(parse(esc.body), "error.code"), "escalation_required");
    EXPECT_EQ(str(event(1), "verdict"), "escalate");
}

TEST_F(Response, TheGraverPhaseNamesTheReason)
{
    guarded();
    Client k;
    through(k, completion({says("fine")}), chat("my SECRET"));
    EXPECT_EQ(str(event(0), "verdict"), "redact");
    Client b;
    through(b, completion({says("FORBIDDEN")}), chat("my SECRET"));
    EXPECT_EQ(str(event(1), "verdict"), "block");
    EXPECT_EQ(str(event(1), "reason_code"), "words.forbidden");
}

TEST_F(Response, ToolsOfBothPhases)
{
    guarded();
    const char tools[] =
        ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"%s\",\"description\":\"d\"}}]";
    char more[200];
    snprintf(more, sizeof more, tools, "rm");
    Client offered;
    through(offered, completion({says("x")}), chat("hi", more));
    EXPECT_EQ(offered.status, 409);
    EXPECT_EQ(str(event(0), "reason_code"), "guard.offered");
    Client called;
    through(called,
            completion({"\"content\":null,\"tool_calls\":[{\"id\":\"1\",\"type\":\"function\",\"function\":{"
                        "\"name\":\"r\\u006d\",\"arguments\":\"{}\"}}]"}));
    EXPECT_EQ(called.status, 409);
    EXPECT_EQ(str(parse(called.body), "error.code"), "output_blocked");
    EXPECT_EQ(str(event(1), "reason_code"), "guard.called");
    Client history;
    through(history, completion({says("x")}),
            "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"content\":null,\"function_call\":{"
            "\"name\":\"rm\","
            "\"arguments\":\"{}\"}}]}");
    EXPECT_EQ(history.status, 409);
    Client fine;
    snprintf(more, sizeof more, tools, "ls");
    through(fine, completion({says("x")}), chat("hi", more));
    EXPECT_EQ(fine.status, 200);
}

/* ---- values for their placeholders ---- */

TEST_F(Response, RestoresWhatTheRequestCarried)
{
    guarded();
    Client k;
    const std::string call =
        ",\"tool_calls\":[{\"id\":\"t\",\"type\":\"function\",\"function\":{\"name\":\"ls\","
        "\"arguments\":\"{\\\"to\\\":\\\"[NAME_1]\\\",\\\"n\\\":[name 2]}\"}}]";
    through(k, completion({says("Dear **[name 1]**, (NAME_2) and [NAME_3]; not [NAME_9]") + call}),
            chat("<Bob \\\"B\\\">, <Al\\\\>, [NAME_1]"));
    EXPECT_EQ(k.status, 200) << k.body;
    std::string sent = str(parse(up_.requests().at(0).body), "messages.0.content");
    EXPECT_EQ(sent, "[NAME_2], [NAME_3], [NAME_1]") << "what the user quotes is nobody's name";
    Json j = parse(k.body);
    EXPECT_EQ(str(j, "choices.0.message.content"),
              "Dear **[name 1]**, (<Bob \"B\">) and <Al\\>; not [NAME_9]");
    Json args = parse(str(j, "choices.0.message.tool_calls.0.function.arguments"));
    ASSERT_NE(args, nullptr) << "still JSON";
    EXPECT_EQ(str(args, "to"), "[NAME_1]");
    EXPECT_EQ(str(args, "n"), "<Bob \"B\">") << "quotes where there were none";
}

TEST_F(Response, WhatTheAnswerBringsIsRedactedAndStays)
{
    guarded();
    Client k;
    through(k, completion({says("[NAME_1] and <Carl> and <Bob>")}), chat("I am <Bob>"));
    EXPECT_EQ(str(parse(k.body), "choices.0.message.content"), "<Bob> and [NAME_2] and <Bob>")
        << "Bob is the program's own";
}

TEST_F(Response, NumbersStayWhenTheClientDropsOldMessages)
{
    guarded();
    Client first, second;
    const std::string kept = R"({"role":"user","content":"<Yves>: what else is there to know?"},)"
                             R"({"role":"assistant","content":"x"},{"role":"user","content":"go on"})";
    auto body = [&](const std::string &in_front, const std::string &behind) {
        return R"({"model":"m","messages":[)" + in_front + kept + behind + "]}";
    };
    through(
        first, completion({says("y")}),
        body(R"({"role":"user","content":"<Zoe> and <Yves>"},{"role":"assistant","content":"well"},)", ""));
    EXPECT_EQ(str(parse(up_.requests().at(0).body), "messages.0.content"), "[NAME_1] and [NAME_2]");
    through(second, completion({says("hello [NAME_2]")}),
            body("", R"(,{"role":"assistant","content":"y"},{"role":"user","content":"and <Xaver>"})"));
    EXPECT_EQ(str(parse(up_.requests().at(1).body), "messages.0.content"),
              "[NAME_2]: what else is there to know?");
    EXPECT_EQ(str(parse(up_.requests().at(1).body), "messages.4.content"), "and [NAME_3]");
    EXPECT_EQ(str(parse(second.body), "choices.0.message.content"), "hello <Yves>");
}

/* ---- failures ---- */

TEST_F(Response, AnAnswerThatNobodyCanReadFollowsFailMode)
{
    const char *const bodies[] = {
        "{\"choices\":[1]}",
        "{\"choices\":[1],\"choices\":[{\"message\":{\"content\":\"FORBIDDEN\"}}]}",
        "{\"choices\":[{\"message\":{\"content\":\"a\",\"content\":\"FORBIDDEN\"}}]}",
    };
    size_t n = 0;
    for (int mode : {KT_FAIL_BLOCK, KT_FAIL_ALLOW}) {
        guarded(KT_MODE_ENFORCE, mode);
        for (const char *body : bodies) {
            Client k;
            through(k, body);
            EXPECT_EQ(k.status, mode == KT_FAIL_BLOCK ? 502 : 200) << body;
            EXPECT_EQ(str(event(n), "error"), "unreadable_answer");
            EXPECT_EQ(str(event(n++), "verdict"), mode == KT_FAIL_BLOCK ? "error" : "allow");
            if (mode == KT_FAIL_BLOCK) {
                EXPECT_EQ(str(parse(k.body), "error.code"), "unreadable_answer");
            } else {
                EXPECT_EQ(k.body, body);
            }
        }
    }
}

TEST_F(Response, APolicyThatFailsFollowsFailModeAndTheOthersGoOn)
{
    for (int mode : {KT_FAIL_BLOCK, KT_FAIL_ALLOW}) {
        guarded(KT_MODE_ENFORCE, mode);
        Client k;
        through(k, completion({says("CRASH and SECRET")}));
        EXPECT_EQ(k.status, mode == KT_FAIL_BLOCK ? 503 : 200);
        if (mode == KT_FAIL_ALLOW) {
            EXPECT_EQ(str(parse(k.body), "choices.0.message.content"), "CRASH and [WORD_1]");
        }
    }
    EXPECT_EQ(str(event(0), "policies.1.verdict"), "error");
    EXPECT_EQ(str(event(0), "verdict"), "error");
    EXPECT_EQ(str(event(1), "error"), "policy_error");
}

TEST_F(Response, OnInternalErrorGoesBeforeFailMode)
{
    guarded(KT_MODE_ENFORCE, KT_FAIL_ALLOW);
    runtime->config->chain[0].on_internal_error = KT_ON_ERROR_BLOCK;
    kt_chain_free(runtime->chain);
    kt_error err = {};
    ASSERT_TRUE(kt_is_ok(kt_chain_new(runtime->config, &runtime->chain, &err)));
    Client k;
    through(k, completion({says("CRASH")}));
    EXPECT_EQ(k.status, 503);
}

TEST_F(Response, PendingPolicies)
{
    guarded();
    Client good, bad;
    through(good, completion({says("ASK for SECRET")}));
    EXPECT_EQ(good.status, 200);
    EXPECT_EQ(str(parse(good.body), "choices.0.message.content"), "ASK for [WORD_1]");
    EXPECT_EQ(up_.requests().at(1).target, "/v1/check");
    check_ = "{\"v\":\"bad\"}";
    through(bad, completion({says("ASK")}));
    EXPECT_EQ(bad.status, 409);
    EXPECT_EQ(str(parse(bad.body), "error.code"), "output_blocked");
    check_ = "again";
    Client endless;
    through(endless, completion({says("ASK")}));
    EXPECT_EQ(endless.status, 503);
}

TEST_F(Response, ClientGoneWhileAPolicyAsks)
{
    Gate asked, go;
    Server check([&](Conn &c, const Request &r) {
        if (r.target != "/v1/check")
            return c.reply(200, "application/json", completion({says("ASK")}));
        asked.open();
        go.wait();
        return false;
    });
    configure(config(target("a", check.port(), "KT_TEST_KEY_A")), guard());
    Client k;
    start(k, post(chat("x")));
    ASSERT_TRUE(asked.wait());
    on_loop([&] { kt_exchange_client_gone(k.x); });
    go.open();
    EXPECT_EQ(str(event(), "error"), "client_gone");
    EXPECT_FALSE(k.over());
}

/* ---- the origin ---- */

TEST_F(Response, OfTheOriginToo)
{
    origin_port = up_.port();
    configure(config(""), guard());
    Client k;
    through(k, completion({says("a SECRET for [NAME_1]")}), chat("<Bob>"));
    EXPECT_EQ(k.status, 200);
    EXPECT_EQ(str(parse(k.body), "choices.0.message.content"), "a [WORD_1] for <Bob>");
    EXPECT_EQ(k.headers.count("x-kt-target"), 0u);
    Client b;
    through(b, completion({says("FORBIDDEN")}));
    EXPECT_EQ(b.status, 409);
    EXPECT_EQ(str(event(1), "verdict"), "block");
    type_ = "text/plain";
    Client plain;
    through(plain, "FORBIDDEN words, not JSON");
    EXPECT_EQ(plain.status, 502);
    EXPECT_EQ(str(event(2), "error"), "unreadable_answer");
}

TEST_F(Response, AnOriginsAnswerThatIsTooLarge)
{
    origin_port = up_.port();
    for (int mode : {KT_FAIL_BLOCK, KT_FAIL_ALLOW}) {
        configure(config("", "limits:\n  max_response_bytes: 2000\n"), guard(), KT_MODE_ENFORCE, mode);
        Client k;
        std::string body = completion({says(std::string(300000, 'x'))});
        through(k, body);
        EXPECT_EQ(k.status, mode == KT_FAIL_BLOCK ? 502 : 200);
        if (mode == KT_FAIL_ALLOW) {
            EXPECT_EQ(k.body, body);
        }
    }
    EXPECT_EQ(str(event(0), "error"), "unreadable_answer");
    EXPECT_EQ(str(event(1), "error"), "unreadable_answer");
}

TEST_F(Response, ObserveChangesNothingAndSaysWhatWouldBe)
{
    origin_port = up_.port();
    guarded(KT_MODE_OBSERVE);
    Client k, p;
    std::string body = completion({says("a SECRET for [NAME_1], FORBIDDEN")});
    through(k, body, chat("<Bob>"));
    EXPECT_EQ(k.body, body);
    Json e = event();
    EXPECT_EQ(str(e, "verdict"), "allow");
    EXPECT_EQ(str(e, "would_verdict"), "block");
    EXPECT_EQ(str(e, "reason_code"), "words.forbidden");
    EXPECT_EQ(str(e, "policies.1.phase"), "response");
    EXPECT_EQ(str(parse(up_.requests().at(0).body), "messages.0.content"), "<Bob>");
    through(p, completion({says("ASK")}));
    EXPECT_EQ(p.status, 200) << "an outside check delays the last byte only";
    EXPECT_TRUE(p.ended);
    EXPECT_EQ(event_lines().size(), 2u);
}

TEST_F(Response, AChoiceWithoutAWordIsJudgedAsTheEmptyText)
{
    std::string y = config(target("a", up_.port(), "KT_TEST_KEY_A"),
                           "policy:\n  quality-scorer: {min_output_chars: 1}\n");
    configure(y.replace(y.find("chain: []"), 9, "chain: [quality-scorer]"));
    const std::string call = "\"tool_calls\":[{\"id\":\"1\",\"type\":\"function\",\"function\":{\"name\":"
                             "\"ls\",\"arguments\":\"\"}}]";
    const struct {
        std::vector<std::string> messages;
        int status;
    } all[] = {
        {{says("")}, 409},
        {{"\"content\":null"}, 409},
        {{"\"content\":null,\"tool_calls\":[]"}, 409},
        {{"\"content\":[]"}, 409},
        {{"\"content\":\"\",\"reasoning_content\":\"hm\""}, 409},
        {{says("a"), says("")}, 409},
        {{"\"content\":null," + call}, 200},
        {{"\"content\":\"\"," + call, says("a")}, 200},
        {{says("a")}, 200},
    };
    for (auto &one : all) {
        Client k;
        through(k, completion(one.messages));
        EXPECT_EQ(k.status, one.status) << completion(one.messages);
    }
}

} // namespace
