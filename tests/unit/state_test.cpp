// SPDX-License-Identifier: Apache-2.0
#include "state_fixture.hpp"

#include <cmath>
#include <map>

namespace {

using namespace state;

class State : public StateTest {};

TEST_F(State, LostEventsAreCountedForAll)
{
    kt_state *a = open(), *b = open();
    EXPECT_EQ(kt_state_lost_events(b), 0u);
    kt_state_event_lost(a);
    kt_state_event_lost(b);
    EXPECT_EQ(kt_state_lost_events(a), 2u);
    EXPECT_EQ(kt_state_lost_events(open()), 2u);
    kt_state_event_lost(nullptr);
    EXPECT_EQ(kt_state_lost_events(nullptr), 0u);
}

TEST_F(State, KeysTellPartsApart)
{
    auto two = [](const char *a, const char *b) { return kt_key_text(kt_key_text(KT_KEY_SEED, a), b); };
    EXPECT_NE(two("ab", "c"), two("a", "bc"));
    EXPECT_NE(two("", "x"), two(nullptr, "x"));
    EXPECT_NE(kt_key_number(KT_KEY_SEED, 1), kt_key_number(KT_KEY_SEED, 2));
    EXPECT_EQ(two("a", "b"), two("a", "b"));
}

TEST_F(State, ATargetIsTheSameForEveryMapping)
{
    kt_state *a = open(), *b = open();
    ASSERT_TRUE(kt_state_is_shared(a) && kt_state_is_shared(b));
    kt_breaker_rules r = rules(1);
    kt_breaker_failure(kt_state_target(a, 7, kNow), &r, KT_PERMIT_YES, kNow, -1);
    int64_t wait = 0;
    EXPECT_EQ(kt_breaker_enter(kt_state_target(b, 7, kNow), &r, kNow, &wait), KT_PERMIT_NO);
    EXPECT_EQ(wait, 1000);
    EXPECT_EQ(kt_breaker_enter(kt_state_target(b, 8, kNow), &r, kNow, &wait), KT_PERMIT_YES);
}

TEST_F(State, BreakerGoesThroughItsStates)
{
    kt_tstate *t = kt_state_target(open(), 7, kNow);
    kt_breaker_rules r = rules(3, 1000, 2);
    int64_t wait = -1;
    unsigned failures = 0;
    kt_breaker_failure(t, &r, KT_PERMIT_YES, kNow, -1);
    kt_breaker_failure(t, &r, KT_PERMIT_YES, kNow, -1);
    EXPECT_EQ(kt_breaker_look(t, &r, kNow, &failures, &wait), KT_BREAKER_CLOSED);
    EXPECT_EQ(failures, 2u);
    kt_breaker_success(t, &r, KT_PERMIT_YES); // in a row, or not at all
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(kt_breaker_enter(t, &r, kNow, &wait), KT_PERMIT_YES) << i;
        kt_breaker_failure(t, &r, KT_PERMIT_YES, kNow, -1);
    }
    EXPECT_EQ(kt_breaker_enter(t, &r, kNow + 999, &wait), KT_PERMIT_NO);
    EXPECT_EQ(wait, 1);
    EXPECT_EQ(kt_breaker_look(t, &r, kNow + 1000, nullptr, &wait), KT_BREAKER_OPEN);
    EXPECT_EQ(wait, 0);
    // Half open: two trials, no third, and both must go well.
    EXPECT_EQ(kt_breaker_enter(t, &r, kNow + 1000, &wait), KT_PERMIT_TRIAL);
    EXPECT_EQ(kt_breaker_enter(t, &r, kNow + 1000, &wait), KT_PERMIT_TRIAL);
    EXPECT_EQ(kt_breaker_enter(t, &r, kNow + 1000, &wait), KT_PERMIT_NO);
    EXPECT_GT(wait, 0);
    kt_breaker_success(t, &r, KT_PERMIT_YES); // a call from before it opened says nothing
    EXPECT_EQ(kt_breaker_look(t, &r, kNow + 1000, nullptr, nullptr), KT_BREAKER_HALF_OPEN);
    kt_breaker_success(t, &r, KT_PERMIT_TRIAL);
    EXPECT_EQ(kt_breaker_look(t, &r, kNow + 1000, nullptr, nullptr), KT_BREAKER_HALF_OPEN);
    kt_breaker_success(t, &r, KT_PERMIT_TRIAL);
    EXPECT_EQ(kt_breaker_look(t, &r, kNow + 1000, &failures, nullptr), KT_BREAKER_CLOSED);
    EXPECT_EQ(failures, 0u);
}

TEST_F(State, OpenTimeDoublesUpToItsCap)
{
    kt_tstate *t = kt_state_target(open(), 7, kNow);
    kt_breaker_rules r = rules(1, 100000);
    uint64_t now = kNow;
    int64_t wait = 0;
    kt_breaker_failure(t, &r, KT_PERMIT_YES, now, -1);
    for (int64_t want : {100000, 200000, 400000, 600000, 600000}) {
        EXPECT_EQ(kt_breaker_enter(t, &r, now, &wait), KT_PERMIT_NO);
        EXPECT_EQ(wait, want);
        now += static_cast<uint64_t>(want);
        ASSERT_EQ(kt_breaker_enter(t, &r, now, &wait), KT_PERMIT_TRIAL);
        kt_breaker_failure(t, &r, KT_PERMIT_YES, now, -1); // not the trial's: changes nothing
        kt_breaker_failure(t, &r, KT_PERMIT_TRIAL, now, -1);
    }
    // Closed once, it begins with the short time again.
    now += 600000;
    ASSERT_EQ(kt_breaker_enter(t, &r, now, &wait), KT_PERMIT_TRIAL);
    kt_breaker_success(t, &r, KT_PERMIT_TRIAL);
    kt_breaker_failure(t, &r, KT_PERMIT_YES, now, -1);
    EXPECT_EQ(kt_breaker_enter(t, &r, now, &wait), KT_PERMIT_NO);
    EXPECT_EQ(wait, 100000);
}

TEST_F(State, RetryAfterIsTheBaseOfTheOpenTime)
{
    kt_tstate *t = kt_state_target(open(), 7, kNow);
    kt_breaker_rules r = rules(1, 30000);
    int64_t wait = 0;
    kt_breaker_failure(t, &r, KT_PERMIT_YES, kNow, 2000);
    EXPECT_EQ(kt_breaker_enter(t, &r, kNow, &wait), KT_PERMIT_NO);
    EXPECT_EQ(wait, 2000);
    ASSERT_EQ(kt_breaker_enter(t, &r, kNow + 2000, &wait), KT_PERMIT_TRIAL);
    kt_breaker_failure(t, &r, KT_PERMIT_TRIAL, kNow + 2000, 3000);
    EXPECT_EQ(kt_breaker_enter(t, &r, kNow + 2000, &wait), KT_PERMIT_NO);
    EXPECT_EQ(wait, 6000);
    kt_tstate *other = kt_state_target(all[0], 8, kNow);
    kt_breaker_failure(other, &r, KT_PERMIT_YES, kNow, INT64_MAX); // nobody can switch a target off for ever
    EXPECT_EQ(kt_breaker_enter(other, &r, kNow, &wait), KT_PERMIT_NO);
    EXPECT_EQ(wait, KT_BREAKER_ASKED_MS);
}

TEST_F(State, ATrialThatNeverEndsIsForgotten)
{
    kt_tstate *t = kt_state_target(open(), 7, kNow);
    kt_breaker_rules r = rules(1, 1000, 1);
    int64_t wait = 0;
    kt_breaker_failure(t, &r, KT_PERMIT_YES, kNow, -1);
    ASSERT_EQ(kt_breaker_enter(t, &r, kNow + 1000, &wait), KT_PERMIT_TRIAL);
    EXPECT_EQ(kt_breaker_enter(t, &r, kNow + 5999, &wait), KT_PERMIT_NO);
    EXPECT_EQ(kt_breaker_enter(t, &r, kNow + 6000, &wait), KT_PERMIT_TRIAL) << "its time (5 s) is over";
    kt_breaker_release(t, KT_PERMIT_TRIAL); // the client went away: no verdict, the place is free again
    EXPECT_EQ(kt_breaker_enter(t, &r, kNow + 6001, &wait), KT_PERMIT_TRIAL);
    kt_breaker_success(t, &r, KT_PERMIT_TRIAL);
    EXPECT_EQ(kt_breaker_look(t, &r, kNow + 6001, nullptr, nullptr), KT_BREAKER_CLOSED);
}

TEST_F(State, WithoutABreakerEverythingPasses)
{
    kt_tstate *t = kt_state_target(open(), 7, kNow);
    kt_breaker_rules r = rules(1);
    r.enabled = false;
    int64_t wait = 0;
    for (int i = 0; i < 100; i++)
        kt_breaker_failure(t, &r, KT_PERMIT_YES, kNow, -1);
    EXPECT_EQ(kt_breaker_enter(t, &r, kNow, &wait), KT_PERMIT_YES);
    EXPECT_EQ(kt_target_failing_ms(t, kNow + 5), 5u);
    kt_breaker_success(t, &r, KT_PERMIT_YES);
    EXPECT_EQ(kt_target_failing_ms(t, kNow + 5), UINT64_MAX);
}

TEST_F(State, NothingIsKnownOfNoTarget)
{
    kt_breaker_rules r = rules(1);
    int64_t wait = 0;
    kt_breaker_failure(nullptr, &r, KT_PERMIT_YES, kNow, 5);
    kt_breaker_success(nullptr, &r, KT_PERMIT_YES);
    kt_breaker_release(nullptr, KT_PERMIT_TRIAL);
    kt_samples_add(nullptr, KT_SAMPLE_TTFB, 1, kNow);
    kt_probe_set(nullptr, true, 200, kNow);
    kt_lease_drop(nullptr);
    EXPECT_EQ(kt_breaker_enter(nullptr, &r, kNow, &wait), KT_PERMIT_YES);
    EXPECT_EQ(kt_samples_read(nullptr, KT_SAMPLE_TTFB, 1000, kNow).count, 0u);
    EXPECT_FALSE(kt_probe_get(nullptr, kNow).known);
    EXPECT_EQ(kt_state_target(nullptr, 1, kNow), nullptr);
    uint64_t first = kt_sequence_next(nullptr, 1, kNow);
    EXPECT_EQ(kt_sequence_next(nullptr, 1, kNow), first + 1);
    kt_window w = {KT_WINDOW_RATE, 1, 1000};
    EXPECT_TRUE(kt_window_take(nullptr, &w, kNow, 5, 1).ok);
}

TEST_F(State, SamplesCountWithinTheWindowOfWhoAsks)
{
    kt_tstate *t = kt_state_target(open(), 7, kNow);
    for (int i = 0; i < 10; i++)
        kt_samples_add(t, KT_SAMPLE_TTFB, 100, kNow + static_cast<uint64_t>(i) * 10000);
    EXPECT_EQ(kt_samples_read(t, KT_SAMPLE_TTFB, 300000, kNow + 90000).count, 10u);
    EXPECT_EQ(kt_samples_read(t, KT_SAMPLE_TTFB, 25000, kNow + 90000).count, 3u);
    EXPECT_EQ(kt_samples_read(t, KT_SAMPLE_TTFB, 25000, kNow + 900000).count, 0u);
    EXPECT_EQ(kt_samples_read(t, KT_SAMPLE_SPEED, 300000, kNow + 90000).count, 0u);
    EXPECT_EQ(kt_samples_read(t, KT_SAMPLE_TTFB, 300000, kNow + 95000).newest_age_ms, 5000u);
    for (double odd : {-1.0, std::nan(""), HUGE_VAL})
        kt_samples_add(t, KT_SAMPLE_TTFB, odd, kNow + 90000);
    EXPECT_EQ(kt_samples_read(t, KT_SAMPLE_TTFB, 300000, kNow + 90000).count, 10u);
}

TEST_F(State, NewSamplesWeighMore)
{
    kt_tstate *t = kt_state_target(open(), 7, kNow);
    kt_samples_add(t, KT_SAMPLE_TTFB, 100, kNow);
    kt_samples_add(t, KT_SAMPLE_TTFB, 400, kNow + 25000); // a quarter of the window later: twice the weight
    kt_samples s = kt_samples_read(t, KT_SAMPLE_TTFB, 100000, kNow + 25000);
    EXPECT_NEAR(s.mean, 300, 1);
    for (int i = 0; i < 1000; i++)
        kt_samples_add(t, KT_SAMPLE_TTFB, 50, kNow + 26000);
    s = kt_samples_read(t, KT_SAMPLE_TTFB, 100000, kNow + 26000);
    EXPECT_EQ(s.count, static_cast<unsigned>(KT_SAMPLES_MAX));
    EXPECT_NEAR(s.mean, 50, 0.01);
}

TEST_F(State, WindowsAreFixedAndExact)
{
    kt_state *s = open();
    kt_window w = {KT_WINDOW_RATE, 42, 1000};
    for (int i = 0; i < 3; i++) {
        kt_window_result r = kt_window_take(s, &w, kNow + 100, 1, 3);
        EXPECT_TRUE(r.ok);
        EXPECT_EQ(r.used, i);
    }
    kt_window_result r = kt_window_take(s, &w, kNow + 400, 1, 3);
    EXPECT_FALSE(r.ok);
    EXPECT_EQ(r.left_ms, 600);
    EXPECT_TRUE(kt_window_take(s, &w, kNow + 1000, 1, 3).ok) << "the next window";
    EXPECT_FALSE(kt_window_take(s, &w, kNow + 1000, 3, 3).ok) << "an amount is taken whole or not at all";
    EXPECT_TRUE(kt_window_take(s, &w, kNow + 1000, 2, 3).ok);
    kt_window other = {KT_WINDOW_RATE, 43, 1000};
    EXPECT_TRUE(kt_window_take(s, &other, kNow + 1000, 3, 3).ok);
}

TEST_F(State, ATakeIsCorrectedInItsOwnWindow)
{
    kt_state *s = open();
    kt_window w = {KT_WINDOW_RATE, 42, 1000};
    EXPECT_TRUE(kt_window_take(s, &w, kNow, 100, 1000).ok);
    kt_window_settle(s, &w, kNow, kNow + 10, -40);
    EXPECT_EQ(kt_window_take(s, &w, kNow + 20, 0, 1000).used, 60);
    kt_window_settle(s, &w, kNow, kNow + 10, -400);
    EXPECT_EQ(kt_window_take(s, &w, kNow + 20, 0, 1000).used, 0);
    kt_window_settle(s, &w, kNow, kNow + 1500, -10);
    EXPECT_EQ(kt_window_take(s, &w, kNow + 1500, 7, 1000).used, 0);
    kt_window_settle(s, &w, kNow, kNow + 1500, -5);
    EXPECT_EQ(kt_window_take(s, &w, kNow + 1500, 0, 1000).used, 7) << "what was taken before is not given back now";
    kt_window_settle(s, &w, kNow, kNow + 1500, 5);
    EXPECT_EQ(kt_window_take(s, &w, kNow + 1500, 0, 1000).used, 12) << "but what was used is paid for";
}

TEST_F(State, AClockSetBackGivesNoFreshWindow)
{
    kt_state *s = open();
    kt_window w = {KT_WINDOW_SPEND, 42, 86400000};
    const uint64_t midnight = 20000ull * 86400000;
    EXPECT_TRUE(kt_window_take(s, &w, midnight + 5, 900, 1000).ok);
    EXPECT_FALSE(kt_window_take(s, &w, midnight - 5, 900, 1000).ok);
    EXPECT_TRUE(kt_window_take(s, &w, midnight - 5, 50, 1000).ok);
    EXPECT_EQ(kt_window_take(s, &w, midnight + 5, 0, 1000).used, 950);
}

TEST_F(State, FullTablesDegradeAndNeverFail)
{
    kt_state *s = open();
    kt_breaker_rules r = rules(1);
    for (uint64_t i = 1; i <= 1000; i++) // 512 have a place in the file
        EXPECT_NE(kt_state_target(s, i * 0x9e3779b97f4a7c15ull, kNow), nullptr);
    kt_tstate *last = kt_state_target(s, 1000 * 0x9e3779b97f4a7c15ull, kNow);
    kt_breaker_failure(last, &r, KT_PERMIT_YES, kNow, -1);
    int64_t wait = 0;
    EXPECT_EQ(kt_breaker_enter(kt_state_target(s, 1000 * 0x9e3779b97f4a7c15ull, kNow), &r, kNow, &wait), KT_PERMIT_NO);
    size_t without = 0; // a process has room for as many again; then nothing is known of the rest
    for (uint64_t i = 1; i <= 5000; i++)
        without += kt_state_target(s, i * 0x9e3779b97f4a7c15ull, kNow) == nullptr;
    EXPECT_GT(without, 3000u);
    // Windows: a flood of users may end up sharing, but nobody gets in past a limit.
    size_t passed = 0;
    for (uint64_t i = 1; i <= 20000; i++) {
        kt_window w = {KT_WINDOW_RATE, i * 0x9e3779b97f4a7c15ull, 60000};
        passed += kt_window_take(s, &w, kNow, 1, 1).ok;
        EXPECT_FALSE(kt_window_take(s, &w, kNow, 1, 1).ok);
    }
    EXPECT_GE(passed, 4096u);
    for (uint64_t i = 1; i <= 5000; i++)
        kt_sequence_next(s, i * 0x9e3779b97f4a7c15ull, kNow);
    // Forgotten places are taken again.
    kt_window w = {KT_WINDOW_RATE, 5, 60000};
    EXPECT_TRUE(kt_window_take(s, &w, kNow + 120000, 1, 1).ok);
    const uint64_t later = kNow + 8ull * 86400000;
    kt_tstate *t = kt_state_target(s, 99991, later);
    ASSERT_NE(t, nullptr);
    EXPECT_EQ(kt_breaker_enter(t, &r, later, &wait), KT_PERMIT_YES) << "nothing of the one before";
}

TEST_F(State, ProbeResultsAndLeases)
{
    kt_state *s = open();
    kt_tstate *t = kt_state_target(s, 7, kNow);
    EXPECT_FALSE(kt_probe_get(t, kNow).known);
    kt_probe_set(t, false, 0, kNow);
    kt_probe_set(t, false, 503, kNow + 10);
    kt_probe p = kt_probe_get(t, kNow + 20);
    EXPECT_TRUE(p.known && !p.ok && p.failures == 2 && p.status == 503 && p.age_ms == 10) << p.failures << p.status;
    kt_probe_set(t, true, 200, kNow + 20);
    p = kt_probe_get(t, kNow + 20);
    EXPECT_TRUE(p.known && p.ok && p.failures == 0 && p.status == 200);

    EXPECT_TRUE(kt_lease_take(t, kNow, 5000));
    EXPECT_TRUE(kt_lease_take(t, kNow, 5000)) << "ours already";
    EXPECT_TRUE(in_children(4, [&](int) { return !kt_lease_take(t, kNow + 1000, 5000); })) << "one prober only";
    EXPECT_TRUE(in_children(1, [&](int) { return kt_lease_take(t, kNow + 7000, 60000); })) << "its time was over";
    EXPECT_TRUE(kt_lease_take(t, kNow + 8000, 5000)) << "the holder is dead";
    kt_lease_drop(t);
    EXPECT_TRUE(in_children(1, [&](int) { return kt_lease_take(t, kNow + 8001, 5000); }));
}

} // namespace
