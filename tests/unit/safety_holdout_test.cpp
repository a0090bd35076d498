/* SPDX-License-Identifier: Apache-2.0 */
/* What safety-filter does to texts that it was not made from: counted, not listed. */
#include "policy_fixture.hpp"
#include "safety_holdout.hpp"

#include <gtest/gtest.h>
#include <map>

using policy_test::Policy;

TEST(SafetyHoldout, FewLookAlikesAreFlagged)
{
    Policy policy("safety-filter"), standard("safety-filter", {{"mode", "standard"}});
    size_t n = 0, strict_hits = 0, standard_hits = 0;
    for (const char *text : safety_holdout::look_alikes) {
        n++;
        strict_hits += policy.whole(text).verdict != KT_VERDICT_ALLOW;
        standard_hits += standard.whole(text).verdict != KT_VERDICT_ALLOW;
    }
    RecordProperty("look_alikes_flagged_strict", static_cast<int>(strict_hits));
    EXPECT_GE(n, 150u);
    EXPECT_LE(strict_hits * 100, n * 5) << strict_hits << " of " << n;
    EXPECT_LE(standard_hits, strict_hits);
}

TEST(SafetyHoldout, RecallInEveryLanguage)
{
    Policy policy("safety-filter");
    std::map<std::string, std::pair<size_t, size_t>> by_lang;
    for (auto &h : safety_holdout::harmful) {
        by_lang[h.lang].second++;
        by_lang[h.lang].first += policy.whole(h.text).verdict == KT_VERDICT_BLOCK;
    }
    EXPECT_EQ(by_lang.size(), 5u);
    for (auto &l : by_lang)
        EXPECT_GE(l.second.first * 2, l.second.second) << l.first << ": " << l.second.first;
}

TEST(SafetyHoldout, ScoresRankHarmAboveLookAlikes)
{
    Policy policy("safety-filter");
    double above = 0, pairs = 0;
    std::vector<double> low;
    for (const char *text : safety_holdout::look_alikes)
        low.push_back(policy.whole(text).score);
    for (auto &h : safety_holdout::harmful) {
        double score = policy.whole(h.text).score;
        EXPECT_GE(score, 0) << "scores are reported also where a text passes";
        EXPECT_LE(score, 1);
        for (double l : low) {
            above += score > l ? 1 : score == l ? 0.5 : 0;
            pairs++;
        }
    }
    EXPECT_GE(above / pairs, 0.9);
}
