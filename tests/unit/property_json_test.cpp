/* SPDX-License-Identifier: Apache-2.0 */
/* Redaction leaves JSON that was JSON, in strings within strings too, however a stream is cut; and no quotes
 * in what is none. */
#include "property_chain.hpp"

#include "policyengine/body/kt_json.h"
#include "policyengine/body/kt_json_place.h"

#include <gtest/gtest.h>

using namespace property;

namespace {

const char *const digits5 =
    "pack: {name: t, version: 1.0.0, enabled: true}\npolicies: {chain: [dlp-filter]}\npolicy:\n"
    "  dlp-filter: {secrets: false, detect_patterns: ['[0-9]{5}', 'ru', '(?i)nblue']}\n";

bool is_json(const std::string &s)
{
    kt_json j = {};
    bool is = kt_json_parse(&j, s.data(), s.size(), nullptr).code == KT_OK;
    kt_json_free(&j);
    return is;
}

std::string string_of(const std::string &s)
{
    kt_buf b = KT_BUF_INIT(1u << 20);
    EXPECT_EQ(kt_buf_json(&b, s.data(), s.size()).code, KT_OK);
    std::string out = "\"" + std::string(b.data ? b.data : "", b.len) + "\"";
    kt_buf_free(&b);
    return out;
}

void every_cut(const Chain &c, kt_origin_class from, const std::string &text, const std::string &want)
{
    for (size_t size = 1; size <= text.size(); size++)
        ASSERT_EQ(windows(c, KT_PHASE_RESPONSE, from, text, [size] { return size; }).text, want)
            << text << " by " << size;
}

struct Case {
    const char *text, *want;
};

const Case as_json[] = {
    {"{\"phone\": 4155552671}", "{\"phone\": \"[PHONE_1]\"}"},
    {" \n[4111111111111111, 5,4111111111111111]\n", " \n[\"[CARD_1]\", 5,\"[CARD_1]\"]\n"},
    {"{\"p\": \"4111111111111111\", \"q\": [{\"r\": 4111111111111111 }]}",
     "{\"p\": \"[CARD_1]\", \"q\": [{\"r\": \"[CARD_1]\" }]}"},
    {"{\"nest\":\"{\\\"phone\\\": 4111111111111111}\"}", "{\"nest\":\"{\\\"phone\\\": \\\"[CARD_1]\\\"}\"}"},
    {"{\"n\":\"{\\\"m\\\":\\\"[-4111111111111111]\\\"}\"}",
     "{\"n\":\"{\\\"m\\\":\\\"[\\\\\\\"[CARD_1]\\\\\\\"]\\\"}\"}"},
    {"{\"n\":\"{\\n\\\"m\\\":\\n4111111111111111\\n}\"}",
     "{\"n\":\"{\\n\\\"m\\\":\\n\\\"[CARD_1]\\\"\\n}\"}"},
    {"{\"n\":\"\\u007b\\u0022m\\u0022: 4111111111111111}\"}",
     "{\"n\":\"\\u007b\\u0022m\\u0022: \\\"[CARD_1]\\\"}\"}"},
};

/* Strings in arguments, and whole texts, that only look like it for a while. */
const Case no_json[] = {
    {"[1] see 4111111111111111", "[1] see [CARD_1]"},
    {"[1], 4111111111111111", "[1], [CARD_1]"},
    {"[note] 4111111111111111", "[note] [CARD_1]"},
    {"{phone: 4111111111111111}", "{phone: [CARD_1]}"},
    {"[4111-1111-1111-1111]", "[[CARD_1]]"},
    {"[+14155552671]", "[[PHONE_1]]"},
    {"(see {\"phone\": 4111111111111111})", "(see {\"phone\": [CARD_1]})"},
    {"{\"a\": 1} {\"phone\": 4111111111111111}", "{\"a\": 1} {\"phone\": [CARD_1]}"},
    {"{\"a\" 4111111111111111}", "{\"a\" [CARD_1]}"},
    {"[\"a\\q\", 4111111111111111]", "[\"a\\q\", [CARD_1]]"},
    {"[01, 4111111111111111]", "[01, [CARD_1]]"},
    {"[1}, [4111111111111111]", "[1}, [[CARD_1]]"},
    {"4111111111111111", "[CARD_1]"},
};

TEST(PropertyJson, StaysJson)
{
    Chain pii(yaml_of("pii-detector"));
    every_cut(pii, KT_FROM_ASSISTANT, R"({"n":"{\"m\":\u00204111111111111111}"})",
              R"({"n":"{\"m\":\u0020\"[CARD_1]\"}"})");
    for (const Case &k : as_json) {
        ASSERT_TRUE(is_json(k.text) && is_json(k.want)) << k.want;
        every_cut(pii, KT_FROM_ASSISTANT, k.text, k.want);
        every_cut(pii, KT_FROM_TOOL, k.text, k.want);
        every_cut(pii, KT_FROM_TOOL_CALL, k.text, k.want);
        every_cut(pii, KT_FROM_TOOL_CALL, "{\"in\": " + string_of(k.text) + "}",
                  "{\"in\": " + string_of(k.want) + "}");
    }
}

TEST(PropertyJson, WhatIsNoneGetsNoQuotes)
{
    Chain pii(yaml_of("pii-detector"));
    for (const Case &k : no_json) {
        every_cut(pii, KT_FROM_ASSISTANT, k.text, k.want);
        std::string in = "{\"in\": " + string_of(k.text) + "}", want = "{\"in\": " + string_of(k.want) + "}";
        every_cut(pii, KT_FROM_TOOL_CALL, in, want);
        every_cut(pii, KT_FROM_ASSISTANT, in, want);
    }
}

/* A part of a number, a word or an escape takes all of it. */
TEST(PropertyJson, NothingIsTakenInPart)
{
    Chain c(digits5);
    const Case cases[] = {
        {"[-123456.5e1, true,{\"a\":12345}]", "[\"[PATTERN_1]\", \"[PATTERN_2]\",{\"a\":\"[PATTERN_1]\"}]"},
        {"{\"a\":\"x\\nblue\"}", "{\"a\":\"x[PATTERN_1]\"}"},
        {"{\"a\":\"[\\\"x\\\\nblue\\\"]\"}", "{\"a\":\"[\\\"x[PATTERN_1]\\\"]\"}"},
    };
    for (const Case &k : cases) {
        ASSERT_TRUE(is_json(k.want)) << k.want;
        every_cut(c, KT_FROM_ASSISTANT, k.text, k.want);
        every_cut(c, KT_FROM_ASSISTANT, "[" + string_of(k.text) + "]", "[" + string_of(k.want) + "]");
    }
}

TEST(PropertyJson, DeeperThanItLooks)
{
    Chain pii(yaml_of("pii-detector"));
    std::string text = "[4111111111111111]", want = "[\"[CARD_1]\"]";
    for (int level = 1; level < 7; level++) {
        text = "[" + string_of(text) + "]";
        want = "[" + string_of(want) + "]";
        EXPECT_EQ(windows(pii, KT_PHASE_RESPONSE, KT_FROM_ASSISTANT, text, [] { return size_t(7); }).text,
                  want);
        EXPECT_EQ(
            windows(pii, KT_PHASE_RESPONSE, KT_FROM_ASSISTANT, text, [] { return size_t(1u << 20); }).text,
            want);
    }
    for (size_t n : {63, 64, 65, 300}) { /* past the limit it is text */
        std::string open(n, '['), close(n, ']');
        bool json = n <= KT_JSON_NESTED;
        EXPECT_EQ(windows(pii, KT_PHASE_RESPONSE, KT_FROM_ASSISTANT, open + "4111111111111111" + close,
                          [] { return size_t(9); })
                      .text,
                  open + (json ? "\"[CARD_1]\"" : "[CARD_1]") + close);
    }
}

/* The tracker agrees with the parser about every text of few bytes that matter, and with itself in pieces. */
TEST(PropertyJson, TrackerKnowsWhatJsonIs)
{
    const std::string bytes = "[]{}\",:\\u0-1.etrue \n";
    std::mt19937 rng(7);
    unsigned whole = 0;
    for (int i = 0; i < 300000; i++) {
        std::string s = i % 2 ? "[" : "{\"";
        for (size_t n = rng() % 9; n > 0; n--)
            s += bytes[rng() % bytes.size()];
        s += i % 2 ? "]" : "}";
        kt_json_track t;
        kt_json_track_start(&t, false);
        for (char c : s)
            kt_json_track_read(&t, &c, 1);
        ASSERT_EQ(t.at, s.size());
        if (is_json(s)) {
            whole++;
            ASSERT_TRUE(kt_json_track_place(&t).json) << s;
            ASSERT_EQ(t.level[0].depth, 0) << s;
        } else if (kt_json_track_place(&t).json) { /* may yet become one */
            ASSERT_TRUE(t.level[0].depth > 0) << s;
        }
    }
    EXPECT_GT(whole, 500u);
}

} // namespace
