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

TEST_F(Endpoints, AChatTargetsModelStaysWithChats)
{
    configure(config(target("large", up_.port(), "KT_TEST_KEY_A", "mistral-large-latest")), guard());
    Client c, e, m, f, own;
    through(c, kAnswer, "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
            "/v1/chat/completions");
    through(e, "{\"data\":[]}", "{\"model\":\"text-embedding-3-small\",\"input\":\"x\"}", "/v1/embeddings");
    through(m, "{\"results\":[]}", "{\"model\":\"omni-moderation-latest\",\"input\":\"x\"}",
            "/v1/moderations");
    through(f, completion({says("x")}), "{\"model\":\"codestral-2405\",\"prompt\":\"x\"}",
            "/v1/fim/completions");
    through(own, "{\"data\":[]}", "{\"model\":\"codestral-embed\",\"input\":\"x\"}", "/v1/embeddings");
    const char *const sent[] = {"mistral-large-latest", "mistral-embed", "mistral-moderation-latest",
                                "codestral-2405", "codestral-embed"};
    for (size_t i = 0; i < 5; i++) {
        EXPECT_EQ(str(parse(up_.requests().at(i).body), "model"), sent[i]);
        EXPECT_EQ(str(event(i), "upstream_model"), sent[i]);
    }
}

TEST_F(Endpoints, TheTargetWhoseModelServesTheEndpointIsAsked)
{
    const std::string targets = target("large", up_.port(), "KT_TEST_KEY_A", "mistral-large-latest") +
                                target("far-embed", up_.port(), "KT_TEST_KEY_B", "mistral-embed") +
                                target("embed", up_.port(), "KT_TEST_KEY_B", "codestral-embed");
    configure(config(targets), guard());
    Client e, c, f;
    through(e, "{\"data\":[]}", "{\"model\":\"mistral-embed\",\"input\":\"x\"}", "/v1/embeddings");
    EXPECT_EQ(str(parse(up_.requests().at(0).body), "model"), "codestral-embed");
    Json j = event(0);
    EXPECT_EQ(str(j, "target"), "embed");
    EXPECT_EQ(str(j, "attempts.0.detail"),
              "other_model: mistral-large-latest is not for this endpoint, and another target's model is");
    through(c, kAnswer, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", "/v1/chat/completions");
    EXPECT_EQ(str(event(1), "target"), "large");
    through(f, completion({says("x")}), "{\"model\":\"m\",\"prompt\":\"x\"}", "/v1/fim/completions");
    EXPECT_EQ(str(event(2), "target"), "large")
        << "nobody's model is for it: the usual one at the first target";
    EXPECT_EQ(str(parse(up_.requests().at(2).body), "model"), "codestral-latest");
}

TEST_F(Endpoints, ModerationsOfMistralAreFlaggedForOthersThanItsOwnClients)
{
    guarded();
    const std::string said = "{\"results\":[{\"categories\":{\"violence\":true}}]}",
                      body = "{\"input\":\"x\"}";
    Client k, own;
    through(k, said, body, "/v1/moderations");
    EXPECT_EQ(k.body, "{\"results\":[{\"categories\":{\"violence\":true},\"flagged\":true}]}");
    through(own, said, body, "/mistral/v1/moderations");
    EXPECT_EQ(own.body, said);
}

TEST_F(Endpoints, LongListsOfVectorsAreNotRead)
{
    guarded();
    std::string vectors = "{\"object\":\"list\",\"data\":[{\"embedding\":[0.1";
    for (size_t i = 0; i < KT_JSON_MAX_TOKENS; i++)
        vectors += ",1";
    vectors += "]}],\"usage\":{\"prompt_tokens\":7,\"prompt_tokens_details\":{\"cached_tokens\":2},\"total_"
               "tokens\":7}}";
    Client k;
    through(k, vectors, "{\"input\":\"x\"}", "/v1/embeddings");
    EXPECT_EQ(k.status, 200) << k.body.substr(0, 200);
    EXPECT_EQ(k.body.size(), vectors.size());
    EXPECT_EQ(num(event(0), "usage.prompt_tokens"), 7);
    EXPECT_EQ(num(event(0), "usage.cached_tokens"), 2);
}

TEST_F(Endpoints, AnAnswerThatEndsByErrorIsAFailure)
{
    Server broken([](Conn &c, const Request &) {
        return c.reply(200, "application/json",
                       "{\"choices\":[{\"message\":{\"content\":\"half\"},\"finish_reason\":\"error\"}]}");
    });
    text_ = kAnswer;
    configure(config(target("a", broken.port(), "KT_TEST_KEY_A") + target("b", up_.port(), "KT_TEST_KEY_B") +
                     "  retry: {max_attempts: 1}\n"));
    Client k;
    ask(k, post(chat("x")));
    EXPECT_EQ(k.status, 200);
    EXPECT_EQ(k.body.find("half"), std::string::npos);
    EXPECT_EQ(str(event(), "attempts.0.outcome"), "server_error");
    EXPECT_EQ(str(event(), "attempts.0.detail"), "the provider ended it with the finish_reason error");
    EXPECT_EQ(str(event(), "target"), "b");
}

TEST_F(Endpoints, AFillInTheMiddleIsATextCompletionToOpenAi)
{
    std::string t = config(target("a", up_.port(), "KT_TEST_KEY_A"));
    t.replace(t.find("provider: mistral"), 17, "provider: openai");
    configure(t, guard());
    Client k, s;
    const std::string head =
        "{\"id\":\"c\",\"object\":\"text_completion\",\"choices\":[{\"text\":\"SECRET b\",\"index\":0,";
    through(k, head + "\"finish_reason\":\"stop\"}]}",
            "{\"prompt\":\"a\",\"suffix\":\"c\",\"random_seed\":1}", "/v1/fim/completions");
    EXPECT_EQ(up_.requests().at(0).target, "/v1/completions");
    EXPECT_EQ(num(parse(up_.requests().at(0).body), "seed"), 1);
    EXPECT_EQ(str(parse(k.body), "object"), "chat.completion");
    EXPECT_EQ(str(parse(k.body), "choices.0.message.content"), "[WORD_1] b");
    type_ = "text/event-stream";
    through(s, "data: " + head + "\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
            "{\"prompt\":\"a\",\"stream\":true}", "/v1/fim/completions");
    EXPECT_NE(s.body.find("\"delta\":{\"content\":\"[WORD_1] b\"}"), std::string::npos) << s.body;
    EXPECT_NE(s.body.find("\"chat.completion.chunk\""), std::string::npos) << s.body;
    EXPECT_EQ(s.body.find("text_completion"), std::string::npos) << s.body;
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
