// SPDX-License-Identifier: Apache-2.0
// What providers send back: errors in every shape, usage in answers and chunks.
#include "interceptor/dialect/kt_dialect.h"

#include <gtest/gtest.h>

#include <string>

namespace {

std::string wrap(int status, const std::string &body)
{
    kt_buf out = KT_BUF_INIT(1 << 20);
    EXPECT_EQ(kt_error_wrap(status, body.data(), body.size(), &out).code, KT_OK);
    std::string s(out.data, out.len);
    kt_buf_free(&out);
    kt_json j;
    EXPECT_EQ(kt_json_parse(&j, s.data(), s.size(), nullptr).code, KT_OK) << s;
    kt_json_free(&j);
    return s;
}

std::string shape(const std::string &message, const std::string &type, const std::string &param,
                  const std::string &code)
{
    return "{\"error\":{\"message\":\"" + message + "\",\"type\":\"" + type + "\",\"param\":" + param +
           ",\"code\":" + code + "}}";
}

TEST(ErrorWrap, KnowsTheShapesOfProviders)
{
    EXPECT_EQ(wrap(422, "{\"object\":\"error\",\"message\":{\"detail\":[{\"type\":\"extra_forbidden\","
                        "\"loc\":[\"body\",\"messages\",0,\"name\"],\"msg\":\"Extra inputs are not "
                        "permitted\",\"input\":\"secret\"},{\"loc\":[\"body\",\"x\"],\"msg\":\"m2\"}]},"
                        "\"type\":\"invalid_request_error\",\"param\":null,\"code\":null}"),
              shape("body.messages.0.name: Extra inputs are not permitted; body.x: m2",
                    "invalid_request_error", "null", "null"));
    EXPECT_EQ(wrap(422, "{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"bad\"}]}"),
              shape("body: bad", "invalid_request_error", "null", "null"));
    EXPECT_EQ(wrap(401, "{\"detail\":\"Unauthorized\"}"),
              shape("Unauthorized", "authentication_error", "null", "null"));
    EXPECT_EQ(wrap(401, "{\"message\":\"Unauthorized\",\"request_id\":\"r\"}"),
              shape("Unauthorized", "authentication_error", "null", "null"));
    EXPECT_EQ(
        wrap(
            429,
            "{\"object\":\"error\",\"message\":\"Rate limit "
            "exceeded\",\"type\":\"rate_limited\",\"param\":null,\"code\":\"1300\",\"raw_status_code\":429}"),
        shape("Rate limit exceeded", "rate_limited", "null", "\"1300\""));
    EXPECT_EQ(wrap(400, "{\"message\":\"m\",\"code\":3230,\"param\":\"p\"}"),
              shape("m", "invalid_request_error", "\"p\"", "\"3230\""));
    EXPECT_EQ(
        wrap(404, "{\"error\":{\"message\":\"no such "
                  "model\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"model_not_found\"}}"),
        shape("no such model", "invalid_request_error", "null", "\"model_not_found\""));
    EXPECT_EQ(wrap(500, "{\"error\":\"model not loaded\"}"),
              shape("model not loaded", "server_error", "null", "null"));
    EXPECT_EQ(wrap(400, "[{\"error\":{\"message\":\"listed\",\"code\":400}}]"),
              shape("listed", "invalid_request_error", "null", "\"400\""));
    EXPECT_EQ(wrap(400, "{\"message\":\"q\\\"\\u0000\\u0001\\n\xc3\xa9\"}"),
              shape("q\\\"\\u0000\\u0001\\n\xc3\xa9", "invalid_request_error", "null", "null"));
}

TEST(ErrorWrap, AnythingElseIsAPlainMessage)
{
    for (const char *b :
         {"", "<html><body>502 Bad Gateway</body></html>", "{\"message\":", "null", "[]", "{}",
          "{\"message\":null}", "{\"message\":{}}", "{\"message\":[]}", "{\"error\":null}", "{\"error\":[1]}",
          "{\"detail\":[1,null,{\"msg\":1}]}", "\xff\xfe", "{\"message\":\"\"}", "{\"message\":42}"})
        EXPECT_EQ(wrap(502, b),
                  shape("The model provider answered with HTTP status 502 and no readable error message",
                        "server_error", "null", "null"))
            << b;
    kt_buf out = KT_BUF_INIT(1000);
    EXPECT_EQ(kt_error_wrap(503, nullptr, 0, &out).code, KT_OK);
    kt_buf_free(&out);
}

TEST(ErrorWrap, EchoIsShortAndStaysUtf8)
{
    for (size_t pad = 0; pad < 4; pad++) {
        std::string e;
        for (int i = 0; i < 5000; i++)
            e += "\xe2\x82\xac";
        std::string w = wrap(400, "{\"message\":\"" + std::string(pad, 'a') + e + "\",\"type\":\"" + e +
                                      "\",\"code\":\"" + e + "\",\"param\":\"" + e + "\"}");
        EXPECT_LT(w.size(), 2048u + 60);
    }
    std::string details = "{\"detail\":[";
    for (int i = 0; i < 5000; i++)
        details += "{\"loc\":[\"a\"],\"msg\":\"mmmmmmmm\"},";
    EXPECT_LT(wrap(422, details + "{}]}").size(), 1700u);
}

TEST(Usage, IsReadFromAnswersAndChunks)
{
    auto read = [](const std::string &s) {
        kt_usage u{};
        bool known = kt_usage_read(s.data(), s.size(), &u);
        EXPECT_EQ(known, u.known);
        return known ? std::to_string(u.prompt_tokens) + "/" + std::to_string(u.completion_tokens) + "/" +
                           std::to_string(u.total_tokens) + "/" + std::to_string(u.cached_tokens)
                     : std::string("none");
    };
    EXPECT_EQ(read("{\"id\":1,\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7,"
                   "\"prompt_tokens_details\":{\"cached_tokens\":2}}}"),
              "3/4/7/2");
    EXPECT_EQ(read("{\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"num_cached_tokens\":1}}"),
              "3/4/7/1");
    EXPECT_EQ(read("{\"usage\":{\"prompt_tokens\":3,\"prompt_tokens_details\":null}}"), "3/0/3/0");
    EXPECT_EQ(read("{\"usage\":{\"prompt_tokens\":5.0,\"completion_tokens\":6e0,\"total_tokens\":1.1E+1}}"), "5/6/11/0");
    for (const char *s :
         {"", "[DONE]", "{}", "{\"usage\":null}", "{\"usage\":[]}", "{\"usage\":{}}",
          "{\"usage\":{\"prompt_tokens\":\"3\"}}", "{\"usage\":{\"prompt_tokens\":-3}}",
          "{\"usage\":{\"prompt_tokens\":1.5}}", "{\"usage\":{\"prompt_tokens\":99999999999999999999999}}",
          "{\"x\":{\"usage\":{\"prompt_tokens\":1}}}",
          "{\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\": 5\"}}]}",
          "[{\"usage\":{\"prompt_tokens\":1}}]", "{\"usage\":{\"prompt_tokens\":1}"})
        EXPECT_EQ(read(s), "none") << s;
}

} // namespace
