/* SPDX-License-Identifier: Apache-2.0 */
/* Merged redactions, held windows, placeholders. */
#include "chain_fixture.hpp"
#include "policyengine/chain/kt_redactions.h"
#include "slow.hpp"

#include <gtest/gtest.h>
#include <random>

using namespace chain_test;

namespace {

struct Range {
    size_t start, end;
};

std::string merged(const std::vector<std::vector<Range>> &by_policy)
{
    Chain c(by_policy.size());
    static const char *const texts[] = {"A", "B", "C", "D"};
    for (size_t p = 0; p < by_policy.size(); p++)
        c[p].text = [&by_policy, p](const kt_text *, kt_sink *s) {
            for (const Range &r : by_policy[p])
                redact(s, r.start, r.end, texts[p]);
            return KT_STEP_DONE;
        };
    EXPECT_EQ(c.text(std::string(100, 'x')), KT_STEP_DONE);
    EXPECT_FALSE(c.outcome().internal_error);
    return c.redactions();
}

} // namespace

TEST(ChainMerge, EarlierPolicyWinsAndTheRestIsCovered)
{
    EXPECT_EQ(merged({{{10, 20}}, {}}), "0:10-20=A ");
    EXPECT_EQ(merged({{{10, 20}}, {{30, 40}}}), "0:10-20=A 0:30-40=B ");
    EXPECT_EQ(merged({{{30, 40}}, {{10, 20}}}), "0:10-20=B 0:30-40=A ");
    EXPECT_EQ(merged({{{10, 20}}, {{20, 30}}}), "0:10-20=A 0:20-30=B ") << "touching is not overlapping";
    EXPECT_EQ(merged({{{10, 20}}, {{15, 25}}}), "0:10-25=A ");
    EXPECT_EQ(merged({{{10, 20}}, {{5, 15}}}), "0:5-20=A ");
    EXPECT_EQ(merged({{{10, 20}}, {{5, 25}}}), "0:5-25=A ");
    EXPECT_EQ(merged({{{5, 25}}, {{10, 20}}}), "0:5-25=A ");
    EXPECT_EQ(merged({{{10, 20}, {30, 40}}, {{15, 35}}}), "0:10-30=A 0:30-40=A ");
    EXPECT_EQ(merged({{{10, 20}, {30, 40}}, {{5, 50}}}), "0:5-30=A 0:30-50=A ");
    EXPECT_EQ(merged({{{10, 20}}, {{5, 15}, {18, 30}}}), "0:5-30=A ");
    EXPECT_EQ(merged({{{10, 20}, {15, 30}}}), "0:10-30=A ") << "a policy that overlaps itself";
    EXPECT_EQ(merged({{}, {{10, 20}}, {{15, 25}, {50, 60}}}), "0:10-25=B 0:50-60=C ");
}

TEST(ChainMerge, NoByteThatAPolicyWantedGoneStays)
{
    std::mt19937 random(7);
    for (int round = 0; round < 500; round++) {
        std::vector<std::vector<Range>> by_policy(1 + random() % 4);
        std::string want(100, ' ');
        for (auto &list : by_policy)
            for (unsigned n = random() % 6; n > 0; n--) {
                size_t start = random() % 99,
                       end = start + 1 + random() % (100 - start - 1 ? 100 - start - 1 : 1);
                list.push_back({start, end});
                want.replace(start, end - start, end - start, '#');
            }
        Chain c(by_policy.size());
        for (size_t p = 0; p < by_policy.size(); p++)
            c[p].text = [&, p](const kt_text *, kt_sink *s) {
                for (const Range &r : by_policy[p])
                    redact(s, r.start, r.end, "x");
                return KT_STEP_DONE;
            };
        ASSERT_EQ(c.text(std::string(100, 'x')), KT_STEP_DONE);
        std::string got(100, ' ');
        size_t n = 0, before = 0;
        const kt_redaction *r = kt_chain_run_redactions(c.run(), &n);
        for (size_t i = 0; i < n; i++) {
            ASSERT_GE(r[i].start, before) << "ascending and without overlaps";
            ASSERT_LT(r[i].start, r[i].end);
            before = r[i].end;
            got.replace(r[i].start, r[i].end - r[i].start, r[i].end - r[i].start, '#');
        }
        ASSERT_EQ(got, want);
    }
}

TEST(ChainMerge, SegmentsAreSeparateAndSorted)
{
    Chain c(1);
    c[0].text = [](const kt_text *t, kt_sink *s) {
        redact(s, 0, t->segment + 1, "x");
        return KT_STEP_DONE;
    };
    EXPECT_EQ(c.text("abcd", 0, true, 2), KT_STEP_DONE);
    EXPECT_EQ(c.text("abcd", 0, true, 0), KT_STEP_DONE);
    EXPECT_EQ(c.text("abcd", 0, true, 1), KT_STEP_DONE);
    EXPECT_EQ(c.redactions(), "0:0-1=x 1:0-2=x 2:0-3=x ");
}

TEST(ChainHold, TheEarliestPolicyDecides)
{
    Chain c(3);
    c[0].text = [](const kt_text *, kt_sink *s) {
        s->hold_from(s, 7);
        return KT_STEP_DONE;
    };
    c[1].text = [](const kt_text *, kt_sink *s) {
        s->hold_from(s, 9);
        s->hold_from(s, 4);
        s->hold_from(s, 6);
        return KT_STEP_DONE;
    };
    EXPECT_EQ(kt_chain_run_hold_from(c.run(), 0), 0u);
    EXPECT_EQ(c.text("0123456789", 0, false), KT_STEP_DONE);
    EXPECT_EQ(kt_chain_run_hold_from(c.run(), 0), 4u);
    EXPECT_EQ(c.text("456789ab", 4, true), KT_STEP_DONE);
    EXPECT_EQ(kt_chain_run_hold_from(c.run(), 0), 12u) << "nothing is held at the end";
    EXPECT_EQ(c.outcome().policies[0].bytes, 12u) << "bytes that are shown again count once";
}

TEST(ChainHold, NeverGoesBack)
{
    Chain c(1);
    c[0].text = [](const kt_text *t, kt_sink *s) {
        s->hold_from(s, t->base == 0 ? 5 : 0); /* the second wish comes too late */
        return KT_STEP_DONE;
    };
    EXPECT_EQ(c.text("0123456789", 0, false), KT_STEP_DONE);
    EXPECT_EQ(kt_chain_run_hold_from(c.run(), 0), 5u);
    EXPECT_EQ(c.text("56789abc", 5, false), KT_STEP_DONE);
    EXPECT_EQ(kt_chain_run_hold_from(c.run(), 0), 5u);
}

TEST(ChainHold, NoRedactionLiesAcrossIt)
{
    Chain c(2);
    c[0].text = [](const kt_text *t, kt_sink *s) {
        if (t->base <= 3)
            redact(s, 3, 8, "[A]");
        return KT_STEP_DONE;
    };
    c[1].text = [](const kt_text *t, kt_sink *s) {
        if (!t->final)
            s->hold_from(s, 6);
        return KT_STEP_DONE;
    };
    EXPECT_EQ(c.text("0123456789", 0, false), KT_STEP_DONE);
    EXPECT_EQ(kt_chain_run_hold_from(c.run(), 0), 3u) << "half of a redacted range cannot be sent";
    EXPECT_EQ(c.text("3456789", 3, true), KT_STEP_DONE);
    EXPECT_EQ(c.redactions(), "0:3-8=[A] ");
    EXPECT_EQ(c.outcome().policies[0].matches, 1u) << "the same range again is the same match";
}

TEST(ChainHold, WhatWasReleasedCannotBeRedacted)
{
    Chain c(1);
    c[0].text = [](const kt_text *t, kt_sink *s) {
        if (t->base == 5)
            redact(s, 2, 8, "[A]");
        return KT_STEP_DONE;
    };
    EXPECT_EQ(c.text("01234", 0, false), KT_STEP_DONE);
    EXPECT_EQ(c.text("56789", 5, false), KT_STEP_ERROR);
    EXPECT_EQ(c.redactions(), "0:5-8=[A] ") << "what can still be covered is covered";
    EXPECT_TRUE(c.outcome().internal_error);
}

TEST(ChainHold, StoppedReleasesNothingMore)
{
    Chain c(1);
    c[0].text = [](const kt_text *t, kt_sink *s) {
        if (t->base > 0)
            s->stop(s, KT_VERDICT_BLOCK, "test.blocked", -1, "no");
        return KT_STEP_DONE;
    };
    EXPECT_EQ(c.text("01234", 0, false), KT_STEP_DONE);
    EXPECT_EQ(c.text("56789", 5, false), KT_STEP_DONE);
    EXPECT_EQ(kt_chain_run_hold_from(c.run(), 0), 5u);
}

TEST(Placeholders, SameValueSameName)
{
    kt_placeholders *p = kt_placeholders_new();
    ASSERT_NE(p, nullptr);
    const char *a = kt_placeholders_name(p, "EMAIL", "a@b.com", 7, false);
    EXPECT_STREQ(a, "[EMAIL_1]");
    EXPECT_STREQ(kt_placeholders_name(p, "EMAIL", "c@d.com", 7, false), "[EMAIL_2]");
    EXPECT_STREQ(kt_placeholders_name(p, "CARD", "a@b.com", 7, false), "[CARD_1]");
    EXPECT_STREQ(kt_placeholders_name(p, "EMAIL", "", 0, false), "[EMAIL_3]");
    EXPECT_STREQ(kt_placeholders_name(p, "EMAIL", "a\0b", 3, false), "[EMAIL_4]");
    EXPECT_STREQ(kt_placeholders_name(p, "EMAIL", "a\0c", 3, false), "[EMAIL_5]");
    for (int i = 0; i < 2000; i++) {
        std::string v = "value" + std::to_string(i);
        kt_placeholders_name(p, "X", v.data(), v.size(), false);
    }
    EXPECT_EQ(kt_placeholders_name(p, "EMAIL", "a@b.com", 7, false), a) << "stable while the table grows";
    EXPECT_STREQ(kt_placeholders_name(p, "X", "value1234", 9, false), "[X_1235]");
    kt_placeholders_free(p);
}

TEST(Placeholders, Bounded)
{
    kt_placeholders *p = kt_placeholders_new();
    std::string big(KT_PLACEHOLDERS_BYTES / 2, 'x');
    EXPECT_STREQ(kt_placeholders_name(p, "A", big.data(), big.size(), false), "[A_1]");
    big[0] = 'y';
    EXPECT_STREQ(kt_placeholders_name(p, "A", big.data(), big.size(), false), "[A_2]");
    big[0] = 'z';
    EXPECT_STREQ(kt_placeholders_name(p, "A", big.data(), big.size(), false), "[A]")
        << "no room: shared, still redacted";
    for (unsigned i = 1; i < KT_PLACEHOLDER_KINDS; i++)
        kt_placeholders_name(p, ("K" + std::to_string(i)).c_str(), "", 0, false);
    EXPECT_STREQ(kt_placeholders_name(p, "ONE_TOO_MANY", "v", 1, false), "[REDACTED]");
    kt_placeholders_free(p);
    kt_placeholders_free(nullptr);
}

TEST(Placeholders, CarryOverFromRequestToResponse)
{
    kt_placeholders *names = kt_placeholders_new();
    Chain c(1);
    std::string got;
    c[0].text = [&](const kt_text *t, kt_sink *s) {
        got += s->placeholder(s, "EMAIL", t->data, t->len, false);
        return KT_STEP_DONE;
    };
    for (enum kt_phase phase : {KT_PHASE_REQUEST, KT_PHASE_RESPONSE}) {
        kt_chain_run *r = nullptr;
        ASSERT_EQ(kt_chain_run_new(c.chain(), phase, false, names, &r).code, KT_OK);
        kt_text t{0, KT_FROM_USER, "a@b.com", 7, 0, true, false, false};
        EXPECT_EQ(kt_chain_run_text(r, &t), KT_STEP_DONE);
        kt_chain_run_free(r);
    }
    EXPECT_EQ(got, "[EMAIL_1][EMAIL_1]");
    kt_placeholders_free(names);
}

/* No clock: looked for among those of all segments, each redaction would take minutes. */
TEST(ChainMerge, SegmentsDoNotLookThroughEachOthersRedactions)
{
    const size_t n = slow::fewer(400000, 100);
    Chain c(1);
    c[0].text = [](const kt_text *, kt_sink *s) {
        redact(s, 0, 3, "[X]");
        return KT_STEP_DONE;
    };
    for (size_t i = 0; i < n; i++)
        ASSERT_EQ(c.text("abc", 0, true, static_cast<unsigned>(i)), KT_STEP_DONE);
    size_t count = 0;
    kt_chain_run_redactions(c.run(), &count);
    EXPECT_EQ(count, n);
}

/* A find that begins behind the start of its number grows to it; the text in front is not read again for
 * each. */
TEST(ChainMerge, NumbersThatGrowDoNotReadTheTextAgain)
{
    const size_t n = slow::fewer(50000, 100), step = 6;
    Chain c(1);
    std::string text = "[";
    while (text.size() < 1 + n * step)
        text += "-4711,";
    text += "0]";
    c[0].text = [&](const kt_text *t, kt_sink *s) {
        for (size_t i = 0; i < n; i++) {
            const size_t start = 2 + i * step;
            const char *name = s->placeholder(s, "CARD", t->data + start, 4, true);
            s->redact(s, start, start + 4, name, strlen(name), "x");
        }
        return KT_STEP_DONE;
    };
    ASSERT_EQ(c.text(text), KT_STEP_DONE);
    size_t count = 0;
    const kt_redaction *r = kt_chain_run_redactions(c.run(), &count);
    ASSERT_EQ(count, n);
    for (size_t i = 0; i < n; i++) {
        ASSERT_EQ(r[i].start, 1 + i * step) << "the sign belongs to it";
        ASSERT_EQ(r[i].end, r[i].start + 5);
        ASSERT_EQ(std::string(r[i].text, r[i].len), "\"[CARD_1]\"")
            << "a name for each number, and none for a part";
    }
}

/* In a stream what is gone is not merged again: each window's redactions are, and the whole list is there. */
TEST(ChainMerge, AStreamMergesWhatItHolds)
{
    const size_t n = slow::fewer(200000, 100);
    Chain c(2);
    for (size_t p : {0u, 1u})
        c[p].text = [p](const kt_text *t, kt_sink *s) {
            if (t->len)
                redact(s, t->base + p, t->base + 3 + p, p ? "[B]" : "[A]");
            return KT_STEP_DONE;
        };
    kt_chain_run *run = c.run(false, KT_PHASE_RESPONSE);
    for (size_t i = 0; i < n; i++)
        for (unsigned segment : {1u, 0u})
            if (segment == 1 || i % 1000 == 0) {
                const size_t at = segment ? i : i / 1000;
                ASSERT_EQ(c.text("abcdefgh", at * 8, false, segment), KT_STEP_DONE);
                ASSERT_EQ(kt_chain_run_hold_from(run, segment), at * 8 + 8);
                size_t count = 0;
                kt_chain_run_redactions(run, &count);
                ASSERT_EQ(count, i + 1 + (segment ? (i + 999) / 1000 : i / 1000 + 1));
            }
    size_t count = 0, place = 0;
    const kt_redaction *r = kt_chain_run_redactions(run, &count);
    for (; place < (n + 999) / 1000; place++)
        ASSERT_TRUE(r[place].segment == 0 && r[place].start == place * 8 && r[place].end == place * 8 + 4);
    for (size_t i = 0; i < n; i++)
        ASSERT_TRUE(r[place + i].segment == 1 && r[place + i].start == i * 8 &&
                    r[place + i].end == i * 8 + 4);
}
