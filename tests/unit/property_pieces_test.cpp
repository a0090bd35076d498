/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy holds back of a stream it may count in bytes; what goes to the client is whole characters,
 * and in JSON source whole escapes. */
#include "policyengine/chain/kt_boundary.h"
#include "tests/unit/property_chain.hpp"

namespace {

using namespace property;

bool valid_utf8(const std::string &s)
{
    for (size_t i = 0; i < s.size();) {
        unsigned char c = static_cast<unsigned char>(s[i]);
        size_t n = c < 0x80 ? 1 : c < 0xC2 || c > 0xF4 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
        if (!n || i + n > s.size())
            return false;
        for (size_t k = 1; k < n; k++)
            if ((static_cast<unsigned char>(s[i + k]) & 0xC0) != 0x80)
                return false;
        i += n;
    }
    return true;
}

/* The piece begins outside of an escape: does it end so? */
bool whole_escapes(const std::string &s)
{
    for (size_t i = 0; i < s.size(); i++) {
        if (s[i] != '\\')
            continue;
        size_t n = i + 1 < s.size() && s[i + 1] == 'u' ? 6 : 2;
        if (i + n > s.size())
            return false;
        bool high = n == 6 && s[i + 2] == 'd' && (s[i + 3] == '8' || s[i + 3] == '9' || s[i + 3] > '9') &&
                    (s[i + 3] < 'c');
        if (high && (s.compare(i + 6, 2, "\\u") != 0 || i + 12 > s.size()))
            return false;
        i += n - 1;
    }
    return true;
}

std::vector<std::string> texts()
{
    return {"Größe und Straße, naïve café; née Ünï.",
            "日本語のテキストです。😀 Привет, как дела? password 😀é12 é",
            "Ça c'est l'été à Orléans — voilà « ok ». name: Jörgäß mail bob@exämple.de é4111111111111111é",
            "key é=AKIA"
            "IOSFODNN7EXAMPL2😀 \"tidewater\" ключ: 日本",
            "née@example.org 😀😀😀 Project Zanzibar é"};
}

std::string as_arguments(const std::string &text, bool escapes)
{
    std::string s = "{\"a\":\"";
    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] == '"')
            s += "\\\"";
        else if (escapes && text.compare(i, 2, "é") == 0)
            s += "\\u00e9", i++;
        else if (escapes && text.compare(i, 4, "😀") == 0)
            s += "\\ud83d\\ude00", i += 3;
        else
            s += text[i];
    }
    return s + "\\\\\",\"n\":12345}";
}

void check_pieces(const Chain &c, kt_origin_class from, const std::string &text)
{
    bool json = from == KT_FROM_TOOL_CALL;
    auto piece = [&](const std::string &p) {
        ASSERT_TRUE(valid_utf8(p)) << p << " of " << text;
        if (json) {
            ASSERT_TRUE(whole_escapes(p)) << p << " of " << text;
        }
    };
    for (size_t size = 1; size < 9; size++) {
        Said s = windows(
            c, KT_PHASE_RESPONSE, from, text, [size] { return size; }, piece);
        ASSERT_FALSE(s.error);
        if (testing::Test::HasFatalFailure())
            return;
    }
    for (size_t at = 1; at < text.size(); at++) {
        bool first = true;
        auto next = [&] {
            size_t n = first ? at : text.size();
            first = false;
            return n;
        };
        windows(c, KT_PHASE_RESPONSE, from, text, next, piece);
        if (testing::Test::HasFatalFailure())
            return;
    }
}

void check_all(const std::string &yaml)
{
    SCOPED_TRACE(yaml.substr(0, 400));
    Chain c(yaml);
    ASSERT_TRUE(c.chain);
    for (auto &t : texts()) {
        check_pieces(c, KT_FROM_ASSISTANT, t);
        check_pieces(c, KT_FROM_REASONING, t);
        check_pieces(c, KT_FROM_TOOL_CALL, as_arguments(t, false));
        check_pieces(c, KT_FROM_TOOL_CALL, as_arguments(t, true));
        if (testing::Test::HasFatalFailure())
            return;
    }
}

TEST(PropertyPieces, EveryPolicyAloneGivesWholeCharacters)
{
    size_t n;
    const kt_policy *const *all = kt_policies(&n);
    for (size_t i = 0; i < n; i++)
        if (all[i]->text && (all[i]->phases & KT_PHASE_RESPONSE)) {
            check_all(yaml_of(all[i]->kind));
            if (HasFatalFailure())
                return;
        }
}

/* Patterns are bytes: they hold, and match, wherever they like. */
TEST(PropertyPieces, PatternsThatCutCharacters)
{
    for (const char *p : {"EMP-[0-9]{4}", "[^a-z ]", "name: .{4}", "\\xa9", "[0-9a-f]{3}", "[\\\\]"})
        check_all("pack: {name: t, version: 1.0.0, enabled: true}\npolicies: {chain: [dlp-filter]}\npolicy:\n"
                  "  dlp-filter: {secrets: false, detect_patterns: ['" +
                  std::string(p) + "']}\n");
}

TEST(PropertyPieces, TheDefaultChain)
{
    check_all(default_yaml());
}

/* Arguments stay JSON where a part of a number is found, however they are cut. */
TEST(PropertyPieces, NumbersAreTakenWhole)
{
    struct Case {
        std::string yaml, text, want;
    };
    const std::vector<Case> cases = {
        {"pack: {name: t, version: 1.0.0, enabled: true}\npolicies: {chain: [dlp-filter]}\npolicy:\n"
         "  dlp-filter: {secrets: false, detect_patterns: ['[0-9]{5}']}\n",
         "{\"m\": [-123456.5, 100005, 1e5], \"n\": 12345, \"s\": \"-123456\"}",
         "{\"m\": [\"[PATTERN_1]\", \"[PATTERN_2]\", 1e5], \"n\": \"[PATTERN_1]\", \"s\": "
         "\"-[PATTERN_1]6\"}"},
        {yaml_of("pii-detector"), "{\"neg\": -4111111111111111, \"l\": [4111111111111111,5]}",
         "{\"neg\": \"[CARD_1]\", \"l\": [\"[CARD_1]\",5]}"},
    };
    for (const Case &k : cases) {
        Chain c(k.yaml);
        ASSERT_TRUE(c.chain);
        for (size_t size = 1; size <= k.text.size(); size++)
            EXPECT_EQ(windows(c, KT_PHASE_RESPONSE, KT_FROM_TOOL_CALL, k.text, [size] { return size; }).text,
                      k.want)
                << size;
    }
}

TEST(PropertyPieces, Boundaries)
{
    auto before = [](const std::string &s, size_t at, bool json) {
        return kt_boundary_before(s.data(), s.size(), at, json);
    };
    EXPECT_EQ(before("a\xc3\xa9z", 2, false), 1u);
    EXPECT_EQ(before("a\xc3\xa9z", 3, false), 3u);
    EXPECT_EQ(before("a\xf0\x9f\x98", 4, false), 1u) << "it goes on";
    EXPECT_EQ(before("\xa9\xa9\xa9\xa9", 3, false), 3u) << "no character at all";
    EXPECT_EQ(before("a\\n", 2, true), 1u);
    EXPECT_EQ(before("a\\n", 2, false), 2u);
    EXPECT_EQ(before("a\\\\n", 3, true), 3u);
    EXPECT_EQ(before("a\\\\\\n", 4, true), 3u);
    EXPECT_EQ(before("a\\u00e9", 4, true), 1u);
    EXPECT_EQ(before("a\\u00e9b", 7, true), 7u);
    EXPECT_EQ(before("a\\ud83d\\ude00", 9, true), 1u);
    EXPECT_EQ(before("a\\ud83d", 7, true), 1u) << "the other half may come";
    EXPECT_EQ(before("a\\ud83dx", 7, true), 7u) << "it did not";
    EXPECT_EQ(kt_boundary_behind("a\xc3\xa9z", 4, 2, false), 3u);
    EXPECT_EQ(kt_boundary_behind("\\u00e9z", 7, 3, true), 6u);
    EXPECT_EQ(kt_boundary_behind("a\xc3", 2, 2, false), 2u);
}

} // namespace
