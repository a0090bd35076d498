/* SPDX-License-Identifier: Apache-2.0 */
/* Every kind of personal data: what is found, what is left alone, and that a cut changes neither. */
#include "pii_kinds_found.hpp"
#include "slow.hpp"
#include "pii_kinds_innocent.hpp"
#include "pii_writings.hpp"
#include "policy_fixture.hpp"

#include "policyengine/detect/kt_pii.h"
#include "policyengine/detect/kt_pii_words.h"

#include <gtest/gtest.h>

#include <cstring>

using policy_test::Policy;
using policy_test::Result;
using policy_test::Yaml;

TEST(PiiKinds, FindsAndNames)
{
    Policy pii(Yaml{"{}"}, "pii-detector");
    for (auto &c : pii_texts::kinds_found)
        EXPECT_EQ(pii.whole(c.text).text, c.redacted) << c.text;
    for (auto &c : pii_texts::writings_found)
        EXPECT_EQ(pii.whole(c.text).text, c.redacted) << c.text;
    EXPECT_GE(std::size(pii_texts::kinds_found), 150u);
}

TEST(PiiKinds, LeavesAlone)
{
    Policy pii(Yaml{"{}"}, "pii-detector");
    for (const char *text : pii_texts::kinds_innocent)
        EXPECT_EQ(pii.whole(text).text, text);
    for (const char *text : pii_texts::writings_innocent)
        EXPECT_EQ(pii.whole(text).text, text);
    EXPECT_GE(std::size(pii_texts::kinds_innocent), 150u);
}

namespace {

std::vector<std::string> chunks(const std::string &text, size_t size)
{
    std::vector<std::string> out;
    for (size_t at = 0; at < text.size(); at += size)
        out.push_back(text.substr(at, size));
    out.emplace_back("");
    return out;
}

/* The same text, its ASCII written as escapes of JSON source. */
std::string escaped(const std::string &text)
{
    std::string out = "{\"a\":\"";
    char buf[8];
    for (size_t i = 0; i < text.size(); i++) {
        unsigned char c = static_cast<unsigned char>(text[i]);
        bool plain = c >= 0x80 || i % 3;
        snprintf(buf, sizeof buf, "\\u%04x", c);
        out += !plain || c == '"' || c == '\\' || c < 0x20 ? std::string(buf) : std::string(1, text[i]);
    }
    return out + "\"}";
}

} // namespace

TEST(PiiKinds, ACutAnywhereChangesNothing)
{
    Policy pii(Yaml{"{healthcare_mode: true, kinds: {passport: on, driver_license: on}}"}, "pii-detector");
    std::vector<std::string> texts;
    for (auto &c : pii_texts::kinds_found)
        texts.push_back(std::string(c.text) + " \xe2\x80\x94 et cetera");
    for (const char *text : pii_texts::kinds_innocent)
        texts.emplace_back(text);
    for (auto &c : pii_texts::writings_found)
        texts.push_back(std::string(c.text) + " \xe2\x80\x94 et cetera");
    for (const char *text : pii_texts::writings_innocent)
        texts.emplace_back(text);
    texts.emplace_back("passport X12345678, licence MORGA-657054-SM9, MRN 00123456, member W123456789");
    for (const std::string &text : texts) {
        Result whole = pii.whole(text);
        for (size_t at = 0; at <= text.size(); at += slow::stride())
            ASSERT_EQ(pii.run({text.substr(0, at), text.substr(at)}).text, whole.text) << "cut at " << at;
        for (size_t size : {1, 2, 3, 7})
            ASSERT_EQ(pii.run(chunks(text, size)).text, whole.text) << "chunks of " << size;
    }
}

TEST(PiiKinds, ACutInEscapesChangesNothing)
{
    Policy pii(Yaml{"{}"}, "pii-detector");
    for (auto &c : pii_texts::kinds_found) {
        if (strchr(c.text, '\\'))
            continue; /* JSON in JSON: NestedEscapes */
        std::string text = escaped(c.text);
        Result whole = pii.whole(text, KT_FROM_TOOL_CALL);
        EXPECT_EQ(whole.labels, pii.whole(c.text).labels) << text;
        for (size_t at = 0; at <= text.size(); at += slow::stride())
            ASSERT_EQ(pii.run({text.substr(0, at), text.substr(at)}, KT_FROM_TOOL_CALL).text, whole.text)
                << "cut at " << at << " of " << text;
        ASSERT_EQ(pii.run(chunks(text, 1), KT_FROM_TOOL_CALL).text, whole.text) << text;
    }
}

TEST(PiiKinds, NestedEscapes)
{
    Policy pii(Yaml{"{}"}, "pii-detector");
    const std::string text =
        R"({"body": "{\"to\": \"No:\\n4111111111111111\", \"from\": \"a\\tann@example.org\"}", "x": "\\"})";
    const std::string gone =
        R"({"body": "{\"to\": \"No:\\n[CARD_1]\", \"from\": \"a\\t[EMAIL_1]\"}", "x": "\\"})";
    for (auto from : {KT_FROM_TOOL_CALL, KT_FROM_TOOL, KT_FROM_USER}) {
        EXPECT_EQ(pii.whole(text, from).text, gone);
        for (size_t at = 0; at <= text.size(); at++)
            ASSERT_EQ(pii.run({text.substr(0, at), text.substr(at)}, from).text, gone) << at;
    }
    const std::string slashes(100000, '\\');
    EXPECT_EQ(pii.whole(slashes).text, slashes);
    EXPECT_EQ(pii.run(chunks(slashes, 7)).text, slashes);
}

TEST(PiiKinds, OneLongTextInPiecesOfAnySize)
{
    Policy pii(Yaml{"{}"}, "pii-detector");
    std::string text;
    while (text.size() < 70000) /* more than one piece of the scanner */
        for (auto &c : pii_texts::kinds_found)
            text += std::string(c.text) + (text.size() % 3 ? ".\n" : " and ");
    Result whole = pii.whole(text);
    for (size_t size : {11, 1000, 16384, 16385, 40000})
        ASSERT_EQ(pii.run(chunks(text, size)).text, whole.text) << size;
}

TEST(PiiKinds, WordsAreSortedAndFound)
{
    struct Word {
        const char *word;
    };
    static const Word words[] = {
#define KT_PII_WORD(word, classes) {word},
#include "policyengine/detect/pii_words.def"
#undef KT_PII_WORD
    };
    for (auto &w : words)
        EXPECT_NE(kt_pii_word_classes(w.word, strlen(w.word)), 0u) << w.word;
    EXPECT_EQ(kt_pii_word_classes("T\xc3\x89L\xc3\x89PHONE", 11), KT_PII_W_PHONE);
    EXPECT_EQ(kt_pii_word_classes("te\xcc\x81le\xcc\x81phone", 13), KT_PII_W_PHONE) << "accents of their own";
    EXPECT_EQ(kt_pii_word_classes("f\xc3\xb8"
                                  "dselsnummer",
                                  14),
              KT_PII_W_NATIONAL);
    EXPECT_EQ(kt_pii_word_classes("phon", 4), 0u);
    EXPECT_EQ(kt_pii_word_classes("phonees", 7), 0u);
    EXPECT_EQ(kt_pii_word_classes("", 0), 0u);
    EXPECT_EQ(kt_pii_word_classes(std::string(500, 'a').c_str(), 500), 0u);
}

TEST(PiiKinds, ContextIsWholeWordsAndTheNearest)
{
    Policy pii(Yaml{"{}"}, "pii-detector");
    EXPECT_EQ(pii.whole("phoneNumber: 2125550187").text, "phoneNumber: [PHONE_1]");
    EXPECT_EQ(pii.whole("mobile_phone=2125550187").text, "mobile_phone=[PHONE_1]");
    EXPECT_EQ(pii.whole("saxophone 2125550187").text, "saxophone 2125550187");
    EXPECT_EQ(pii.whole("phone order 2125550187").text, "phone order 2125550187");
    EXPECT_EQ(pii.whole("order by phone 2125550187").text, "order by phone [PHONE_1]");
    EXPECT_EQ(pii.whole("call " + std::string(60, '.') + " 2125550187").verdict, KT_VERDICT_ALLOW);
    EXPECT_EQ(pii.whole("to phone@example.org 2125550187").text, "to [EMAIL_1] 2125550187")
        << "a word inside a value is no context";
}
