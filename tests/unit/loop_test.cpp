/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/loop/kt_fds.h"
#include "loop_fixture.hpp"

#include <algorithm>
#include <atomic>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <random>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

void run_fn(void *arg)
{
    (*static_cast<std::function<void()> *>(arg))();
}

/* Runs f on the loop and waits for it. */
void on_loop(kt_loop *l, std::function<void()> f)
{
    std::atomic<bool> done{false};
    std::function<void()> wrapped = [&] {
        f();
        done = true;
    };
    ASSERT_TRUE(kt_is_ok(kt_loop_post(l, run_fn, &wrapped)));
    while (!done)
        std::this_thread::yield();
}

TEST(Watches, RemovedAndFreedWhileTheirEventWaitsInTheSameBatch)
{
    Loop loop;
    struct W {
        kt_loop_watch w{};
        int peer;
        std::vector<W *> *all;
        kt_loop *l;
        int *calls;
    };
    std::vector<W *> all;
    int calls = 0;
    for (int i = 0; i < 20; i++) {
        int sv[2];
        ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
        auto *w = new W;
        w->w.fd = sv[0];
        w->peer = sv[1];
        w->all = &all;
        w->l = loop.l;
        w->calls = &calls;
        w->w.arg = w;
        w->w.fn = [](void *a, uint32_t ev) {
            auto *me = static_cast<W *>(a);
            EXPECT_TRUE(ev & EPOLLIN);
            ++*me->calls;
            kt_loop *l = me->l;
            for (W *v : *me->all) { /* me included */
                kt_loop_watch_drop(v->l, &v->w);
                close(v->w.fd);
                close(v->peer);
                memset(static_cast<void *>(v), 0xdd, sizeof *v);
                operator delete(v);
            }
            kt_loop_quit(l);
        };
        ASSERT_TRUE(kt_is_ok(kt_loop_watch_set(loop.l, &w->w, EPOLLIN)));
        ASSERT_EQ(write(w->peer, "x", 1), 1);
        all.push_back(w);
    }
    kt_loop_run(loop.l);
    EXPECT_EQ(calls, 1);
}

TEST(Watches, AnOldEventDoesNotReachANewWatchOfTheSameFdAndAddress)
{
    Loop loop;
    int a[2], b[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, b), 0);
    struct S {
        kt_loop *l;
        kt_loop_watch wa{}, wb{};
        int calls = 0;
        int bogus = 0;
    } s{loop.l};
    auto fn = [](void *arg, uint32_t) {
        auto *p = static_cast<S *>(arg);
        if (++p->calls > 1)
            return;
        /* Both are re-added for writing-impossible events; the stale EPOLLIN of the other must not be
         * delivered. */
        for (kt_loop_watch *w : {&p->wa, &p->wb}) {
            kt_loop_watch_drop(p->l, w);
            w->fn = [](void *q, uint32_t) { static_cast<S *>(q)->bogus++; };
            EXPECT_TRUE(kt_is_ok(kt_loop_watch_set(p->l, w, EPOLLPRI)));
        }
        kt_loop_quit(p->l);
    };
    s.wa.fd = a[0];
    s.wb.fd = b[0];
    s.wa.fn = s.wb.fn = fn;
    s.wa.arg = s.wb.arg = &s;
    ASSERT_TRUE(kt_is_ok(kt_loop_watch_set(loop.l, &s.wa, EPOLLIN)));
    ASSERT_TRUE(kt_is_ok(kt_loop_watch_set(loop.l, &s.wb, EPOLLIN)));
    ASSERT_EQ(write(a[1], "x", 1), 1);
    ASSERT_EQ(write(b[1], "x", 1), 1);
    kt_loop_run(loop.l);
    EXPECT_EQ(s.calls, 1);
    EXPECT_EQ(s.bogus, 0);
    for (int fd : {a[0], a[1], b[0], b[1]})
        close(fd);
}

TEST(Watches, SaysWhereAnFdCannotBeWatched)
{
    Loop loop;
    kt_loop_watch w{};
    w.fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC); /* epoll refuses regular files */
    EXPECT_EQ(kt_loop_watch_set(loop.l, &w, EPOLLIN).code, KT_ERR_IO);
    EXPECT_EQ(w.events, 0u);
    close(w.fd);
}

TEST(Jobs, FromEightThreadsEachInItsOrder)
{
    Loop loop;
    ASSERT_TRUE(kt_is_ok(kt_loop_start(loop.l, nullptr)));
    constexpr int N = 2000;
    struct Job {
        std::vector<int> *seen;
        int thread, n;
    };
    std::vector<std::vector<int>> seen(8);
    std::vector<Job> jobs(8 * N);
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; t++) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < N; i++) {
                Job *j = &jobs[static_cast<size_t>(t * N + i)];
                *j = {&seen[static_cast<size_t>(t)], t, i};
                ASSERT_TRUE(kt_is_ok(kt_loop_post(
                    loop.l, [](void *a) { static_cast<Job *>(a)->seen->push_back(static_cast<Job *>(a)->n); },
                    j)));
            }
        });
    }
    for (auto &t : threads)
        t.join();
    EXPECT_TRUE(kt_loop_stop(loop.l, 5000)); /* runs what was posted before */
    for (auto &v : seen) {
        ASSERT_EQ(v.size(), size_t{N});
        EXPECT_TRUE(std::is_sorted(v.begin(), v.end()));
    }
}

TEST(Jobs, EmbeddedOnesRunOncePerQueueingAndMayFreeTheirOwner)
{
    Loop loop;
    struct S {
        kt_loop_job job{};
        int *runs;
    };
    int runs = 0;
    auto *s = new S;
    s->runs = &runs;
    s->job.arg = s;
    s->job.fn = [](void *a) {
        auto *p = static_cast<S *>(a);
        ++*p->runs;
        delete p;
    };
    for (int i = 0; i < 3; i++)
        ASSERT_TRUE(kt_is_ok(kt_loop_post_job(loop.l, &s->job)));
    ASSERT_TRUE(kt_is_ok(kt_loop_start(loop.l, nullptr)));
    EXPECT_TRUE(kt_loop_stop(loop.l, 5000));
    EXPECT_EQ(runs, 1);
    std::function<void()> f = [] {};
    EXPECT_EQ(kt_loop_post(loop.l, run_fn, &f).code, KT_ERR_STATE);
}

TEST(Jobs, PostedFromCallbacksDoNotStarveFds)
{
    int p[2];
    ASSERT_EQ(pipe2(p, O_CLOEXEC), 0);
    struct S {
        kt_loop *l = nullptr;
        kt_loop_job job{};
        kt_loop_watch w{};
        long runs = 0;
        int wfd = -1;
    } s; /* outlives the loop, which still knows the job */
    Loop loop;
    s.l = loop.l;
    s.wfd = p[1];
    s.job.arg = &s;
    s.job.fn = [](void *a) { /* posts itself for ever */
                             auto *q = static_cast<S *>(a);
                             if (++q->runs == 3) {
                                 EXPECT_EQ(write(q->wfd, "x", 1), 1);
                             }
                             EXPECT_TRUE(kt_is_ok(kt_loop_post_job(q->l, &q->job)));
    };
    s.w.fd = p[0];
    s.w.arg = &s;
    s.w.fn = [](void *a, uint32_t) { kt_loop_quit(static_cast<S *>(a)->l); };
    ASSERT_TRUE(kt_is_ok(kt_loop_watch_set(loop.l, &s.w, EPOLLIN)));
    ASSERT_TRUE(kt_is_ok(kt_loop_post_job(loop.l, &s.job)));
    kt_loop_run(loop.l);
    EXPECT_LT(s.runs, 10);
    close(p[0]);
    close(p[1]);
}

std::atomic<int> started;

TEST(Thread, BlocksAllSignalsAndRunsOnStartFirst)
{
    Loop loop;
    started = 0;
    sigset_t mine_before, mine_after, theirs;
    pthread_sigmask(SIG_SETMASK, nullptr, &mine_before);
    ASSERT_TRUE(kt_is_ok(kt_loop_start(loop.l, [] { started++; })));
    pthread_sigmask(SIG_SETMASK, nullptr, &mine_after);
    EXPECT_FALSE(sigismember(&mine_after, SIGTERM) && !sigismember(&mine_before, SIGTERM));
    bool in = false;
    on_loop(loop.l, [&] {
        EXPECT_EQ(started, 1);
        in = kt_loop_in_thread(loop.l);
        pthread_sigmask(SIG_SETMASK, nullptr, &theirs);
    });
    EXPECT_TRUE(in);
    EXPECT_FALSE(kt_loop_in_thread(loop.l));
    for (int sig : {SIGTERM, SIGINT, SIGPIPE, SIGCHLD, SIGALRM, SIGUSR1, SIGPROF})
        EXPECT_EQ(sigismember(&theirs, sig), 1) << sig;
    EXPECT_EQ(kt_loop_start(loop.l, nullptr).code, KT_ERR_STATE);
    EXPECT_TRUE(kt_loop_stop(loop.l, 5000));
}

TEST(Thread, StopGivesUpInTime)
{
    Loop loop;
    ASSERT_TRUE(kt_is_ok(kt_loop_start(loop.l, nullptr)));
    std::atomic<bool> in{false}, go{false};
    std::function<void()> f = [&] {
        in = true;
        while (!go)
            std::this_thread::yield();
    };
    ASSERT_TRUE(kt_is_ok(kt_loop_post(loop.l, run_fn, &f)));
    while (!in)
        std::this_thread::yield();
    EXPECT_FALSE(kt_loop_stop(loop.l, 20));
    go = true;
    EXPECT_TRUE(kt_loop_stop(loop.l, 5000));
    EXPECT_TRUE(kt_loop_stop(loop.l, 0)); /* nothing left to stop */
}

TEST(Fork, ParkHoldsTheThreadOutsideOfCallbacksUnderLoad)
{
    Loop loop;
    ASSERT_TRUE(kt_is_ok(kt_loop_start(loop.l, nullptr)));
    std::atomic<bool> inside{false}, end{false};
    std::atomic<long> runs{0}, posted{0};
    std::function<void()> work = [&] {
        inside = true;
        std::this_thread::yield();
        runs++;
        inside = false;
    };
    std::vector<std::thread> posters;
    for (int i = 0; i < 3; i++) {
        posters.emplace_back([&] {
            while (!end) {
                posted++;
                EXPECT_TRUE(kt_is_ok(kt_loop_post(loop.l, run_fn, &work)));
                while (!end && posted - runs > 500)
                    std::this_thread::yield();
            }
        });
    }
    for (int i = 0; i < 200; i++) {
        EXPECT_TRUE(kt_loop_park(loop.l, 5000));
        EXPECT_FALSE(inside);
        long before = runs;
        std::this_thread::yield();
        EXPECT_EQ(runs, before);
        kt_loop_unpark(loop.l);
    }
    end = true;
    for (auto &t : posters)
        t.join();
    EXPECT_TRUE(kt_loop_stop(loop.l, 5000));
    EXPECT_EQ(runs, posted);
}

struct Busy {
    std::atomic<bool> inside{false}, go{false};
    static void run(void *arg)
    {
        auto *b = static_cast<Busy *>(arg);
        b->inside = true;
        while (!b->go)
            std::this_thread::yield();
    }
};

TEST(Fork, DoesNotWaitForEver)
{
    Loop loop;
    Busy busy;
    ASSERT_TRUE(kt_is_ok(kt_loop_start(loop.l, nullptr)));
    ASSERT_TRUE(kt_is_ok(kt_loop_post(loop.l, Busy::run, &busy)));
    while (!busy.inside)
        std::this_thread::yield();
    EXPECT_FALSE(kt_loop_park(loop.l, 30));
    busy.go = true;
    EXPECT_TRUE(kt_loop_park(loop.l, 5000));
    kt_loop_unpark(loop.l);
    EXPECT_TRUE(kt_loop_stop(loop.l, 5000));
}

TEST(Fork, TheChildHasNoEngineFdsAndALoopThatRefuses)
{
    Loop loop;
    ASSERT_TRUE(kt_is_ok(kt_loop_start(loop.l, nullptr)));
    size_t fds = kt_fds_count();
    ASSERT_GE(fds, 2u);
    EXPECT_TRUE(kt_loop_park(loop.l, 5000));
    kt_fds_fork_prepare();
    pid_t pid = fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
        kt_fds_fork_child();
        kt_loop_after_fork_child(loop.l);
        int bad = kt_fds_count() != 0;
        bad |= kt_loop_post(loop.l, run_fn, nullptr).code != KT_ERR_STATE ? 2 : 0;
        kt_loop *fresh = nullptr;
        bad |= kt_loop_new(&fresh).code != KT_OK ? 4 : 0;
#ifndef __SANITIZE_THREAD__ /* it does not let a child of threads start one */
        bad |= kt_loop_start(fresh, nullptr).code != KT_OK ? 8 : 0;
        bad |= !kt_loop_stop(fresh, 5000) ? 16 : 0;
#endif
        kt_loop_free(fresh);
        _exit(bad);
    }
    kt_fds_fork_parent();
    kt_loop_unpark(loop.l);
    int status = 0;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
    on_loop(loop.l, [] {}); /* the parent's goes on */
    EXPECT_EQ(kt_fds_count(), fds);
    EXPECT_TRUE(kt_loop_stop(loop.l, 5000));
}

} // namespace
