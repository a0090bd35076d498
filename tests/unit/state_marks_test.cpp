// SPDX-License-Identifier: Apache-2.0
// Marks of calls under way: who is told of which, when processes die.
#include "state_fixture.hpp"

#include <thread>

#include <sys/prctl.h>
#include <sys/syscall.h>

namespace {

using namespace state;

class StateMarks : public StateTest {
  protected:
    // What is left of a run: origins, each once.
    std::vector<kt_left_mark> left(kt_state *s, const char *run)
    {
        std::vector<kt_left_mark> out;
        alive = kt_marks_collect(
            s, kt_run_key(run),
            [](void *to, const kt_left_mark *m) { static_cast<std::vector<kt_left_mark> *>(to)->push_back(*m); },
            &out);
        return out;
    }
    static kt_mark mark(kt_state *s, const char *run, const char *host = "api.openai.com")
    {
        kt_run_keys keys = kt_run_keys_of(run);
        return kt_mark_set(s, &keys, host, 443, 1234567);
    }
    static pid_t child(const std::function<void()> &fn)
    {
        pid_t pid = fork();
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            fn();
            _exit(0);
        }
        return pid;
    }
    static void gone(pid_t pid)
    {
        int status = 0;
        ASSERT_EQ(waitpid(pid, &status, 0), pid);
    }
    size_t alive = 0;
};

TEST_F(StateMarks, AKilledProcessLeavesItsMarkAndAFinishedCallNone)
{
    kt_state *s = open();
    std::string where = dir;
    pid_t pid = child([&] {
        kt_state *own = nullptr;
        if (!kt_is_ok(kt_state_open(where.c_str(), &own)))
            _exit(1);
        kt_mark done = mark(own, "aa"), open = mark(own, "aa", "::1");
        kt_mark_clear(&done);
        kt_mark_clear(&done);
        (void)open;
        raise(SIGKILL);
    });
    gone(pid);
    EXPECT_TRUE(kt_marks_any(s, kt_run_key("aa")));
    EXPECT_TRUE(left(s, "bb").empty()) << "another run's";
    auto got = left(s, "aa");
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(got[0].pid, pid);
    EXPECT_STREQ(got[0].origin, "[::1]:443");
    EXPECT_EQ(got[0].began_ms, 1234567u);
    EXPECT_TRUE(left(s, "aa").empty()) << "told once";
    EXPECT_FALSE(kt_marks_any(s, kt_run_key("aa")));
}

TEST_F(StateMarks, ALivingProcessKeepsItsMarkAndAZombieDoesNot)
{
    kt_state *s = open();
    kt_mark mine = mark(s, "aa");
    EXPECT_TRUE(left(s, "aa").empty());
    EXPECT_EQ(alive, 1u);
    kt_mark_clear(&mine);
    pid_t pid = child([&] { mark(s, "aa"); });
    siginfo_t si;
    ASSERT_EQ(waitid(P_PID, static_cast<id_t>(pid), &si, WEXITED | WNOWAIT), 0);
    EXPECT_EQ(left(s, "aa").size(), 1u) << "it has ended, though nobody has asked how";
    EXPECT_EQ(alive, 0u);
    gone(pid);
}

TEST_F(StateMarks, ALeaderThatEndedBeforeItsThreadsIsAlive)
{
    kt_state *s = open();
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    pid_t pid = child([&] {
        mark(s, "aa");
        std::thread([&] {
            char stat[64] = "", c = 'x';
            do { // until the first thread is a zombie
                FILE *f = fopen("/proc/self/stat", "r");
                (void)!fscanf(f, "%*d %*s %63s", stat);
                fclose(f);
            } while (stat[0] != 'Z');
            (void)!write(ready[1], &c, 1);
            pause();
        }).detach();
        syscall(SYS_exit, 0); // of the first thread alone
    });
    close(ready[1]);
    char c;
    ASSERT_EQ(read(ready[0], &c, 1), 1);
    EXPECT_TRUE(left(s, "aa").empty());
    EXPECT_EQ(alive, 1u);
    kill(pid, SIGKILL);
    gone(pid);
    EXPECT_EQ(left(s, "aa").size(), 1u);
    close(ready[0]);
}

TEST_F(StateMarks, AForkChildIsNotItsParentsCall)
{
    kt_state *s = open();
    kt_mark mine = mark(s, "aa");
    pid_t pid = child([&] {
        if (!left(s, "aa").empty() || alive != 1)
            _exit(2);
        raise(SIGKILL);
    });
    int status = 0;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_TRUE(left(s, "aa").empty()) << "the parent's call goes on";
    EXPECT_EQ(alive, 1u);
    kt_mark_clear(&mine);
    EXPECT_FALSE(kt_marks_any(s, kt_run_key("aa")));
    pid = child([&] {
        mark(s, "aa"); // its own
        raise(SIGKILL);
    });
    gone(pid);
    auto got = left(s, "aa");
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(got[0].pid, pid);
}

TEST_F(StateMarks, RunsInsideOfRuns)
{
    kt_state *s = open();
    for (const char *run : {"", "aa", "aa/bb", "aa/bb/cc/dd/ee/ff"})
        gone(child([&] { mark(s, run, *run ? run : "none"); }));
    EXPECT_EQ(left(s, "aa/bb/cc/dd/ee/ff").size(), 1u);
    auto inner = left(s, "aa/bb");
    ASSERT_EQ(inner.size(), 1u);
    EXPECT_STREQ(inner[0].origin, "aa/bb:443");
    EXPECT_EQ(left(s, "aa").size(), 1u);
    auto none = left(s, nullptr);
    ASSERT_EQ(none.size(), 1u);
    EXPECT_STREQ(none[0].origin, "none:443");
    for (const char *run : {"aa/bb", "aa/bb/cc/dd/ee/ff"})
        gone(child([&] { mark(s, run); }));
    EXPECT_EQ(left(s, "aa").size(), 2u) << "where the inner kt wrap was killed, too";
}

TEST_F(StateMarks, TwentyProcessesThatAreKilledAndTwentyThatEnd)
{
    kt_state *s = open();
    std::string where = dir;
    EXPECT_TRUE(in_children(20, [&](int) {
        kt_state *own = nullptr;
        if (!kt_is_ok(kt_state_open(where.c_str(), &own)))
            return false;
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; t++)
            threads.emplace_back([&] {
                for (int i = 0; i < 500; i++) {
                    kt_mark m = mark(own, "aa"), n = mark(own, "aa");
                    kt_mark_clear(&m);
                    kt_mark_clear(&n);
                }
            });
        for (auto &t : threads)
            t.join();
        kt_state_free(own);
        return true;
    }));
    EXPECT_TRUE(left(s, "aa").empty());
    EXPECT_FALSE(in_children(20, [&](int) {
        mark(s, "aa");
        mark(s, "aa");
        raise(SIGKILL);
        return true;
    }));
    EXPECT_EQ(left(s, "aa").size(), 40u);
    EXPECT_EQ(kt_marks_unlisted(s), 0u);
    EXPECT_EQ(kt_state_lost_events(s), 0u);
}

TEST_F(StateMarks, AFullTable)
{
    kt_state *s = open();
    std::vector<kt_mark> marks;
    while (kt_marks_unlisted(s) == 0 && marks.size() < 100000)
        marks.push_back(mark(s, "aa"));
    EXPECT_EQ(kt_marks_unlisted(s), 1u);
    kt_mark_clear(&marks.back());
    EXPECT_EQ(kt_marks_unlisted(s), 0u);
    kt_mark_clear(&marks.front());
    gone(child([&] { mark(s, "bb"); }));
    kt_mark again = mark(s, "aa");
    EXPECT_EQ(kt_marks_unlisted(s), 0u) << "a dead process gives way";
    EXPECT_EQ(kt_state_lost_events(s), 1u) << "and its cmarks is not forgotten";
    kt_mark_clear(&again);
    for (size_t i = 1; i + 1 < marks.size(); i++)
        kt_mark_clear(&marks[i]);
    EXPECT_FALSE(kt_marks_any(s, kt_run_key("aa")));
}

TEST_F(StateMarks, NoSegmentAndAnotherOneInItsPlace)
{
    kt_mark none = mark(nullptr, "aa");
    kt_mark_clear(&none);
    EXPECT_TRUE(left(nullptr, "aa").empty());
    EXPECT_FALSE(kt_marks_any(nullptr, kt_run_key("aa")));
    kt_state *s = open();
    kt_mark m = mark(s, "aa");
    gone(child([&] { mark(s, "aa"); }));
    std::filesystem::remove(file());
    kt_state_check(s, kNow);
    kt_mark_clear(&m); // lies in the old one
    gone(child([&] { mark(s, "aa"); }));
    EXPECT_EQ(left(s, "aa").size(), 2u) << "what the old one has counts, too";
    EXPECT_EQ(alive, 0u);
}

} // namespace
