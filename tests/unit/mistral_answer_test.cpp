/* SPDX-License-Identifier: Apache-2.0 */
/* Mistral's answers in the shape of OpenAI's: whole and chunk by chunk, with policies' edits inside of the texts kept. */
#include "interceptor/dialect/kt_dialect.h"

#include <gtest/gtest.h>
#include <string>

namespace {

/* `hide`: this text is redacted first, wherever a policy sees it. */
std::string translated(const std::string &text, const std::string &hide = "", kt_endpoint endpoint = KT_EP_CHAT)
{
    kt_chat c{};
    kt_error err{};
    kt_edits edits{};
    kt_buf out = {};
    out.max = 1u << 20;
    EXPECT_EQ(kt_answer_parse(&c, endpoint, text.data(), text.size(), &err).code, KT_OK) << err.text << text;
    for (size_t i = 0; i < c.segment_count && !hide.empty(); i++) {
        size_t at = std::string(c.segments[i].text, c.segments[i].len).find(hide);
        if (at != std::string::npos) {
            EXPECT_EQ(kt_chat_redact(&c, &edits, i, at, at + hide.size(), "[X]", 3).code, KT_OK);
        }
    }
    EXPECT_EQ(kt_provider_find("mistral")->translate_answer(&c, &edits).code, KT_OK);
    EXPECT_EQ(kt_edits_apply(&edits, text.data(), text.size(), &out).code, KT_OK);
    std::string s(out.data ? out.data : "", out.len);
    kt_buf_free(&out);
    kt_edits_free(&edits);
    kt_chat_free(&c);
    kt_json j{};
    EXPECT_EQ(kt_json_parse(&j, s.data(), s.size(), &err).code, KT_OK) << err.text << s;
    kt_json_free(&j);
    return s;
}

std::string answer(const std::string &message, const std::string &finish = "\"stop\"")
{
    return "{\"choices\": [{\"index\":0,\"message\":{\"role\":\"assistant\"," + message + "},\"finish_reason\":" + finish + "}]}";
}

std::string chunk(const std::string &delta)
{
    return "{\"choices\":[{\"index\":0,\"delta\":{" + delta + "},\"finish_reason\":null}]}";
}

const char thinking[] = "{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"Let me \"},{\"type\":\"text\",\"text\":\"see\\n\"}]}";

} // namespace

TEST(MistralAnswer, WhatOpenAiKnowsStaysByteForByte)
{
    for (const std::string &s : {answer("\"content\" : \"a\\u0041\""), answer("\"content\":null"), chunk("\"content\":\"x\""), chunk(""),
                                 answer("\"content\":\"\",\"tool_calls\":[{\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]",
                                        "\"tool_calls\"")})
        EXPECT_EQ(translated(s), s);
}

TEST(MistralAnswer, ModerationsAreFlagged)
{
    auto flagged = [](const std::string &result) {
        std::string s = translated("{\"id\":\"m\",\"results\":[" + result + "]}", "", KT_EP_MODERATIONS);
        return s.substr(21, s.size() - 23);
    };
    EXPECT_EQ(flagged("{\"categories\":{\"a\":false,\"b\":true}},{\"categories\":{\"a\":false}}"),
              "{\"categories\":{\"a\":false,\"b\":true},\"flagged\":true},{\"categories\":{\"a\":false},\"flagged\":false}");
    for (const char *s : {"{\"categories\":{\"a\":true},\"flagged\":false}", "{}", "7", "{\"categories\":[true]}"})
        EXPECT_EQ(flagged(s), s);
}

TEST(MistralAnswer, ListsOfContentBecomeOneText)
{
    std::string text = "{\"type\":\"text\",\"text\":\"It is 4\"}";
    EXPECT_EQ(translated(answer("\"content\": [" + text + " , " + text + "]")), answer("\"content\":\"It is 4It is 4\""));
    EXPECT_EQ(translated(answer("\"content\": [" + std::string(thinking) + ", " + text + "],\"x\":1")),
              answer("\"reasoning_content\":\"Let me see\\n\",\"content\":\"It is 4\",\"x\":1"));
    EXPECT_EQ(translated(answer("\"content\":[" + std::string(thinking) + "]")), answer("\"reasoning_content\":\"Let me see\\n\",\"content\":null"));
    EXPECT_EQ(translated(chunk("\"content\":[" + std::string(thinking) + "]")), chunk("\"reasoning_content\":\"Let me see\\n\""));
    EXPECT_EQ(translated(answer("\"content\":[{\"type\":\"thinking\",\"thinking\":\"short\"}," + text + "]")),
              answer("\"reasoning_content\":\"short\",\"content\":\"It is 4\""));
    EXPECT_EQ(translated(answer("\"content\":[]")), answer("\"content\":\"\""));
    EXPECT_EQ(translated(answer("\"content\":[{\"type\":\"reference\",\"reference_ids\":[1]}," + text + "]")), answer("\"content\":\"It is 4\""));
    EXPECT_EQ(translated(answer("\"content\":[" + text + "," + std::string(thinking) + "]")), answer("\"content\":\"It is 4\""))
        << "a thought behind the text has no place";
}

TEST(MistralAnswer, WhatPoliciesTookOutStaysOut)
{
    std::string parts = "{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"ask bob\"}]},{\"type\":\"text\",\"text\":\"bob knows\"}";
    EXPECT_EQ(translated(answer("\"content\":[" + parts + "]"), "bob"), answer("\"reasoning_content\":\"ask [X]\",\"content\":\"[X] knows\""));
}

TEST(MistralAnswer, ToolCallsSayTheirTypeAndReasonsAreKnown)
{
    EXPECT_EQ(translated(answer("\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},"
                                "{\"id\":\"b\",\"type\":null,\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]",
                                "\"tool_calls\"")),
              answer("\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"},\"type\":\"function\"},"
                     "{\"id\":\"b\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]",
                     "\"tool_calls\""));
    EXPECT_EQ(translated(answer("\"content\":\"x\"", "\"model_length\"")), answer("\"content\":\"x\"", "\"length\""));
    EXPECT_EQ(translated(answer("\"content\":\"x\"", "\"length\"")), answer("\"content\":\"x\"", "\"length\""));
}
