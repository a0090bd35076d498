/* SPDX-License-Identifier: Apache-2.0 */
/* The response phase over streams: nothing leaks at a cut, and nothing is lost. */
#include "exchange_filter.hpp"

namespace {

using namespace fake;

TEST_F(Filter, TheSameTextHoweverItIsCut)
{
    guarded();
    const std::string text = "a SECRET and [NAME_1], **[name 1]** SECRE <Zoe> [NAME";
    const std::string want = "a [WORD_1] and <Bob>, **<Bob>** SECRE [NAME_2] [NAME";
    for (size_t a = 0; a <= text.size(); a += 1) {
        std::string s = kRole + piece("\"content\":" + quoted(text.substr(0, a))) +
                        piece("\"content\":" + quoted(text.substr(a))) + kStop + kDone;
        Seen k = through(s, "<Bob>");
        ASSERT_EQ(k.texts["0"], want) << a;
        ASSERT_TRUE(k.good && k.done == 1 && k.finish == "0stop ") << a;
    }
    for (size_t n : {1, 2, 3, 7}) {
        std::string s = kRole;
        for (size_t at = 0; at < text.size(); at += n)
            s += piece("\"content\":" + quoted(text.substr(at, n)));
        Seen k = through(s + kStop + kDone, "<Bob>");
        ASSERT_EQ(k.texts["0"], want) << n;
    }
    Json e = event();
    EXPECT_EQ(str(e, "verdict"), "redact");
    EXPECT_EQ(str(e, "policies.1.phase"), "response");
    EXPECT_EQ(num(e, "policies.1.matches"), 2);
}

TEST_F(Filter, NoRawByteOfAValueAndNoLogProbabilityOfIt)
{
    guarded();
    Client k;
    through(k, piece("\"content\":\"my SEC\"") + piece("\"content\":\"RET\"") + piece("\"content\":\" ok\"") +
                   kStop + kDone);
    for (const char *raw : {"SEC", "RET"})
        EXPECT_EQ(k.body.find(raw), std::string::npos) << k.body;
    size_t logs = 0;
    for (size_t i = 0; (i = k.body.find("\"token\"", i)) != std::string::npos; i++)
        logs++;
    EXPECT_EQ(logs, 1u) << "of the untouched chunks only\n" << k.body;
}

TEST_F(Filter, LogProbabilitiesOfAnotherTextStayOut)
{
    guarded();
    auto with = [](const std::string &delta, const std::string &log) {
        return event_of("{\"index\":0,\"delta\":{" + delta + "},\"logprobs\":" + log +
                        ",\"finish_reason\":null}");
    };
    for (const std::string &late :
         {with("", R"({"content":[{"token":"SEC"},{"token":"RET"}]})"),
          with("\"content\":\"\"", R"({"content":[{"token":"SECRET"}]})"),
          with("\"content\":\"ok\"", R"({"content":[{"token":"SECRET"}]})"),
          with("\"content\":\"ok\"", R"({"content":[{"token":"ok","bytes":[83,69,67,82,69,84]}]})"),
          with("\"content\":\"ok\"", R"({"content":[{"token":"SECRET","bytes":[111,107]}]})"),
          with("\"content\":\"ok\"", R"({"content":[],"mine":"SECRET"})"),
          with("\"content\":\"ok\",\"logprobs\":{\"content\":[{\"token\":\"SECRET\"}]}", "null"),
          with("\"refusal\":\"ok\"", R"({"refusal":[{"token":"SECRET"}]})")}) {
        Client k;
        through(k, piece("\"content\":\"a \"") + late + kStop + kDone);
        EXPECT_EQ(k.body.find("SEC"), std::string::npos) << late << k.body;
        EXPECT_EQ(k.body.find("83,69"), std::string::npos) << k.body;
        EXPECT_TRUE(k.ended && read_stream(k.body).good);
    }
    Client k;
    const std::string own = R"({"content":[{"token":"o","bytes":[111],"top_logprobs":[{"token":"x"}]},{"token":"k"}]})";
    through(k, with("\"content\":\"ok\"", own) + kStop + kDone);
    EXPECT_NE(k.body.find(own), std::string::npos) << k.body;
}

TEST_F(Filter, EveryTextHasAWindowOfItsOwn)
{
    guarded();
    auto args = [](const std::string &s, int i) {
        return "\"tool_calls\":[{\"index\":" + std::to_string(i) +
               ",\"function\":{\"arguments\":" + quoted(s) + "}}]";
    };
    std::string s = piece("\"content\":\"SEC\"") + piece("\"content\":\"SEC\"", 1) +
                    piece("\"reasoning_content\":\"SEC\"") + piece("\"refusal\":\"SEC\"") +
                    piece(args("{\"a\":\"SEC", 0)) + piece(args("{\"b\":\"[NAM", 1)) +
                    piece("\"content\":\"RET\"") + piece("\"content\":\"OND\"", 1) +
                    piece("\"reasoning_content\":\"RET\"") + piece("\"refusal\":\"RET\"") +
                    piece(args("RET\"}", 0)) + piece(args("E_1]\",\"c\":[NAME_1]}", 1)) +
                    piece("\"content\":\"x SE\"") + piece("\"content\":\"y SE\"", 1) +
                    piece("", 1, "\"stop\"") + piece("\"content\":\"CRET\"", 0, "\"tool_calls\"") + kDone;
    Seen k = through(s, "<B\\\"ob>");
    EXPECT_EQ(k.texts["0"], "[WORD_1]x [WORD_1]");
    EXPECT_EQ(k.texts["1"], "SECONDy SE") << "what was held comes before the finish";
    EXPECT_EQ(k.texts["0r"], "[WORD_1]");
    EXPECT_EQ(k.texts["0f"], "[WORD_1]");
    EXPECT_EQ(k.texts["0t0"], "{\"a\":\"[WORD_1]\"}");
    EXPECT_EQ(k.texts["0t1"], "{\"b\":\"<B\\\"ob>\",\"c\":\"<B\\\"ob>\"}");
    EXPECT_EQ(k.finish, "1stop 0tool_calls ");
    EXPECT_TRUE(k.good);
}

const std::string kObjects =
    piece("\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":{\"to\": \"a "
          "SECRET\",\"n\":"
          "[1,\"x\"]}}},{\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":{}}}]") +
    piece(
        "\"tool_calls\":[{\"id\":\"c\",\"index\":null,\"function\":{\"name\":\"h\",\"arguments\":\"{\"}}]") +
    piece("\"tool_calls\":[{\"function\":{\"arguments\":\"}\"}}]") + piece("", 0, "\"tool_calls\"") + kDone;

TEST_F(Filter, ArgumentsThatAreAnObjectBecomeTheirSource)
{
    guarded();
    Seen k = through(kObjects);
    EXPECT_EQ(k.texts["0t0"], "{\"to\": \"a [WORD_1]\",\"n\":[1,\"x\"]}");
    EXPECT_EQ(k.texts["0t1"], "{}");
    EXPECT_EQ(k.texts["0t2"], "{}") << "calls without a number are numbered in their order";
    EXPECT_TRUE(k.good && k.done == 1);
    EXPECT_EQ(str(event(), "verdict"), "redact");
}

TEST_F(Filter, ArgumentsThatAreAnObjectBecomeTheirSourceWithoutPolicies)
{
    openai_target(up_);
    Seen k = through(kRole + kObjects);
    EXPECT_EQ(k.texts["0t0"], "{\"to\": \"a SECRET\",\"n\":[1,\"x\"]}");
    EXPECT_EQ(k.texts["0t1"], "{}");
    EXPECT_EQ(k.texts["0t2"], "{}");
    EXPECT_TRUE(k.good && k.done == 1);
    EXPECT_EQ(k.events, 6) << "each chunk once";
}

TEST_F(Filter, TextsOfOtherProvidersStayInTheirPlaces)
{
    guarded();
    Client k;
    std::string stream;
    for (const char *part : {"xSE", "CRETy ", "SECR", "ETz SEC"}) {
        const std::string t = part;
        stream += piece("\"content\":\"" + t + "\",\"reasoning\":\"" + t +
                        "\",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"index\":0,\"text\":\"" + t +
                        "\"}],\"audio\":{\"transcript\":\"" + t + "\"}");
    }
    through(k, stream + kStop + kDone);
    std::map<std::string, std::string> seen;
    for (size_t at = 0; (at = k.body.find("data: {", at)) != std::string::npos; at += 6) {
        Json j = parse(k.body.substr(at + 6, k.body.find("\n\n", at) - at - 6));
        for (const char *path :
             {"content", "reasoning", "reasoning_content", "reasoning_details.0.text", "audio.transcript"})
            seen[path] += str(j, (std::string("choices.0.delta.") + path).c_str());
    }
    const std::string all = seen["content"];
    EXPECT_EQ(all.find("SECRET"), std::string::npos);
    EXPECT_EQ(all.substr(all.size() - 3), "SEC") << all;
    EXPECT_EQ(seen["reasoning"], all);
    EXPECT_EQ(seen["reasoning_details.0.text"], all);
    EXPECT_EQ(seen["audio.transcript"], all);
    EXPECT_EQ(seen["reasoning_content"], "");
}

TEST_F(Filter, WhatIsHeldComesAtTheEndOfAnyKind)
{
    guarded();
    Seen k = through(piece("\"content\":\"a SEC\"", 0, "\"length\"") + kDone);
    EXPECT_EQ(k.texts["0"], "a SEC");
    k = through(piece("\"content\":\"x\"", 1, "\"stop\"") + piece("\"content\":\"a SEC\"") + kDone);
    EXPECT_EQ(k.texts["0"], "a ") << "no finish_reason of its own: half an answer";
    EXPECT_EQ(k.error, "stream_interrupted");
    k = through(piece("\"content\":\"b SEC\"") + kStop);
    EXPECT_EQ(k.texts["0"], "b SEC") << "no [DONE]";
    EXPECT_EQ(k.done, 1) << "the last word is ours where the target forgot it";
    k = through(
        event_of(
            "{\"index\":0,\"delta\":{\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\","
            "\"text\":\"SECRET\"}]},{\"type\":\"text\",\"text\":\"SECRET\"}]},\"finish_reason\":\"stop\"}") +
        kDone);
    EXPECT_TRUE(k.good);
    EXPECT_EQ(str(event(3), "verdict"), "redact");
    EXPECT_EQ(num(event(3), "policies.1.matches"), 2);
}

TEST_F(Filter, TextWithoutACandidateFlowsAtOnce)
{
    Gate go;
    Server up([&](Conn &c, const Request &) {
        c.sse_head();
        c.chunk(kRole + piece("\"content\":\"at once\""));
        bool ok = go.wait();
        c.chunk(kStop + kDone);
        return c.chunk_end() && ok;
    });
    configure(config(target("a", up.port(), "KT_TEST_KEY_A")), guard());
    Client k;
    start(k, ask_stream());
    EXPECT_TRUE(k.wait_body("at once"));
    go.open();
    EXPECT_TRUE(k.wait_over());
    on_loop([] {});
}

TEST_F(Filter, TextCompletionsKeepTheirShape)
{
    guarded();
    Client k;
    stream_ = piece("\"content\":\"SECR\"") + piece("\"content\":\"ET ok SE\"") + kStop + kDone;
    ask(k, post("{\"model\":\"m\",\"prompt\":\"p\",\"stream\":true}", "", "/v1/completions"));
    Seen s = read_stream(k.body);
    EXPECT_TRUE(s.good);
    EXPECT_EQ(s.texts["0"], "[WORD_1] ok SE");
    EXPECT_EQ(k.body.find("delta"), std::string::npos);
    EXPECT_EQ(up_.requests().at(0).target, "/v1/fim/completions");
}

TEST_F(Filter, UsageAndLineEndsOfEveryKind)
{
    guarded();
    Client k;
    stream_ =
        "data: {\"choices\":[{\"index\":0,\ndata: \"delta\":{\"content\":\"SECRET\"}}]}\n\n: note\r\n\r\n" +
        delta("", "\"stop\"", kUsage) + kDone;
    ask(k, ask_stream(",\"stream_options\":{\"include_usage\":true}"));
    Seen s = read_stream(k.body);
    EXPECT_TRUE(s.good) << k.body;
    EXPECT_EQ(s.texts["0"], "[WORD_1]");
    EXPECT_NE(k.body.find("\"choices\":[],\"usage\""), std::string::npos);
    EXPECT_EQ(num(event(), "usage.total_tokens"), 6);
}

/* ---- tools whose input is free text ---- */

class ToolWords : public Filter {
  protected:
    void SetUp() override
    {
        Filter::SetUp();
        std::string text = config(target("a", up_.port(), "KT_TEST_KEY_A", "m"));
        text.replace(text.find("chain: []"), 9, "chain: [pii-detector, dlp-filter]");
        configure(text);
    }
    // What one field of the first tool call, put together as SDKs do, says behind the policies.
    std::string said(const std::string &inside, const std::vector<std::string> &pieces,
                     const std::string &where)
    {
        std::string stream = kRole, out;
        for (const std::string &p : pieces) {
            std::string d = inside;
            stream += piece(d.replace(d.find('@'), 1, quoted(p)));
        }
        Client k;
        through(k, stream + piece("", 0, "\"tool_calls\"") + kDone);
        for (size_t at = 0; (at = k.body.find("data: {", at)) != std::string::npos; at += 6) {
            Json j = parse(k.body.substr(at + 6, k.body.find("\n\n", at) - at - 6));
            out += str(j, "choices.0.delta." + where);
            if (const cJSON *f = at_delta(j); f && where.find("custom") != std::string::npos) {
                EXPECT_FALSE(cJSON_GetObjectItem(f, "function")) << k.body;
            }
        }
        return out;
    }
    static const cJSON *at_delta(const Json &j)
    {
        return fake::at(j.get(), "choices.0.delta.tool_calls.0");
    }
};

const char kCustom[] =
    R"("tool_calls":[{"index":0,"id":"t","type":"custom","custom":{"name":"n","input":@}}])";
const char kFunction[] =
    R"("tool_calls":[{"index":0,"id":"t","type":"function","function":{"name":"n","arguments":@}}])";

TEST_F(ToolWords, FreeInputIsRedactedInItsOwnFieldWithoutQuotes)
{
    const std::string where = "tool_calls.0.custom.input";
    EXPECT_EQ(said(kCustom, {"to jane.", "roe@example", ".org now"}, where), "to [EMAIL_1] now");
    EXPECT_EQ(said(kCustom, {"jane.roe@example.org"}, where), "[EMAIL_1]");
    EXPECT_EQ(said(kCustom, {"password=", "Zk83hTq9wLm2xVb7"}, where).find('"'), std::string::npos);
    EXPECT_EQ(said(kCustom, {"{\"n\": 4111", "111111111111}"}, where), "{\"n\": [CARD_1]}")
        << "whatever it looks like, it is text";
}

TEST_F(ToolWords, ArgumentsThatAreNoJsonGetNoQuotes)
{
    const std::string where = "tool_calls.0.function.arguments", legacy = "function_call.arguments";
    EXPECT_EQ(said(kFunction, {" ", "jane.roe@ex", "ample.org"}, where), " [EMAIL_1]");
    EXPECT_EQ(said(R"("function_call":{"arguments":@})", {"jane.roe@ex", "ample.org"}, legacy), "[EMAIL_1]");
    EXPECT_EQ(said(kFunction, {" ", "{\"n\": 4111", "111111111111}"}, where), " {\"n\": \"[CARD_1]\"}")
        << "JSON stays JSON";
}

TEST_F(ToolWords, InAWholeAnswerToo)
{
    std::string answer = completion(
        {R"("content":null,"tool_calls":[{"id":"a","type":"custom","custom":{"name":"n","input":"jane.roe@example.org "}},)"
         R"({"id":"b","type":"function","function":{"name":"n","arguments":"{\"n\": 4111111111111111}"}}],)"
         R"("function_call":{"name":"x","arguments":"jane.roe@example.org "})"});
    Server whole([&](Conn &c, const Request &) { return c.reply(200, "application/json", answer); });
    std::string text = config(target("a", whole.port(), "KT_TEST_KEY_A", "m"));
    text.replace(text.find("chain: []"), 9, "chain: [pii-detector]");
    configure(text);
    Client k;
    ask(k, post(chat("x")));
    Json j = parse(k.body);
    const std::string m = "choices.0.message.";
    EXPECT_EQ(str(j, m + "tool_calls.0.custom.input"), "[EMAIL_1] ");
    EXPECT_EQ(str(j, m + "tool_calls.1.function.arguments"), "{\"n\": \"[CARD_1]\"}");
    EXPECT_EQ(str(j, m + "function_call.arguments"), "[EMAIL_1] ");
}

} // namespace
