/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a policy's own failure does to a call: every built-in kind that can fail, in a request, a whole
 * answer, a stream in front of its first word and in its middle, under every on_internal_error, fail_mode and
 * mode.
 */
#include "exchange_failing.hpp"

using namespace failing_policy;

namespace {

using OnInternalError = FailingPolicy;

struct Kind {
    const char *kind, *options;
    bool request, response, tool;
};
const Kind kinds[] = {
    {"prompt-injection", "", true, false, false},
    {"pii-detector", "", true, true, false},
    {"pii-detector", "redaction: {restore: true}", true, true, false},
    {"dlp-filter", "blocked_terms: [nothing of it]", true, true, false},
    {"safety-filter", "", true, true, false},
    {"quality-scorer", "assertions: [{type: not-contains, value: heron}]", false, true, false},
    {"quality-scorer", "assertions: [{type: not-is-json}]", false, true, false},
    {"language-validator", "blocked_languages: [ja], check_responses: true", true, true, false},
    {"agent-firewall", "blocked_tools: [rm]", true, false, true},
};

TEST_F(OnInternalError, OfEveryKindThatRunsOutOfMemory)
{
    for (const Kind &kind : kinds)
        for (const Setting &s : settings)
            for (Place where : {REQUEST, ANSWER, STREAM_FIRST, STREAM_MIDDLE}) {
                if (!(where == REQUEST ? kind.request : kind.response))
                    continue;
                chain_of(kind.kind, kind.options, s, failing(kind.kind, where), here(target_.port()));
                where_ = where;
                one(kind.kind, s, where,
                    std::string(kind.kind) + ", " + place_names[where] + ", '" + s.name + "', fail_mode " +
                        std::to_string(s.fail_mode) + ", mode " + std::to_string(s.mode) + ": ",
                    kind.tool);
            }
}

TEST_F(OnInternalError, OfAKindThatFailsAtTheEndOfAStream)
{
    for (const Setting &s : settings) {
        chain_of("pii-detector", "", s, failing("pii-detector", STREAM_END), here(target_.port()));
        where_ = STREAM_END;
        Client k;
        ask(k, post(request(STREAM_END, "", false)));
        told("pii-detector", s, s.name);
        EXPECT_EQ(k.status, 200);
        EXPECT_NE(k.body.find("tail"), std::string::npos) << "it has been looked at, and gone";
        EXPECT_EQ(k.body.find("\"policy_failed\"") != std::string::npos, s.blocks) << k.body;
        EXPECT_EQ(k.body.find("\"content_filter\"") != std::string::npos, s.blocks)
            << "the stop is taken back";
        if (s.mode == KT_MODE_OBSERVE) {
            EXPECT_EQ(k.body, said_);
        }
    }
}

TEST_F(OnInternalError, OfEveryKindThatCannotStart)
{
    for (const Kind &kind : kinds)
        for (const Setting &s : settings) {
            if (!kind.request)
                continue;
            chain_of(kind.kind, kind.options, s, failing(kind.kind, REQUEST), here(target_.port()));
            where_ = REQUEST;
            cannot_start = true;
            one(kind.kind, s, REQUEST, std::string(kind.kind) + " cannot start, '" + s.name + "': ");
            cannot_start = false;
        }
}

/* ---- what no policy can look at ---- */

TEST_F(OnInternalError, OfAnAnswerThatNobodyCanRead)
{
    for (const Setting &s : settings) {
        chain_of("pii-detector", "", s, nullptr, target("a", up_.port(), "KT_TEST_KEY_A"));
        origin_port = up_.port();
        Client k;
        through(k, "{\"choices\":[1]}");
        bool blocks = s.mode == KT_MODE_ENFORCE && (s.fail_mode == KT_FAIL_BLOCK || *s.name == 'b');
        EXPECT_EQ(k.status, blocks ? 502 : 200) << s.name << s.fail_mode << s.mode;
        EXPECT_EQ(str(event(event_lines().size() - 1), "error"), "unreadable_answer");
    }
}

TEST_F(OnInternalError, OfTokensInsteadOfText)
{
    for (const Setting &s : settings) {
        chain_of("pii-detector", "", s, nullptr, target("a", up_.port(), "KT_TEST_KEY_A"));
        origin_port = up_.port();
        Client k;
        through(k, "{\"data\":[]}", R"({"model":"m","input":[1,2]})", "/v1/embeddings");
        bool blocks = s.mode == KT_MODE_ENFORCE && (s.fail_mode == KT_FAIL_BLOCK || *s.name == 'b');
        EXPECT_EQ(k.status == 400, blocks) << s.name << s.fail_mode << s.mode << k.body;
    }
}

/* They look at names, or at nothing: a text that nobody can read is none of theirs. */
TEST_F(OnInternalError, OfAPolicyThatLooksAtNoTextAnyway)
{
    for (const char *own : {"audit-logger: {on_internal_error: block}",
                            "agent-firewall: {blocked_tools: [rm], on_internal_error: block}"}) {
        const std::string kind(own, strchr(own, ':'));
        std::string yaml =
            config(target("a", up_.port(), "KT_TEST_KEY_A"), std::string("policy:\n  ") + own + "\n");
        yaml.replace(yaml.find("chain: []"), 9, "chain: [" + kind + "]");
        configure(yaml, nullptr, KT_MODE_ENFORCE, KT_FAIL_ALLOW);
        Client k;
        through(k, "{\"data\":[]}", R"({"model":"m","input":[1,2]})", "/v1/embeddings");
        EXPECT_EQ(k.status, 200) << own << k.body;
        Client answer; /* but it may call a tool */
        through(answer, "{\"choices\":[1]}");
        EXPECT_EQ(answer.status, kind == "agent-firewall" ? 502 : 200) << own << answer.body;
    }
}

/* A text that a policy did not look at is kept in no event as if it had. */
TEST_F(OnInternalError, KeepsNoTextAsRedacted)
{
    std::string yaml = config(target("a", target_.port(), "KT_TEST_KEY_A"),
                              "policy:\n  dlp-filter: {on_internal_error: allow, blocked_terms: [heron]}\n"
                              "  pii-detector: {}\naudit: {capture: redacted}\n");
    yaml.replace(yaml.find("chain: []"), 9, "chain: [dlp-filter, pii-detector]");
    for (const char *text : {"a heron, bob@example.org", "KABOOM a heron, bob@example.org"}) {
        configure(yaml);
        runtime->config->chain[0].policy = failing("dlp-filter", REQUEST);
        kt_chain_free(runtime->chain);
        kt_error err = {};
        ASSERT_TRUE(kt_is_ok(kt_chain_new(runtime->config, &runtime->chain, &err)));
        Client k;
        ask(k, post(chat(text)));
        EXPECT_EQ(k.status, 200);
        EXPECT_NE(chats_.back().find("[EMAIL_1]"), std::string::npos) << "the others go on";
    }
    EXPECT_NE(event_lines().at(0).find("[TERM_1]"), std::string::npos);
    EXPECT_EQ(str(event(1), "verdict"), "redact");
    EXPECT_EQ(str(event(1), "error"), "policy_error");
    EXPECT_EQ(event_lines().at(1).find("heron"), std::string::npos);
}

/* A policy of a test that asks, and asks again. */
TEST_F(OnInternalError, OfAPolicyThatAsksWithoutEnd)
{
    check_ = "again";
    for (int mode : {KT_FAIL_BLOCK, KT_FAIL_ALLOW})
        for (bool stream : {false, true}) {
            guarded(KT_MODE_ENFORCE, mode);
            type_ = stream ? "text/event-stream" : "application/json";
            Client k;
            through(k,
                    stream ? kRole + delta("ASK for it") + delta("", "\"stop\"") + kDone
                           : completion({says("ASK for it")}),
                    chat("hello", stream ? ",\"stream\":true" : ""));
            EXPECT_EQ(k.status, mode == KT_FAIL_BLOCK ? 503 : 200) << k.body;
            EXPECT_EQ(k.body.find("for it") != std::string::npos, mode == KT_FAIL_ALLOW) << k.body;
            EXPECT_EQ(str(event(event_lines().size() - 1), "error"), "policy_error");
        }
}

} // namespace
