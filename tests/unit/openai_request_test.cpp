/* SPDX-License-Identifier: Apache-2.0 */
/* What a client of Mistral's dialect says, as it leaves for OpenAI, and what comes back. */
#include "interceptor/dialect/kt_dialect.h"

#include <gtest/gtest.h>

#include <string>

namespace {

struct Sent {
    kt_chat c{};
    std::string text, out;
    char name[7] = "openai";
    std::string url;
    kt_target t{};
    Sent(kt_endpoint e, std::string body, std::string base = "http://127.0.0.1:1/v1")
        : text(std::move(body)), url(std::move(base))
    {
        kt_error err{};
        const char *param;
        EXPECT_EQ(kt_request_parse(&c, e, text.data(), text.size(), &err, &param).code, KT_OK)
            << err.text << text;
        t.provider = name;
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
