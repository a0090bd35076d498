/* SPDX-License-Identifier: Apache-2.0 */
/* Targets that policies exclude, and the endpoints that are no chat. */
#include "exchange_guard.hpp"

namespace {

using namespace fake;

class Endpoints : public GuardTest {};

/* ---- data routing ---- */

TEST_F(Endpoints, TargetsThatAPolicyExcludesAreSkipped)
{
    Server never(answer);
    text_ = kAnswer;
    configure(
        config(target("far", never.port(), "KT_TEST_KEY_A") + target("near", up_.port(), "KT_TEST_KEY_B")),
        guard());
    Client k;
    ask(k, post(chat("x")));
    EXPECT_EQ(k.status, 200);
    EXPECT_EQ(never.connections(), 0u);
    EXPECT_EQ(k.headers["x-kt-attempts"], "1") << "what was excluded was not tried";
    Json e = event();
    EXPECT_EQ(str(e, "attempts.0.target"), "far");
    EXPECT_EQ(str(e, "attempts.0.outcome"), "excluded");
    EXPECT_EQ(str(e, "attempts.0.detail"), "guard.far_away");
    EXPECT_EQ(str(e, "attempts.1.outcome"), "ok");
    EXPECT_EQ(str(e, "target"), "near");
    EXPECT_EQ(str(e, "verdict"), "allow");
}

TEST_F(Endpoints, NoTargetLeftBlocksOrWarns)
{
    static kt_policy warns = *guard();
    warns.admits_none_warns = [](const void *) { return true; };
    text_ = kAnswer;
    const std::string targets =
        target("far1", up_.port(), "KT_TEST_KEY_A") + target("far2", up_.port(), "KT_TEST_KEY_B");
    configure(config(targets), guard());
    Client k;
    ask(k, post(chat("x")));
    EXPECT_EQ(k.status, 409);
    EXPECT_EQ(k.headers["x-should-retry"], "false");
    EXPECT_EQ(str(parse(k.body), "error.type"), "policy_violation");
    EXPECT_EQ(str(parse(k.body), "error.code"), "input_blocked");
    EXPECT_EQ(str(parse(k.body), "error.policy"), "test-guard");
    EXPECT_EQ(up_.connections(), 0u);
    Json e = event();
    EXPECT_EQ(str(e, "verdict"), "block");
    EXPECT_EQ(str(e, "reason_code"), "guard.far_away");
    EXPECT_EQ(str(e, "attempts.1.outcome"), "excluded");
    EXPECT_EQ(str(e, "policies.0.verdict"), "block");
    configure(config(targets), &warns);
    Client w;
    ask(w, post(chat("x")));
    EXPECT_EQ(w.status, 200);
    EXPECT_EQ(str(event(1), "target"), "far1");
}

TEST_F(Endpoints, OutsideChecksGoToAdmittedTargetsOnly)
{
    Server never(answer);
    text_ = kAnswer;
    configure(
        config(target("far", never.port(), "KT_TEST_KEY_A") + target("near", up_.port(), "KT_TEST_KEY_B")),
        guard());
    Client k;
    ask(k, post(chat("ASK")));
    EXPECT_EQ(k.status, 200);
    EXPECT_EQ(never.connections(), 0u);
    EXPECT_EQ(up_.requests().at(0).target, "/v1/check");
}

/* ---- other endpoints ---- */

TEST_F(Endpoints, PlainTextEndpoints)
{
    guarded();
    Client c, f, e, m;
    through(c, completion({says("it is SECRET for [NAME_1]")}),
            "{\"model\":\"gpt\",\"prompt\":[\"<Bob> SECRET\"],\"suffix\":\"SECRET\",\"logprobs\":1}",
            "/v1/completions");
    EXPECT_EQ(c.status, 200) << c.body;
    Request r = up_.requests().at(0);
    EXPECT_EQ(r.target, "/v1/fim/completions") << "Mistral has no other";
    EXPECT_EQ(str(parse(r.body), "prompt"), "[NAME_1] [WORD_1]");
    EXPECT_EQ(str(parse(r.body), "suffix"), "[WORD_1]");
    EXPECT_EQ(str(parse(r.body), "model"), "a-model");
    EXPECT_EQ(at(parse(r.body).get(), "logprobs"), nullptr);
    EXPECT_EQ(str(parse(c.body), "choices.0.text"), "it is [WORD_1] for <Bob>");
    EXPECT_EQ(str(parse(c.body), "object"), "text_completion");
    through(f, completion({says("SECRET")}), "{\"model\":\"m\",\"prompt\":\"p SECRET\",\"suffix\":null}",
            "/v1/fim/completions");
    EXPECT_EQ(str(parse(f.body), "choices.0.message.content"), "[WORD_1]");
    EXPECT_EQ(str(parse(up_.requests().at(1).body), "prompt"), "p [WORD_1]");
    through(e, "{\"data\":[{\"embedding\":[0.5]}]}",
            "{\"model\":\"m\",\"input\":[\"a SECRET\",\"b\"],\"user\":\"u\",\"dimensions\":4}",
            "/v1/embeddings");
    EXPECT_EQ(e.status, 200);
    EXPECT_EQ(e.body, "{\"data\":[{\"embedding\":[0.5]}]}");
    EXPECT_EQ(up_.requests().at(2).target, "/v1/embeddings");
    Json sent = parse(up_.requests().at(2).body);
    EXPECT_EQ(str(sent, "input.0"), "a [WORD_1]");
    EXPECT_EQ(num(sent, "output_dimension"), 4);
    EXPECT_EQ(at(sent.get(), "user"), nullptr);
    through(m, "{\"results\":[]}", "{\"input\":\"SECRET\"}", "/v1/moderations");
    EXPECT_EQ(str(parse(up_.requests().at(3).body), "input"), "[WORD_1]");
    EXPECT_EQ(str(event(3), "path"), "/v1/moderations");
}

std::string get(const std::string &path)
{
    return "GET " + path + " HTTP/1.1\r\nHost: api.openai.com\r\nAuthorization: Bearer sk-program\r\n\r\n";
}

TEST_F(Endpoints, ModelsAreTheTargets)
{
    configure(config(target("a", up_.port(), "KT_TEST_KEY_A") + target("b", up_.port(), "KT_TEST_KEY_B"),
                     "model_map: {gpt-4o: mistral-large-latest}\n"),
              guard());
    Client k, one, other;
    ask(k, get("/v1/models"));
    EXPECT_EQ(k.status, 200) << k.body;
    EXPECT_EQ(k.headers.count("x-should-retry"), 0u);
    Json list = parse(k.body);
    EXPECT_EQ(str(list, "object"), "list");
    EXPECT_EQ(str(list, "data.0.id"), "gpt-4o");
    EXPECT_EQ(str(list, "data.0.object"), "model");
    EXPECT_EQ(str(list, "data.0.owned_by"), "mistral");
    EXPECT_EQ(str(list, "data.1.id"), "a-model");
    EXPECT_EQ(str(list, "data.2.id"), "b-model");
    EXPECT_EQ(at(list.get(), "data.3"), nullptr);
    EXPECT_EQ(str(event(0), "verdict"), "allow");
    EXPECT_EQ(num(event(0), "status"), 200);
    ask(one, get("/v1/models/b-model"));
    EXPECT_EQ(str(parse(one.body), "id"), "b-model");
    ask(other, get("/v1/models/any%22thing"));
    EXPECT_EQ(str(parse(other.body), "id"), "any\"thing");
    EXPECT_EQ(up_.connections(), 0u);
}

TEST_F(Endpoints, HeadersOfOursCanBeSwitchedOff)
{
    text_ = kAnswer;
    for (bool on : {true, false}) {
        configure(config(target("a", up_.port(), "KT_TEST_KEY_A"), on ? "" : "response_headers: false\n"),
                  guard());
        Client k, refused;
        ask(k, post(chat("x")));
        EXPECT_EQ(k.status, 200);
        for (const char *name : {"x-kt-request-id", "x-kt-target", "x-kt-attempts"})
            EXPECT_EQ(k.headers.count(name), on ? 1u : 0u) << name;
    }
}

TEST_F(Endpoints, TokenIdsAreNoText)
{
    const char *const inputs[] = {"[1,2,3]", "[[1,2],[3]]", "[\"text\",7]"};
    size_t n = 0;
    for (int mode : {KT_FAIL_BLOCK, KT_FAIL_ALLOW}) {
        guarded(KT_MODE_ENFORCE, mode);
        for (const char *input : inputs) {
            Client k;
            through(k, "{\"data\":[]}", std::string("{\"model\":\"m\",\"input\":") + input + "}",
                    "/v1/embeddings");
            EXPECT_EQ(k.status, mode == KT_FAIL_BLOCK ? 400 : 200) << input;
            EXPECT_EQ(str(event(n), "error"), "unreadable_input");
            EXPECT_EQ(str(event(n++), "verdict"), mode == KT_FAIL_BLOCK ? "block" : "allow");
        }
    }
    configure(config(target("a", up_.port(), "KT_TEST_KEY_A")));
    Client k;
    through(k, "{\"data\":[]}", "{\"model\":\"m\",\"input\":[1,2]}", "/v1/embeddings");
    EXPECT_EQ(k.status, 200) << "no policy, nothing unread";
    EXPECT_EQ(str(event(n), "error"), "");
}

TEST_F(Endpoints, WithoutResponsePoliciesNothingIsLookedAt)
{
    configure(config(target("a", up_.port(), "KT_TEST_KEY_A")), words());
    Client k;
    through(k, "{\"choices\":[{\"no\":\"text, FORBIDDEN\"}]}");
    EXPECT_EQ(k.status, 200);
    EXPECT_EQ(k.body, "{\"choices\":[{\"no\":\"text, FORBIDDEN\"}]}");
    EXPECT_EQ(at(event().get(), "policies.1"), nullptr);
}

} // namespace
