/* SPDX-License-Identifier: Apache-2.0 */
#include "pii_texts.hpp"
#include "policy_fixture.hpp"

#include "policyengine/detect/kt_pii.h"

#include <gtest/gtest.h>
#include <random>

using policy_test::Policy;
using policy_test::Result;
using policy_test::Yaml;

TEST(Pii, FindsAndNames)
{
    Policy pii(Yaml{"{}"}, "pii-detector");
    for (auto &c : pii_texts::found)
        EXPECT_EQ(pii.whole(c.text).text, c.redacted) << c.text;
}

TEST(Pii, LeavesAlone)
{
    Policy pii(Yaml{"{}"}, "pii-detector");
    for (const char *text : pii_texts::innocent) {
        Result r = pii.whole(text);
        EXPECT_EQ(r.text, text);
        EXPECT_EQ(r.verdict, KT_VERDICT_ALLOW) << text;
    }
}

TEST(Pii, SameValueKeepsItsName)
{
    Policy pii(Yaml{"{}"}, "pii-detector");
    Result r = pii.whole("a@b.com c@d.com a@b.com 10.0.0.1");
    EXPECT_EQ(r.text, "[EMAIL_1] [EMAIL_2] [EMAIL_1] [IP_1]");
    EXPECT_EQ(r.labels, "email:3 ip:1 ");
    EXPECT_EQ(r.verdict, KT_VERDICT_REDACT);
    EXPECT_EQ(r.reason, "pii.detected");
}

TEST(Pii, Block)
{
    Policy pii(Yaml{"{action: block}"}, "pii-detector");
    Result r = pii.whole("write to jane.roe@example.org or call +44 20 7946 0018");
    EXPECT_EQ(r.verdict, KT_VERDICT_BLOCK);
    EXPECT_EQ(r.reason, "pii.detected");
    EXPECT_NE(r.message.find("pii-detector"), std::string::npos);
    EXPECT_EQ(r.message.find("jane"), std::string::npos) << "a message never quotes";
    EXPECT_EQ(pii.whole("nothing here").verdict, KT_VERDICT_ALLOW);
}

TEST(Pii, PciModeOff)
{
    Policy pii(Yaml{"{pci_mode: false}"}, "pii-detector");
    EXPECT_EQ(pii.whole("card 4111 1111 1111 1111, a@b.com").text, "card 4111 1111 1111 1111, [EMAIL_1]");
}

/* The promise of the detector: wherever a stream is cut, what leaves is what the whole text would have
 * become. */
TEST(PiiStream, EverySplitPoint)
{
    Policy pii(Yaml{"{}"}, "pii-detector");
    auto texts = pii_texts::all();
    ASSERT_GE(texts.size(), 100u);
    for (const std::string &text : texts) {
        Result whole = pii.whole(text);
        for (size_t at = 0; at <= text.size(); at++) {
            Result cut = pii.run({text.substr(0, at), text.substr(at)});
            ASSERT_EQ(cut.text, whole.text) << "cut at " << at << " of " << text;
            ASSERT_EQ(cut.labels, whole.labels) << "cut at " << at << " of " << text;
            ASSERT_EQ(cut.step, KT_STEP_DONE);
        }
    }
}

TEST(PiiStream, ByteByByteAndInRandomPieces)
{
    Policy pii(Yaml{"{}"}, "pii-detector");
    std::mt19937 random(11);
    std::string long_text;
    for (const std::string &text : pii_texts::all()) {
        Result whole = pii.whole(text);
        std::vector<std::string> bytes;
        for (char c : text)
            bytes.emplace_back(1, c);
        bytes.emplace_back("");
        EXPECT_EQ(pii.run(bytes).text, whole.text) << text;
        long_text += text + (random() % 2 ? " " : "\n");
    }
    Result whole = pii.whole(long_text);
    for (int round = 0; round < 30; round++) {
        std::vector<std::string> pieces;
        for (size_t at = 0; at < long_text.size();) {
            size_t n = 1 + random() % (round < 15 ? 8 : 90);
            pieces.push_back(long_text.substr(at, n));
            at += n;
        }
        pieces.emplace_back("");
        ASSERT_EQ(pii.run(pieces).text, whole.text);
    }
}

TEST(PiiStream, JsonSourceAtEverySplitPoint)
{
    Policy pii(Yaml{"{}"}, "pii-detector");
    for (auto &c : pii_texts::tool_calls) {
        Result whole = pii.whole(c.text, KT_FROM_TOOL_CALL);
        EXPECT_EQ(whole.text, c.redacted);
        std::string text = c.text;
        for (size_t at = 0; at <= text.size(); at++)
            ASSERT_EQ(pii.run({text.substr(0, at), text.substr(at)}, KT_FROM_TOOL_CALL).text, whole.text)
                << "cut at " << at << " of " << text;
    }
}

TEST(PiiStream, HoldsLittle)
{
    Policy pii(Yaml{"{}"}, "pii-detector");
    std::string prose;
    for (int i = 0; i < 50; i++)
        prose += "The quick brown fox, 37 years old, jumps over 12 lazy dogs (and a cat) at 10:45. ";
    std::vector<std::string> bytes;
    for (char c : prose)
        bytes.emplace_back(1, c);
    Result r = pii.run(bytes);
    EXPECT_EQ(r.text, prose);
    EXPECT_LE(r.most_held, 24u);
    std::string digits(3000, '7'), word(3000, 'x'), table;
    for (int i = 0; i < 500; i++)
        table += "12 345 ";
    for (const std::string &hostile : {digits, word, table, std::string(3000, ':'), std::string(3000, '.')}) {
        bytes.clear();
        for (char c : hostile)
            bytes.emplace_back(1, c);
        bytes.emplace_back("");
        Result h = pii.run(bytes);
        EXPECT_EQ(h.text, hostile);
        EXPECT_LE(h.most_held, 72u) << hostile.substr(0, 8);
    }
}

TEST(PiiStream, WindowsOfSeveralSegmentsDoNotMix)
{
    Policy pii(Yaml{"{}"}, "pii-detector");
    const kt_policy *p = kt_policy_find("pii-detector");
    std::vector<char> opts(p->options_size, 0);
    const void *o = opts.data();
    kt_chain *chain = nullptr;
    kt_chain_run *r = nullptr;
    ASSERT_EQ(kt_chain_new_from(&p, &o, 1, &chain, nullptr).code, KT_OK);
    ASSERT_EQ(kt_chain_run_new(chain, KT_PHASE_RESPONSE, false, nullptr, &r).code, KT_OK);
    kt_text a{0, KT_FROM_ASSISTANT, "mail joh", 8, 0, false, false, false},
        b{1, KT_FROM_ASSISTANT, "n@example.com ", 14, 0, false, false, false};
    EXPECT_EQ(kt_chain_run_text(r, &a), KT_STEP_DONE);
    EXPECT_EQ(kt_chain_run_hold_from(r, 0), 5u);
    EXPECT_EQ(kt_chain_run_text(r, &b), KT_STEP_DONE);
    size_t n = 0;
    const kt_redaction *red = kt_chain_run_redactions(r, &n);
    ASSERT_EQ(n, 1u);
    EXPECT_EQ(red[0].segment, 1u);
    EXPECT_EQ(red[0].start, 0u);
    kt_chain_run_free(r);
    kt_chain_free(chain);
}

TEST(Pii, AnyBytesAreSurvived)
{
    Policy pii(Yaml{"{}"}, "pii-detector");
    std::mt19937 random(3);
    const std::string alphabet("0123456789+-.() :@%abcdefz/\\\"u\n\0\xc3\xa9\xe2\x80\x93\xff", 38);
    for (int round = 0; round < 3000; round++) {
        std::string text;
        for (unsigned n = random() % 120; n > 0; n--)
            text += round % 3 ? alphabet[random() % alphabet.size()] : static_cast<char>(random());
        enum kt_origin_class from = round % 2 ? KT_FROM_USER : KT_FROM_TOOL_CALL;
        Result whole = pii.whole(text, from);
        ASSERT_EQ(whole.step, KT_STEP_DONE);
        size_t at = text.empty() ? 0 : random() % text.size();
        Result cut = pii.run({text.substr(0, at), text.substr(at)}, from);
        ASSERT_EQ(cut.text, whole.text) << "round " << round << " cut at " << at;
    }
}

TEST(Pii, KindsAreKnownByLabel)
{
    size_t n = 0;
    const kt_pii_kind *const *kinds = kt_pii_kinds(&n);
    ASSERT_GE(n, 25u);
    for (size_t i = 0; i < n; i++)
        EXPECT_EQ(kt_pii_bit(kinds[i]->label), 1u << i);
    EXPECT_EQ(kt_pii_bit("nothing"), 0u);
}
