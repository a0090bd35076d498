/* SPDX-License-Identifier: Apache-2.0 */
/* Log probabilities leave only beside the text that they spell. */
#include "interceptor/dialect/kt_dialect.h"

#include <gtest/gtest.h>
#include <string>

namespace {

std::string checked(const std::string &choice, bool check = true, bool changed = false)
{
    const std::string text = "{\"choices\":[" + choice + "]}";
    kt_chat c{};
    kt_error err{};
    kt_edits edits{};
    const uint64_t bits = changed;
    kt_buf out = KT_BUF_INIT(1u << 20);
    EXPECT_EQ(kt_answer_parse(&c, KT_EP_CHAT, text.data(), text.size(), &err).code, KT_OK)
        << err.text << text;
    EXPECT_EQ(kt_answer_drop_logprobs(&c, &bits, 1, check, &edits).code, KT_OK);
    EXPECT_EQ(kt_edits_apply(&edits, text.data(), text.size(), &out).code, KT_OK);
    std::string s(out.data ? out.data : "", out.len);
    kt_buf_free(&out);
    kt_edits_free(&edits);
    kt_chat_free(&c);
    return s.substr(12, s.size() - 14);
}

std::string delta(const std::string &text, const std::string &log)
{
    return "{\"delta\":{\"content\":" + text + "},\"logprobs\":" + log + "}";
}

} // namespace

TEST(AnswerLogprobs, BesideTheirTextTheyStay)
{
    for (
        const std::string &s : {
            delta("\"ab\"", R"({"content":[{"token":"a"},{"token":"b"}],"refusal":null})"),
            delta(
                "\"ab\"",
                R"({"content":[{"token":"a","bytes":null,"logprob":-1.5},{"token":"\u0062","bytes":[98]}]})"),
            delta(
                "\"\xe2\x82\xac\"",
                R"({"content":[{"token":"\\xe2\\x82","bytes":[226,130]},{"token":"bytes:\\xac","bytes":[172]}]})"),
            delta("\"\"", R"({"content":[]})"),
            delta(
                "\"a\"",
                R"({"content":[{"token":"a","logprob":-0.25,"bytes":[97],"top_logprobs":[{"token":"a","logprob":-0.25,"bytes":[97]},{"token":"b","logprob":null,"token_id":7}]}],"refusal":null})"),
            delta("null", R"({"content":null,"refusal":[]})"),
            delta(
                "\"a\"",
                R"({"content":[{"token":"a","top_logprobs":[{"token":"other","bytes":[1]},{"token":""}]}]})"),
            std::string(
                R"({"message":{"content":"a","refusal":"no"},"logprobs":{"content":[{"token":"a"}],"refusal":[{"token":"no"}]}})"),
            std::string(
                R"({"text":"ab","logprobs":{"tokens":["a","b"],"token_logprobs":[-1,-2],"text_offset":[0,1],"top_logprobs":[{"a":-1},null]}})"),
            std::string(R"({"delta":{"content":"a"},"logprobs":null})"),
        })
        EXPECT_EQ(checked(s), s);
}

TEST(AnswerLogprobs, ElsewhereTheyGo)
{
    const std::string long_one(200, 'x');
    for (const std::string &log : {
             std::string(R"({"content":[{"token":"b"}]})"),
             std::string(R"({"content":[{"token":"a"},{"token":"b"}]})"),
             std::string(R"({"content":[{"token":"a","bytes":[98]}]})"),
             std::string(R"({"content":[{"token":"b","bytes":[97]}]})"),
             std::string(R"({"content":[{"token":"a","bytes":[353]}]})"),
             std::string(R"({"content":[{"token":"a","bytes":["97"]}]})"),
             std::string(R"({"content":[{"token":"a","bytes":"a"}]})"),
             std::string(R"({"content":[{"token":7}]})"),
             std::string(R"({"content":["b"]})"),
             std::string(R"({"content":[["a"]]})"),
             std::string(R"({"content":"a"})"),
             std::string(R"({"refusal":[{"token":"a"}]})"),
             std::string(R"({"tokens":["a"]})"),
             std::string(R"({"content":[{"token":"a"}],"unknown":"b"})"),
             std::string(R"(["a"])"),
             std::string(R"("a")"),
             std::string(R"({"content":[{"token":"a","top_logprobs":["b"]}]})"),
             std::string(R"({"content":[{"token":"a","x":"b"}]})"),
             std::string(R"({"content":[{"token":"a","x":1}]})"),
             std::string(R"({"content":[{"token":"b","token":"a"}]})"),
             std::string(R"({"content":[{"token":"a","bytes":[98],"bytes":[97]}]})"),
             std::string(R"({"content":[{"token":"a","logprob":"b"}]})"),
             std::string(R"({"content":[{"token":"a","logprob":[1]}]})"),
             std::string(R"({"content":[{"token":"a","token_id":41111111111111111111111111111111111}]})"),
             std::string(R"({"content":[{"token":"a"}],"token_logprobs":["b"]})"),
             std::string(R"({"content":[{"token":"a"}],"token_logprobs":"b"})"),
             std::string(R"({"content":[{"token":"a"}],"text_offset":[{"b":1}]})"),
             std::string(R"({"content":[{"token":"a"}],"top_logprobs":[{"b":"c"}]})"),
             std::string(R"({"content":[{"token":"a"}],"top_logprobs":["b"]})"),
             std::string(R"({"content":[{"token":"b"}],"content":[{"token":"a"}]})"),
             std::string(R"({"content":[{"token":"a","top_logprobs":[{"token":"b","x":"c"}]}]})"),
             std::string(R"({"content":[{"token":"a","top_logprobs":[{"token":"b","logprob":"c"}]}]})"),
             std::string(R"({"content":[{"token":"a","top_logprobs":[{"token":"b","bytes":["c"]}]}]})"),
             std::string(R"({"content":[{"token":"a","top_logprobs":[{"token":"b","top_logprobs":[]}]}]})"),
             std::string(R"({"content":[{"token":"a","top_logprobs":[{"token":")") + long_one + "\"}]}]}",
         })
        EXPECT_EQ(checked(delta("\"a\"", log)), delta("\"a\"", "null")) << log;
    EXPECT_EQ(checked(R"({"delta":{"content":"a","logprobs":{"content":[{"token":"b"}]}}})"),
              R"({"delta":{"content":"a","logprobs":null}})");
    EXPECT_EQ(
        checked(R"({"delta":{"content":"a"},"log\u0070robs":{"content":[{"token":"b"}]},"logprobs":[1]})"),
        R"({"delta":{"content":"a"},"log\u0070robs":null,"logprobs":null})");
}

TEST(AnswerLogprobs, OfAChangedTextAllOfThem)
{
    const std::string own = delta("\"a\"", R"({"content":[{"token":"a"}]})"),
                      other = delta("\"a\"", R"({"content":[{"token":"b"}]})");
    EXPECT_EQ(checked(own, false, true), delta("\"a\"", "null"));
    EXPECT_EQ(checked(own, true, true), delta("\"a\"", "null"));
    EXPECT_EQ(checked(other, false, false), other) << "where no policy looks there is nothing to keep in";
}
