// SPDX-License-Identifier: Apache-2.0
// Many processes on one segment, and processes that are killed anywhere.
#include "state_fixture.hpp"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <random>
#include <set>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>

namespace {

using namespace state;

class StateProcess : public StateTest {};

TEST_F(StateProcess, FiftyProcessesCountAsOne)
{
    auto *seen = static_cast<std::atomic<uint8_t> *>(
        mmap(nullptr, 50000, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    std::string where = dir;
    EXPECT_TRUE(in_children(50, [&](int) {
        kt_state *s = nullptr; // each opens for itself: the file is made by one of them
        if (!kt_is_ok(kt_state_open(where.c_str(), &s)) || !kt_state_is_shared(s))
            return false;
        for (int i = 0; i < 1000; i++) {
            uint64_t n = kt_sequence_next(s, 77, kNow);
            if (n >= 50000 || seen[n].fetch_add(1) != 0)
                return false;
        }
        return true;
    }));
    EXPECT_EQ(kt_sequence_next(open(), 77, kNow), 50000u) << "none lost, none given twice";
    munmap(seen, 50000);
}

TEST_F(StateProcess, OneLimitForAll)
{
    std::string where = dir;
    auto *passed = static_cast<std::atomic<int> *>(
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    EXPECT_TRUE(in_children(50, [&](int) {
        kt_state *s = nullptr;
        if (!kt_is_ok(kt_state_open(where.c_str(), &s)))
            return false;
        kt_window w = {KT_WINDOW_RATE, 9, 60000};
        for (int i = 0; i < 100; i++)
            *passed += kt_window_take(s, &w, kNow, 1, 1234).ok;
        return true;
    }));
    EXPECT_EQ(*passed, 1234);
    munmap(passed, 4096);
}

TEST_F(StateProcess, ABreakerThatOneOpenedIsOpenForAll)
{
    kt_state *s = open();
    kt_breaker_rules r = rules(5, 60000);
    EXPECT_TRUE(in_children(5, [&](int) {
        kt_breaker_failure(kt_state_target(s, 7, kNow), &r, KT_PERMIT_YES, kNow, -1);
        return true;
    }));
    std::string where = dir;
    EXPECT_TRUE(in_children(49, [&](int) {
        kt_state *mine = nullptr;
        int64_t wait = 0;
        return kt_is_ok(kt_state_open(where.c_str(), &mine)) &&
               kt_breaker_enter(kt_state_target(mine, 7, kNow), &r, kNow, &wait) == KT_PERMIT_NO && wait == 60000;
    }));
    // Half open: of fifty that want to try, one may.
    auto *trials = static_cast<std::atomic<int> *>(
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    EXPECT_TRUE(in_children(50, [&](int) {
        int64_t wait = 0;
        *trials += kt_breaker_enter(kt_state_target(s, 7, kNow), &r, kNow + 60000, &wait) == KT_PERMIT_TRIAL;
        return true;
    }));
    EXPECT_EQ(*trials, 1);
    munmap(trials, 4096);
}

TEST_F(StateProcess, AllAgreeOnTheFileThatReplacesABadOne)
{
    for (int round = 0; round < 4; round++) {
        open();
        std::string path = file();
        std::filesystem::resize_file(path, 10); // nobody has it mapped any more
        std::string where = dir;
        uint64_t key = 1000 + static_cast<uint64_t>(round);
        EXPECT_TRUE(in_children(30, [&](int) {
            kt_state *s = nullptr;
            if (!kt_is_ok(kt_state_open(where.c_str(), &s)) || !kt_state_is_shared(s))
                return false;
            kt_sequence_next(s, key, kNow);
            return true;
        }));
        EXPECT_EQ(kt_sequence_next(open(), key, kNow), 30u) << "one of them counted in a file of its own";
        for (kt_state *s : all)
            kt_state_free(s);
        all.clear();
    }
}

// A machine that is so busy that nobody waits long enough for the lock; one that holds it was stopped, say.
TEST_F(StateProcess, AllAgreeWithoutTheLock)
{
    std::filesystem::create_directories(dir + "/state");
    int lock = ::open((dir + "/state/.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_EQ(flock(lock, LOCK_EX), 0);
    for (int round = 0; round < 3; round++) { // no file, and bad ones
        if (round)
            std::filesystem::resize_file(file(), 10);
        std::string where = dir;
        EXPECT_TRUE(in_children(30, [&](int) {
            kt_state *s = nullptr;
            if (!kt_is_ok(kt_state_open(where.c_str(), &s)) || !kt_state_is_shared(s))
                return false;
            kt_sequence_next(s, 5, kNow);
            return true;
        }));
        EXPECT_EQ(kt_sequence_next(open(), 5, kNow), 30u) << "round " << round;
        for (kt_state *s : all)
            kt_state_free(s);
        all.clear();
    }
    close(lock);
    for (const auto &e : std::filesystem::directory_iterator(dir + "/state"))
        EXPECT_NE(e.path().filename().string().rfind(".new-", 0), 0u) << "left behind: " << e.path();
}

// Does everything there is, for ever.
[[noreturn]] void churn(const std::string &where, unsigned seed, const kt_breaker_rules &r)
{
    std::mt19937 random(seed);
    for (;;) {
        kt_state *s = nullptr;
        if (!kt_is_ok(kt_state_open(where.c_str(), &s)))
            _exit(1);
        for (int i = 0; i < 50; i++) {
            uint64_t now = kNow + random() % 4000;
            kt_tstate *t = kt_state_target(s, random() % 4 ? 7 : random(), now);
            int64_t wait = 0;
            kt_permit p = kt_breaker_enter(t, &r, now, &wait);
            if (p != KT_PERMIT_NO && random() % 2)
                kt_breaker_failure(t, &r, p, now, random() % 2 ? -1 : 500);
            else if (p != KT_PERMIT_NO)
                kt_breaker_success(t, &r, p);
            kt_samples_add(t, KT_SAMPLE_TTFB, 100, now);
            kt_lease_take(t, now, 1000);
            kt_sequence_next(s, random() % 8, now);
            kt_window w = {random() % 2 ? KT_WINDOW_RATE : KT_WINDOW_SPEND, random() % 8, 60000};
            kt_window_take(s, &w, now, 1, 1000000);
        }
        kt_state_free(s);
    }
}

TEST_F(StateProcess, TwoHundredKilledProcessesLeaveAUsableSegment)
{
    std::mt19937 random(4);
    kt_breaker_rules r = rules(3, 1000, 2);
    for (unsigned i = 0; i < 200; i++) {
        if (i % 10 == 0 && i > 0 && !file().empty())
            std::filesystem::remove(file()); // also in the middle of making a new one
        std::string where = dir;
        pid_t pids[2];
        for (unsigned k = 0; k < 2; k++) {
            pids[k] = fork();
            if (pids[k] == 0)
                churn(where, i * 2 + k, r);
        }
        usleep(random() % 3000);
        for (pid_t pid : pids) {
            kill(pid, SIGKILL);
            int status = 0;
            waitpid(pid, &status, 0);
            ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
        }
    }
    uint64_t start = kt_state_now_ms();
    kt_state *s = open();
    EXPECT_TRUE(kt_state_is_shared(s)) << kt_state_problem(s);
    EXPECT_LT(kt_state_now_ms() - start, 5000u) << "nothing waits for the dead";
    kt_tstate *t = kt_state_target(s, 7, kNow);
    int64_t wait = 0;
    uint64_t later = kNow + 700000; // past every open time and every trial
    kt_permit p = kt_breaker_enter(t, &r, later, &wait);
    ASSERT_NE(p, KT_PERMIT_NO);
    for (int i = 0; i < 2 && p == KT_PERMIT_TRIAL; i++) {
        kt_breaker_success(t, &r, p);
        p = kt_breaker_enter(t, &r, later, &wait);
    }
    EXPECT_EQ(p, KT_PERMIT_YES) << "it closes again";
    EXPECT_TRUE(kt_lease_take(t, kNow, 1000)) << "a dead prober's lease is free";
    kt_window w = {KT_WINDOW_RATE, 3, 60000};
    kt_window_result got = kt_window_take(s, &w, kNow, 1, 1000000);
    EXPECT_TRUE(got.ok && got.used < 1000000);
}

} // namespace
