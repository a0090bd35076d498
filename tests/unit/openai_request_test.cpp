/* SPDX-License-Identifier: Apache-2.0 */
/* What a client of Mistral's dialect says, as it leaves for OpenAI, and what comes back. */
#include "interceptor/dialect/kt_dialect.h"

#include <gtest/gtest.h>

#include <string>

namespace {

struct Sent {
    kt_chat c{};
    std::string text, out;
    std::string name, url;
    kt_target t{};
    Sent(kt_endpoint e, std::string body, std::string base = "http://127.0.0.1:1/v1",
         std::string provider = "openai")
        : text(std::move(body)), name(std::move(provider)), url(std::move(base))
    {
        kt_error err{};
        const char *param;
        EXPECT_EQ(kt_request_parse(&c, e, text.data(), text.size(), &err, &param).code, KT_OK)
            << err.text << text;
        t.provider = name.data();
        t.base_url = url.data();
        kt_buf b = KT_BUF_INIT(1 << 20);
        EXPECT_EQ(kt_chat_body_for(&c, &t, nullptr, nullptr, &b).code, KT_OK);
        out.assign(b.data ? b.data : "", b.len);
        kt_buf_free(&b);
        kt_json j{};
        EXPECT_EQ(kt_json_parse(&j, out.data(), out.size(), nullptr).code, KT_OK) << out;
        kt_json_free(&j);
    }
    Sent(const Sent &) = delete;
    ~Sent()
    {
        kt_chat_free(&c);
    }
};

std::string sent(kt_endpoint e, const std::string &body)
{
    return Sent(e, body).out;
}

const std::string M = "\"messages\":[{\"role\":\"user\",\"content\":\"u\"}]";

TEST(OpenAiRequest, WhatOpenAiKnowsStaysByteForByte)
{
    for (const std::string &f :
         {std::string(), std::string(",\"seed\":1,\"tool_choice\":\"auto\",\"metadata\":{}"),
          std::string(" , \"prompt_cache_key\":\"k\",\"unheard_of\":[1.0]"),
          std::string(",\"stream\":true,\"stream_options\":{\"include_usage\":false}")})
        EXPECT_EQ(sent(KT_EP_CHAT, "{" + M + f + "}"), "{" + M + f + "}");
    EXPECT_EQ(sent(KT_EP_EMBEDDINGS, "{\"input\":\"x\",\"dimensions\":4}"),
              "{\"input\":\"x\",\"dimensions\":4}");
}

TEST(OpenAiRequest, MistralsWordsAreTranslatedOrGo)
{
    EXPECT_EQ(sent(KT_EP_CHAT,
                   "{" + M +
                       ",\"random_seed\":9007199254740993,\"safe_prompt\":true,\"prompt_mode\":\"reasoning\","
                       "\"guardrails\":[],\"tool_choice\":\"any\"}"),
              "{" + M + ",\"seed\":9007199254740993,\"tool_choice\":\"required\"}");
    EXPECT_EQ(sent(KT_EP_CHAT, "{\"random_seed\":1,\"seed\":2," + M + "}"), "{\"seed\":2," + M + "}");
    EXPECT_EQ(
        sent(KT_EP_CHAT,
             "{\"messages\":[{\"role\":\"assistant\",\"content\":\"A\",\"prefix\":true},"
             "{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":\"https://e/a\"},"
             "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://e/b\"}}]}]}"),
        "{\"messages\":[{\"role\":\"assistant\",\"content\":\"A\"},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://e/a\"}},"
        "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://e/b\"}}]}]}");
    EXPECT_EQ(sent(KT_EP_EMBEDDINGS,
                   "{\"input\":\"x\",\"output_dimension\":5,\"output_dtype\":\"float\",\"metadata\":{}}"),
              "{\"input\":\"x\",\"dimensions\":5}");
    EXPECT_EQ(sent(KT_EP_EMBEDDINGS, "{\"input\":\"x\",\"output_dimension\":5,\"dimensions\":6}"),
              "{\"input\":\"x\",\"dimensions\":6}");
    EXPECT_EQ(sent(KT_EP_FIM, "{\"prompt\":\"a\",\"suffix\":\"b\",\"min_tokens\":1,\"random_seed\":3}"),
              "{\"prompt\":\"a\",\"suffix\":\"b\",\"seed\":3}");
    Sent fim(KT_EP_FIM, "{\"prompt\":\"a\"}");
    EXPECT_STREQ(kt_endpoint_path_at(KT_EP_FIM, &fim.t), "/completions");
    EXPECT_STREQ(kt_endpoint_path_at(KT_EP_CHAT, &fim.t), "/chat/completions");
}

/* What a Mistral model thought is no part that OpenAI knows: a conversation goes on there with what it said.
 */
TEST(OpenAiRequest, ThoughtsAndReferencesOfTheHistoryGo)
{
    const std::string think = R"({"type":"thinking","thinking":[{"type":"text","text":"T"}]})";
    const struct {
        std::string message, want;
    } rows[] = {
        {R"({"role":"assistant","content":[)" + think + R"(,{"type":"text","text":"a\u00e9\"b"}]})",
         R"({"role":"assistant","content":"a\u00e9\"b"})"},
        {R"({"role":"assistant","content":[{"type":"text","text":"a "},)" + think +
             R"(,{"type":"reference","reference_ids":[1]}, {"type":"text","text":"b"} ],"prefix":false})",
         R"({"role":"assistant","content":"a b"})"},
        {R"({"role":"assistant","content":[{"type":"thinking","thinking":"T"}]})",
         R"({"role":"assistant","content":""})"},
        {R"({"role":"assistant","content":[)" + think +
             R"(],"tool_calls":[{"id":"abcdefghi","type":"function","function":{"name":"f","arguments":"{}"}}]})",
         R"({"role":"assistant","content":null,"tool_calls":[{"id":"abcdefghi","type":"function","function":{"name":"f","arguments":"{}"}}]})"},
        {R"({"role":"assistant","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]})", ""},
        {R"({"role":"assistant","content":[)" + think + R"(,{"type":"new","new":"x"}]})", ""},
        {R"({"role":"user","content":[{"type":"document_url","document_url":"https://e/a"}]})", ""},
        {R"({"role":"assistant","content":[{"type":"text","text":5},{"type":"thinking"},7]})", ""},
    };
    for (const char *provider : {"openai", "groq"})
        for (const auto &row : rows)
            EXPECT_EQ(
                Sent(KT_EP_CHAT, "{\"messages\":[" + row.message + "]}", "http://127.0.0.1/v1", provider).out,
                "{\"messages\":[" + (row.want.empty() ? row.message : row.want) + "]}");
}

/* Mistral takes arguments that are an object; what was redacted in it must not come back. */
TEST(OpenAiRequest, CallsOfTheHistoryAreOpenAis)
{
    Sent s(KT_EP_CHAT,
           R"({"messages":[{"role":"assistant","content":"","tool_calls":[)"
           R"({"id":"abcdefghi","function":{"name":"f","arguments":{"to": "jane", "n":[1.50]}},"index":0},)"
           R"({"id":"abcdefghj","type":null,"function":{"name":"g","arguments":"{}"}}]}]})");
    EXPECT_EQ(
        s.out,
        R"({"messages":[{"role":"assistant","content":"","tool_calls":[)"
        R"({"id":"abcdefghi","function":{"name":"f","arguments":"{\"to\": \"jane\", \"n\":[1.50]}"},"type":"function"},)"
        R"({"id":"abcdefghj","type":"function","function":{"name":"g","arguments":"{}"}}]}]})");
    kt_edits edits = {};
    for (size_t i = 0; i < s.c.segment_count; i++) {
        if (std::string(s.c.segments[i].text, s.c.segments[i].len) != "jane")
            continue;
        EXPECT_EQ(kt_chat_redact(&s.c, &edits, i, 0, 4, "[\"X\"]", 5).code, KT_OK);
    }
    ASSERT_EQ(edits.count, 1u);
    kt_buf b = KT_BUF_INIT(1 << 12);
    EXPECT_EQ(kt_chat_body_for(&s.c, &s.t, nullptr, &edits, &b).code, KT_OK);
    const std::string out(b.data, b.len);
    EXPECT_EQ(out.find("jane"), std::string::npos);
    EXPECT_NE(out.find(R"("arguments":"{\"to\": \"[\\\"X\\\"]\", \"n\":[1.50]}")"), std::string::npos) << out;
    kt_buf_free(&b);
    kt_edits_free(&edits);
}

/* A redaction inside of a text that stays, and of one that goes. */
TEST(OpenAiRequest, RedactionsLiveThroughTheJoining)
{
    Sent s(KT_EP_CHAT, R"({"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":[)"
                       R"({"type":"text","text":"of jane"}]},{"type":"text","text":"for jane!"}]}]})");
    kt_edits edits = {};
    for (size_t i = 0; i < s.c.segment_count; i++) {
        const std::string text(s.c.segments[i].text, s.c.segments[i].len);
        if (text.find("jane") == std::string::npos)
            continue;
        EXPECT_EQ(kt_chat_redact(&s.c, &edits, i, text.find("jane"), text.find("jane") + 4, "[X]", 3).code,
                  KT_OK);
    }
    ASSERT_EQ(edits.count, 2u);
    kt_buf b = KT_BUF_INIT(1 << 12);
    EXPECT_EQ(kt_chat_body_for(&s.c, &s.t, nullptr, &edits, &b).code, KT_OK);
    EXPECT_EQ(std::string(b.data, b.len), R"({"messages":[{"role":"assistant","content":"for [X]!"}]})");
    kt_buf_free(&b);
    kt_edits_free(&edits);
}

/* They have no dialect of their own, and some refuse what OpenAI does not know. */
TEST(CompatibleRequest, MistralsWordsAreTranslatedForProvidersByName)
{
    const std::string said =
        "{" + M + R"(,"random_seed":7,"safe_prompt":true,"prompt_mode":"reasoning","tool_choice":"any"})";
    for (const char *name :
         {"anthropic", "groq", "together", "fireworks", "deepseek", "xai", "ollama", "vllm", "azure-openai"})
        EXPECT_EQ(Sent(KT_EP_CHAT, said, "http://127.0.0.1/v1", name).out,
                  "{" + M + R"(,"seed":7,"tool_choice":"required"})")
            << name;
    EXPECT_EQ(Sent(KT_EP_CHAT, said, "https://openrouter.ai/api/v1", "openrouter").out,
              "{" + M + R"(,"seed":7,"safe_prompt":true,"tool_choice":"required"})")
        << "it hands them on";
    EXPECT_EQ(Sent(KT_EP_CHAT, said, "http://127.0.0.1/v1", "somebody").out, said)
        << "nothing is known of it";
    const std::string own =
        "{" + M + R"(,"top_k":4,"repetition_penalty":1.1,"min_tokens":3,"seed":1,"reasoning_effort":"low"})";
    EXPECT_EQ(Sent(KT_EP_CHAT, own, "http://127.0.0.1/v1", "vllm").out, own) << "words of their own stay";
    const std::string text = R"({"prompt":"p","min_tokens":3})",
                      prefix = R"({"messages":[{"role":"assistant","content":"A","prefix":true}]})";
    EXPECT_EQ(Sent(KT_EP_COMPLETIONS, text, "http://127.0.0.1/v1", "vllm").out, text);
    EXPECT_EQ(Sent(KT_EP_COMPLETIONS, text, "http://127.0.0.1/v1", "groq").out, R"({"prompt":"p"})");
    EXPECT_EQ(Sent(KT_EP_CHAT, prefix, "https://api.deepseek.com/beta", "deepseek").out, prefix);
    EXPECT_EQ(Sent(KT_EP_CHAT, prefix, "https://api.deepseek.com/v1", "deepseek").out,
              R"({"messages":[{"role":"assistant","content":"A"}]})");
    Sent fim(KT_EP_FIM, R"({"prompt":"a","suffix":"b"})", "http://127.0.0.1/v1", "vllm");
    EXPECT_STREQ(kt_endpoint_path_at(KT_EP_FIM, &fim.t), "/completions");
}

TEST(CompatibleRequest, TheUsageOfAStreamIsAskedForWhereItComesSo)
{
    const std::string stream = "{" + M + ",\"stream\":true}";
    for (const char *name : {"anthropic", "groq", "deepseek", "ollama", "vllm", "azure-openai"}) {
        Sent s(KT_EP_CHAT, stream, "http://127.0.0.1:1/v1", name);
        EXPECT_EQ(s.out, "{" + M + ",\"stream\":true,\"stream_options\":{\"include_usage\":true}}") << name;
        EXPECT_TRUE(kt_chat_adds_usage(&s.c, &s.t)) << name;
        Sent whole(KT_EP_CHAT, "{" + M + "}", "http://127.0.0.1:1/v1", name);
        EXPECT_EQ(whole.out, whole.text) << "refused without stream";
    }
    for (const char *name : {"together", "fireworks", "openrouter", "xai", "somebody"}) {
        Sent s(KT_EP_CHAT, stream, "http://127.0.0.1:1/v1", name);
        EXPECT_EQ(s.out, stream) << "it comes unasked, or nothing is known";
        EXPECT_FALSE(kt_chat_adds_usage(&s.c, &s.t)) << name;
    }
}

TEST(OpenAiRequest, TheUsageOfAStreamIsAskedForWhereItIsKnownToCome)
{
    const std::string api = "https://api.openai.com/v1", asks = "\"stream_options\":{\"include_usage\":true}";
    auto body = [](const std::string &f) { return "{" + M + ",\"stream\":true" + f + "}"; };
    for (const std::string &base :
         {api, std::string("https://eu.api.openai.com/v1"), std::string("http://API.openai.com:80")}) {
        Sent s(KT_EP_CHAT, body(""), base);
        EXPECT_EQ(s.out, body("," + asks)) << base;
        EXPECT_TRUE(kt_chat_adds_usage(&s.c, &s.t));
    }
    EXPECT_EQ(Sent(KT_EP_CHAT, body(",\"stream_options\":null"), api).out, body("," + asks));
    EXPECT_EQ(Sent(KT_EP_CHAT, body(",\"stream_options\":{\"include_usage\":false,\"x\":1}"), api).out,
              body(",\"stream_options\":{\"include_usage\":true,\"x\":1}"));
    EXPECT_EQ(Sent(KT_EP_CHAT, body(",\"stream_options\":{\"x\":1}"), api).out,
              body(",\"stream_options\":{\"x\":1,\"include_usage\":true}"));
    EXPECT_EQ(Sent(KT_EP_COMPLETIONS, "{\"prompt\":\"p\",\"stream\":true}", api).out,
              "{\"prompt\":\"p\",\"stream\":true," + asks + "}");
    const struct {
        std::string fields, base;
    } never[] = {{",\"stream\":true," + asks, api},
                 {"", api},
                 {",\"stream\":true", "https://api.openai.com.example.org/v1"},
                 {",\"stream\":true", "https://notapi.openai.com/v1"},
                 {",\"stream\":true", "https://api.mistral.ai/v1"},
                 {",\"stream\":true", "http://127.0.0.1:8000/api.openai.com"}};
    for (const auto &n : never) {
        Sent s(KT_EP_CHAT, "{" + M + n.fields + "}", n.base);
        EXPECT_EQ(s.out, s.text) << n.base;
        EXPECT_FALSE(kt_chat_adds_usage(&s.c, &s.t));
    }
}

} // namespace
