/* SPDX-License-Identifier: Apache-2.0 */
/* A client of Mistral's own gets of a Mistral target what it would get without us; all others OpenAI's shape.
 */
#include "exchange_filter.hpp"

#include "interceptor/dialect/kt_dialect.h"

namespace {

using namespace fake;

const char kSdk[] = "User-Agent: speakeasy-sdk/typescript 2.7.0 2.884.13 1.0.0 @mistralai/mistralai\r\n";

std::string thought(const std::string &text)
{
    return event_of("{\"index\":0,\"delta\":{\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":"
                    "\"text\",\"text\":\"" +
                    text + "\"}]}]},\"finish_reason\":null}");
}

class Dialect : public Filter {
  protected:
    void openai(const kt_policy *with)
    {
        std::string text = config(target("a", up_.port(), "KT_TEST_KEY_A", "m"));
        configure(text.replace(text.find("provider: mistral"), 17, "provider: openai"), with);
    }
    std::string stream(const std::string &events, const std::string &extra = kSdk,
                       const std::string &path = "/v1/chat/completions")
    {
        Client k;
        stream_ = events;
        ask(k, post(chat("hello", ",\"stream\":true"), extra, path));
        EXPECT_TRUE(k.ended);
        return k.body;
    }
    std::string whole(const std::string &answer, const std::string &extra = "")
    {
        Server up([&](Conn &c, const Request &) { return c.reply(200, "application/json", answer); });
        configure(config(target("a", up.port(), "KT_TEST_KEY_A", "m")), policies_ ? guard() : nullptr);
        Client k;
        ask(k, post(chat("hello"), extra));
        EXPECT_EQ(k.status, 200);
        return k.body;
    }
    bool policies_ = false;
};

const std::string kThinks = thought("let me see") + thought(" more") + piece("\"content\":\"It is 4\"") +
                            piece("", 0, "\"model_length\"") + kDone;

TEST_F(Dialect, WhoSpeaksMistrals)
{
    auto of = [](const char *host, const char *agent, const char *path) {
        const kt_provider *p =
            kt_client_dialect(host, kt_span(agent, strlen(agent)), kt_span(path, strlen(path)));
        return p ? std::string(p->name) : std::string();
    };
    const char chat_path[] = "/v1/chat/completions";
    EXPECT_EQ(of("api.mistral.ai", "", chat_path), "mistral");
    EXPECT_EQ(of("API.mistral.ai", "OpenAI/JS 6.0", chat_path), "mistral")
        << "it gets what that host would say";
    EXPECT_EQ(of("codestral.mistral.ai", "", chat_path), "mistral");
    EXPECT_EQ(
        of("127.0.0.1", "speakeasy-sdk/typescript 2.7.0 2.884.13 1.0.0 @mistralai/mistralai", chat_path),
        "mistral");
    EXPECT_EQ(of("127.0.0.1", "mistral-client-python/1.9.11", chat_path), "mistral");
    for (const char *path : {"/mistral/v1/chat/completions", "/Mistral/v1/chat/completions",
                             "http://gw:80/mistral/v1/chat/completions"})
        EXPECT_EQ(of("127.0.0.1", "curl/7.88.1", path), "mistral") << path;
    for (const char *path :
         {"", "/", "/mistral", "/v1/mistral/chat/completions", "/mistralx/v1/chat/completions", "mistral/",
          "http://mistral/v1/chat/completions"})
        EXPECT_EQ(of("api.openai.com", "curl/7.88.1", path), "") << path;
    EXPECT_EQ(of("api.mistral.ai.evil.example", "", chat_path), "");
}

TEST_F(Dialect, AStreamOfItsOwnPassesAsItCame)
{
    one_target(up_);
    EXPECT_EQ(stream(kThinks), kThinks);
    EXPECT_EQ(stream(kThinks, "", "/mistral/v1/chat/completions"), kThinks);
    origin_host = "api.mistral.ai";
    EXPECT_EQ(stream(kThinks, "User-Agent: curl\r\n"), kThinks);
    origin_host = "api.openai.com";
    std::string flat = stream(kThinks, "User-Agent: OpenAI/JS 6.49.0\r\n");
    EXPECT_NE(flat.find("\"reasoning_content\":\"let me see\""), std::string::npos) << flat;
    EXPECT_EQ(flat.find("\"thinking\""), std::string::npos) << flat;
}

TEST_F(Dialect, PoliciesLookAtItAllTheSame)
{
    guarded();
    EXPECT_EQ(stream(kThinks), kThinks) << "what they leave alone stays";
    std::string s = stream(thought("a SEC") + thought("RET b SEC") + piece("\"content\":\"c SEC\"") +
                           piece("\"content\":\"RET\"", 0, "\"stop\"") + kDone);
    EXPECT_EQ(s.find("SECRET"), std::string::npos);
    std::string thoughts, text;
    for (size_t at = 0; (at = s.find("data: {", at)) != std::string::npos; at++) {
        Json j = parse(s.substr(at + 6, s.find("\n\n", at) - at - 6));
        EXPECT_EQ(str(j, "choices.0.delta.reasoning_content"), "") << s;
        EXPECT_TRUE(str(j, "choices.0.delta.content.0.type") == "" ||
                    str(j, "choices.0.delta.content.0.type") == "thinking");
        thoughts += str(j, "choices.0.delta.content.0.thinking.0.text");
        text += str(j, "choices.0.delta.content");
    }
    EXPECT_EQ(thoughts, "a [WORD_1] b SEC") << "the rest has the shape of the others\n" << s;
    EXPECT_EQ(text, "c [WORD_1]");
}

TEST_F(Dialect, OfAnotherProviderItGetsOpenAis)
{
    openai(guard());
    std::string s =
        stream(piece("\"reasoning_content\":\"a SEC\"") + piece("\"content\":\"b\"") + kStop + kDone);
    EXPECT_NE(s.find("\"delta\":{\"reasoning_content\":\"SEC\"}"), std::string::npos) << s;
}

/* What a program of Mistral's keeps of a thinking model's answers goes on as it is to Mistral, and as text to
 * whoever answers in its place. */
TEST_F(Dialect, AHistoryWithThoughtsFallsBackToOpenAi)
{
    Server first([](Conn &c, const Request &) { return c.reply(503, "application/json", "{}"); });
    std::string other = target("b", up_.port(), "KT_TEST_KEY_A", "gpt-4o");
    other.replace(other.find("provider: mistral"), 17, "provider: openai");
    configure(config(target("a", first.port(), "KT_TEST_KEY_A", "magistral-small-latest") + other));
    const std::string answer = piece("\"content\":\"5\"") + kStop + kDone;
    const std::string thinks =
        R"([{"type":"thinking","thinking":[{"type":"text","text":"two and two"}]},{"type":"text","text":"4"}])";
    const std::string said = R"({"role":"assistant","content":)",
                      asked = R"({"role":"user","content":"and 1?"})";
    stream_ = answer;
    Client k;
    ask(k, post(R"({"model":"m","stream":true,"messages":[{"role":"user","content":"2+2?"},)" + said +
                    thinks + "}," + asked + "]}",
                kSdk));
    EXPECT_EQ(k.body, answer);
    EXPECT_NE(first.requests().at(0).body.find(said + thinks), std::string::npos)
        << first.requests().at(0).body;
    EXPECT_NE(up_.requests().at(0).body.find(said + "\"4\"}," + asked), std::string::npos)
        << up_.requests().at(0).body;
    Client other_client;
    ask(other_client, post(R"({"model":"m","stream":true,"messages":[{"role":"user","content":"2+2?"},)"
                           R"({"role":"assistant","content":"4","reasoning_content":"two and two"},)" +
                           asked + "]}"));
    EXPECT_EQ(first.requests().back().body.find("reasoning_content"), std::string::npos)
        << "a client of OpenAI's gives back what it got; Mistral would refuse that";
}

// One chunk with this list of content.
std::string listed(const std::string &parts)
{
    return event_of("{\"index\":0,\"delta\":{\"content\":[" + parts + "]},\"finish_reason\":null}");
}

const std::string kText = R"({"type":"text","text":"Hello "})";

TEST_F(Dialect, WhatStandsBesideTheTextIsNoPartOfIt)
{
    guarded();
    const std::string smith = listed(R"({"type":"reference","title":"Smith"},)" + kText) + kStop + kDone;
    EXPECT_EQ(stream(smith), smith);
    EXPECT_EQ(read_stream(stream(smith, "")).texts["0"], "Hello ");
    const std::string two =
        listed(R"({"type":"reference","title":"SECRET"},{"type":"reference","title":"SEC"},)"
               R"({"type":"text","text":"RET "})") +
        kStop + kDone;
    EXPECT_EQ(stream(two),
              listed(R"({"type":"reference","title":"[WORD_1]"},{"type":"reference","title":"SEC"},)"
                     R"({"type":"text","text":"RET "})") +
                  kStop + kDone);
    EXPECT_EQ(read_stream(stream(two, "")).texts["0"], "RET ");
    const std::string nested = listed(R"({"type":"tool_result","content":"a SEC"})") + listed(kText) +
                               listed(R"({"type":"tool_result","content":"RET SEC"})") + kStop + kDone;
    std::string own = stream(nested);
    EXPECT_EQ(own.find("SECRET"), std::string::npos) << own;
    EXPECT_NE(own.find(R"({"content":[{"type":"tool_result","content":"SEC"}]})"), std::string::npos) << own;
    Seen seen = read_stream(stream(nested, ""));
    EXPECT_EQ(seen.texts["0"], "Hello ");
    EXPECT_TRUE(seen.good);
}

TEST_F(Dialect, WhatNobodyKnowsOfAListIsLookedAt)
{
    policies_ = true;
    const std::string odd = R"({"type":"frob","frob":"a SECRET","SECRET":[{"x":"SECRET"}],"n":1},)",
                      clean = R"({"type":"frob","frob":"a [WORD_1]","[WORD_1]":[{"x":"[WORD_1]"}],"n":1},)";
    auto answer = [](const std::string &parts) {
        return R"({"choices":[{"index":0,"message":{"role":"assistant","content":[)" + parts +
               R"(]},"finish_reason":"stop"}]})";
    };
    EXPECT_EQ(whole(answer(odd + kText), kSdk), answer(clean + kText));
    EXPECT_EQ(whole(answer(odd + kText)).find("SECRET"), std::string::npos);
    guarded();
    EXPECT_EQ(stream(listed(odd + kText) + kStop + kDone), listed(clean + kText) + kStop + kDone);
    Seen seen = read_stream(stream(listed(odd + kText) + kStop + kDone, ""));
    EXPECT_TRUE(seen.good);
    EXPECT_EQ(seen.texts["0"], "Hello ");
}

const char kArguments[] =
    "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":"
    "\"x\"}],"
    "\"tool_calls\":[{\"id\":\"abcdefghi\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":{"
    "\"a\": \"b SECRET\"}}},"
    "{\"id\":\"abcdefghj\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]},"
    "\"finish_reason\":\"tool_calls\"}]}";

TEST_F(Dialect, ArgumentsOfAWholeAnswerAreAStringForOpenAisClients)
{
    for (bool policies : {false, true}) {
        policies_ = policies;
        const std::string word = policies ? "[WORD_1]" : "SECRET";
        Json j = parse(whole(kArguments));
        EXPECT_EQ(str(j, "choices.0.message.tool_calls.0.function.arguments"), "{\"a\": \"b " + word + "\"}");
        EXPECT_EQ(str(j, "choices.0.message.tool_calls.1.function.arguments"), "{}");
        EXPECT_EQ(str(j, "choices.0.message.content"), "x");
        j = parse(whole(kArguments, kSdk));
        EXPECT_EQ(str(j, "choices.0.message.tool_calls.0.function.arguments.a"), "b " + word)
            << "as Mistral said it";
        EXPECT_EQ(str(j, "choices.0.message.content.0.text"), "x");
    }
}

} // namespace
