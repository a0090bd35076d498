// SPDX-License-Identifier: Apache-2.0
#include "policyengine/body/kt_json.h"
#include "slow.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace {

struct Json {
    kt_json j{};
    std::string text;
    kt_error err{};
    kt_result r;
    explicit Json(std::string t) : text(std::move(t))
    {
        r = kt_json_parse(&j, text.data(), text.size(), &err);
    }
    ~Json()
    {
        kt_json_free(&j);
    }
    Json(const Json &) = delete;
    Json &operator=(const Json &) = delete;
};

std::string unescape(const kt_json &j, uint32_t tok)
{
    kt_buf b = KT_BUF_INIT(1 << 20);
    EXPECT_TRUE(kt_is_ok(kt_json_unescape(&j, tok, &b)));
    std::string s(b.data ? b.data : "", b.len);
    kt_buf_free(&b);
    EXPECT_EQ(kt_json_str_size(&j, tok), s.size()) << s;
    return s;
}

TEST(Json, AcceptsTheGrammar)
{
    for (const char *t :
         {"{}", "[]", " [ ] ", "null", "true", "false", "0", "-0", "-0.0e-0", "1E+2", "12.50", "\"\"",
          "[1,2 , 3]", "\t\r\n{ \"a\" : [ {} ] }\n", "\"\\u0000\\ud800\\b\\f\\n\\r\\t\\/\\\\\\\"\"",
          "\"\x7f\"",
          "\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"",
          "123456789012345678901234567890.5e99999"})
        EXPECT_EQ(Json(t).r.code, KT_OK) << t;
}

TEST(Json, RefusesWhatIsNotInTheGrammar)
{
    for (const char *t : {"",
                          " ",
                          "{",
                          "}",
                          "[",
                          "]",
                          "{]",
                          "[}",
                          "[1,]",
                          "[,1]",
                          "[1 2]",
                          "{,}",
                          "{\"a\"}",
                          "{\"a\":}",
                          "{\"a\":1,}",
                          "{\"a\" 1}",
                          "{a:1}",
                          "{'a':1}",
                          "{1:1}",
                          "{\"a\":1 \"b\":2}",
                          "[1]]",
                          "{}{}",
                          "1 2",
                          "nul",
                          "nulll",
                          "True",
                          "NaN",
                          "Infinity",
                          "-",
                          "+1",
                          "01",
                          "-01",
                          "1.",
                          ".5",
                          "1.e1",
                          "1e",
                          "1e+",
                          "0x1",
                          "1_0",
                          "\"",
                          "\"\\\"",
                          "\"\\x41\"",
                          "\"\\u12\"",
                          "\"\\u123g\"",
                          "\"\\U0041\"",
                          "\"\\",
                          "\"\\u",
                          "\"a\nb\"",
                          "\"\t\"",
                          "\"\x01\"",
                          "[1] // c",
                          "/* */ 1",
                          "\xef\xbb\xbf{}",
                          "[\"a\",",
                          "[1\x0b]",
                          "[tru]",
                          "{\"a\":1}}",
                          ":",
                          ","}) {
        Json j(t);
        EXPECT_EQ(j.r.code, KT_ERR_SYNTAX) << t;
        EXPECT_EQ(j.j.tok, nullptr);
        EXPECT_STRNE(j.err.text, "");
    }
    EXPECT_EQ(Json(std::string("[1]\0", 4)).r.code, KT_ERR_SYNTAX);
    EXPECT_EQ(Json(std::string("\"a\0b\"", 5)).r.code, KT_ERR_SYNTAX);
    EXPECT_EQ(Json(std::string("\"\\\0\"", 4)).r.code, KT_ERR_SYNTAX);
}

TEST(Json, RefusesInvalidUtf8WhereverItStandsInAWord)
{
    const char *bad[] = {"\x80",
                         "\xbf",
                         "\xc0\x80",
                         "\xc1\xbf",
                         "\xc2",
                         "\xc2\x41",
                         "\xe0\x80\x80",
                         "\xe0\x9f\xbf",
                         "\xe1\x80",
                         "\xed\xa0\x80",
                         "\xed\xbf\xbf",
                         "\xf0\x80\x80\x80",
                         "\xf0\x8f\xbf\xbf",
                         "\xf4\x90\x80\x80",
                         "\xf5\x80\x80\x80",
                         "\xff",
                         "\xfe",
                         "\xf0\x9f\x98"};
    for (const char *b : bad)
        for (size_t pad = 0; pad < 18; pad++)
            EXPECT_EQ(Json("\"" + std::string(pad, 'x') + b + "yyyyyyyyyyyyyyyyyy\"").r.code, KT_ERR_SYNTAX)
                << pad;
}

TEST(Json, EveryByteInsideAStringIsJudgedAtEveryOffset)
{
    for (size_t pad = 0; pad < 9; pad++)
        for (int c = 0; c < 128; c++) {
            std::string t = "\"" + std::string(pad, 'x') + static_cast<char>(c) + "yyyyyyyy\"";
            bool fine = c >= 0x20 && c != '"' && c != '\\';
            EXPECT_EQ(Json(t).r.code == KT_OK, fine) << pad << " " << c;
        }
}

TEST(Json, TruncationAtEveryByteIsAnError)
{
    std::string t = "{\"a\":[1.5e3,true,null,\"x\\u00e9\\ud83d\\ude00\xc3\xa9\"],\"b\":{\"c\":false}}";
    ASSERT_EQ(Json(t).r.code, KT_OK);
    for (size_t n = 0; n < t.size(); n++) {
        std::vector<char> exact(
            t.begin(), t.begin() + static_cast<long>(n)); // no slack: ASan sees every read past the end
        kt_json j;
        EXPECT_EQ(kt_json_parse(&j, exact.data(), exact.size(), nullptr).code, KT_ERR_SYNTAX) << n;
    }
}

TEST(Json, TokensAreRangesInDocumentOrder)
{
    Json d("{ \"a\" : [1, {\"b\":\"\\n\"}] , \"c\":null }");
    ASSERT_EQ(d.r.code, KT_OK);
    ASSERT_EQ(d.j.count, 9u);
    EXPECT_EQ(d.j.tok[0].size, 2u);
    EXPECT_EQ(d.j.tok[0].next, 9u);
    uint32_t a = kt_json_member(&d.j, 0, "a", nullptr);
    EXPECT_EQ(a, 2u);
    EXPECT_EQ(d.j.tok[a].size, 2u);
    EXPECT_EQ(d.j.tok[a].next, 7u);
    EXPECT_EQ(std::string(kt_json_raw(&d.j, a).data, kt_json_raw(&d.j, a).len), "[1, {\"b\":\"\\n\"}]");
    EXPECT_TRUE(d.j.tok[6].escaped);
    EXPECT_FALSE(d.j.tok[5].escaped);
    EXPECT_EQ(kt_json_member(&d.j, 0, "c", nullptr), 8u);
    EXPECT_EQ(kt_json_member(&d.j, 0, "b", nullptr), 0u) << "members of members are not members";
    EXPECT_EQ(kt_json_member(&d.j, a, "a", nullptr), 0u) << "not an object";
    EXPECT_EQ(kt_json_member(&d.j, 99, "a", nullptr), 0u);
}

TEST(Json, KeysCompareAfterUnescapingAndDuplicatesAreSeen)
{
    Json d("{\"m\\u0065ssages\":1,\"x\":2,\"messages\":3,\"messages2\":4,\"message\":5}");
    bool dup = false;
    EXPECT_EQ(kt_json_member(&d.j, 0, "messages", &dup), 6u) << "the last one, as most readers do";
    EXPECT_TRUE(dup);
    EXPECT_EQ(kt_json_member(&d.j, 0, "x", &dup), 4u);
    EXPECT_FALSE(dup);
    EXPECT_TRUE(kt_json_str_eq(&d.j, 1, "messages"));
    EXPECT_FALSE(kt_json_str_eq(&d.j, 1, "message"));
    EXPECT_FALSE(kt_json_str_eq(&d.j, 1, "messages2"));
    EXPECT_FALSE(kt_json_str_eq(&d.j, 2, "1")) << "a number is no string";
}

TEST(Json, UnescapesEverything)
{
    Json d("[\"\\\"\\\\\\/"
           "\\b\\f\\n\\r\\t\",\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\",\"a\\ud83dz\",\"\\ude00\","
           "\"\\ud83d\\ud83d\\ude00\",\"\\ud83d\\u0041\","
           "\"\\ud83d\\n\",\"a\\u0000b\",\"plain \xe2\x82\xac\",\"\\uDBFF\\uDFFF\",\"\\ud83d\"]");
    ASSERT_EQ(d.r.code, KT_OK);
    EXPECT_EQ(unescape(d.j, 1), "\"\\/\b\f\n\r\t");
    EXPECT_EQ(unescape(d.j, 2), "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    EXPECT_EQ(unescape(d.j, 3), "a\xef\xbf\xbdz");
    EXPECT_EQ(unescape(d.j, 4), "\xef\xbf\xbd");
    EXPECT_EQ(unescape(d.j, 5), "\xef\xbf\xbd\xf0\x9f\x98\x80");
    EXPECT_EQ(unescape(d.j, 6), "\xef\xbf\xbd"
                                "A");
    EXPECT_EQ(unescape(d.j, 7), "\xef\xbf\xbd\n");
    EXPECT_EQ(unescape(d.j, 8), std::string("a\0b", 3));
    EXPECT_EQ(unescape(d.j, 9), "plain \xe2\x82\xac");
    EXPECT_EQ(unescape(d.j, 10), "\xf4\x8f\xbf\xbf");
    EXPECT_EQ(unescape(d.j, 11), "\xef\xbf\xbd");
    kt_buf b = KT_BUF_INIT(2);
    EXPECT_EQ(kt_json_unescape(&d.j, 1, &b).code, KT_ERR_LIMIT);
    EXPECT_EQ(kt_json_unescape(&d.j, 0, &b).code, KT_ERR_STATE) << "an array has no text";
    kt_buf_free(&b);
}

TEST(Json, MapsOffsetsBackToRawPlaces)
{
    //           raw: 1 a, 2 \n (2), 4 é raw (2), 6 pair (12), 18 é as escape (6), 24 z, 25 quote
    Json d("\"a\\n\xc3\xa9\\ud83d\\ude00\\u00e9z\"");
    ASSERT_EQ(d.r.code, KT_OK);
    ASSERT_EQ(unescape(d.j, 0).size(), 11u);
    const size_t decoded[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 100};
    const size_t expect[] = {1, 2, 4, 4, 6, 6, 6, 6, 18, 18, 24, 25, 25, 25};
    size_t raw[14];
    kt_json_map_offsets(&d.j, 0, decoded, raw, 14);
    for (size_t i = 0; i < 14; i++)
        EXPECT_EQ(raw[i], expect[i]) << i;
    for (size_t i = 0; i < 14; i++) { // one by one gives the same as in a row
        size_t one;
        kt_json_map_offsets(&d.j, 0, &decoded[i], &one, 1);
        EXPECT_EQ(one, expect[i]) << i;
    }
}

TEST(Json, MapsOffsetsInTextWithoutEscapes)
{
    Json d("[\"ab\xe2\x82\xac"
           "c\"]");
    const size_t decoded[] = {0, 2, 3, 4, 5, 6};
    const size_t expect[] = {2, 4, 4, 4, 7, 8};
    size_t raw[6];
    kt_json_map_offsets(&d.j, 1, decoded, raw, 6);
    for (size_t i = 0; i < 6; i++)
        EXPECT_EQ(raw[i], expect[i]) << i;
}

TEST(Json, DepthIsCapped)
{
    std::string deep(KT_JSON_MAX_DEPTH, '['), close(KT_JSON_MAX_DEPTH, ']');
    EXPECT_EQ(Json(deep + close).r.code, KT_OK);
    EXPECT_EQ(Json("[" + deep + close + "]").r.code, KT_ERR_LIMIT);
    std::string objects;
    for (int i = 0; i <= KT_JSON_MAX_DEPTH; i++)
        objects += "{\"a\":";
    EXPECT_EQ(Json(objects).r.code, KT_ERR_LIMIT);
    EXPECT_EQ(Json(std::string(1 << 20, '[')).r.code, KT_ERR_LIMIT);
}

TEST(Json, TokensAreCapped)
{
    std::string t = "[";
    for (uint32_t i = 0; i + 2 < KT_JSON_MAX_TOKENS; i++)
        t += "0,";
    EXPECT_EQ(Json(t + "0]").r.code, KT_OK);
    EXPECT_EQ(Json(t + "0,0]").r.code, KT_ERR_LIMIT);
}

std::string repeat(const std::string &open, const std::string &unit, const std::string &close, size_t bytes)
{
    std::string t = open;
    while (t.size() < bytes)
        t += unit;
    return t + close;
}

// No clock: at this size a tokenizer that is quadratic in any of these shapes would run for hours.
TEST(Json, WorstCaseShapesEnd)
{
    const std::string shapes[][3] = {{"[", "[],", "[]]"},           {"[", "{\"a\":1},", "0]"},
                                     {"{", "\"a\":0,", "\"b\":0}"}, {"\"", "\\ud83d\\ude00", "\""},
                                     {"\"", "\\\\", "\""},          {"", " ", "0"}};
    for (const auto &s : shapes)
        EXPECT_EQ(Json(repeat(s[0], s[1], s[2], slow::fewer(8u << 20))).r.code, KT_OK) << s[1];
}

TEST(Json, SixtyFourMegabytesOfTextPass)
{
    std::string t = repeat("{\"messages\":[{\"content\":\"", "lorem ipsum dolor \\n", "\"}]}", slow::fewer(64u << 20));
    Json j(t);
    ASSERT_EQ(j.r.code, KT_OK);
    EXPECT_EQ(j.j.count, 6u);
}

} // namespace
