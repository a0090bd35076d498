/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that run a job of the loop themselves while its own thread waits for events. */
#include "loop_fixture.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <pthread.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

using Fn = std::function<void()>;

void run_fn(void *arg)
{
    (*static_cast<Fn *>(arg))();
}

/* As soon as the loop's thread waits. */
bool come_in(kt_loop *l, Fn f)
{
    for (int i = 0; i < 5000; i++) {
        if (kt_loop_run_here(l, run_fn, &f))
            return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
}

struct Running {
    Loop loop;
    Running()
    {
        EXPECT_TRUE(kt_is_ok(kt_loop_start(loop.l, nullptr)));
    }
    ~Running()
    {
        EXPECT_TRUE(kt_loop_stop(loop.l, 5000));
    }
};

struct Timer {
    kt_timer t{};
    std::atomic<int> fired{0};
    std::thread::id where;
    Timer()
    {
        t.fn = [](void *arg) {
            auto *self = static_cast<Timer *>(arg);
            self->where = std::this_thread::get_id();
            self->fired++;
        };
        t.arg = this;
    }
};

TEST(Guest, RunsJobPostedJobsAndDueTimersBeforeItReturns)
{
    Running r;
    kt_loop *l = r.loop.l;
    Timer due;
    std::vector<std::thread::id> ran;
    int cancel = 0;
    Fn second = [&] { ran.push_back(std::this_thread::get_id()); };
    ASSERT_TRUE(come_in(l, [&] {
        EXPECT_TRUE(kt_loop_in_thread(l));
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
        ran.push_back(std::this_thread::get_id());
        EXPECT_TRUE(kt_is_ok(kt_loop_post(l, run_fn, &second)));
        kt_loop_timer_set(l, &due.t, 1);
    }));
    EXPECT_EQ(ran, (std::vector<std::thread::id>{std::this_thread::get_id(), std::this_thread::get_id()}));
    EXPECT_EQ(due.fired, 1);
    EXPECT_EQ(due.where, std::this_thread::get_id());
    EXPECT_FALSE(kt_loop_in_thread(l));
    EXPECT_EQ(cancel, PTHREAD_CANCEL_DISABLE);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &cancel);
    EXPECT_EQ(cancel, PTHREAD_CANCEL_ENABLE) << "as it was";
}

TEST(Guest, WhatItArmsAndPostsReachesTheSleepingThread)
{
    Running r;
    Timer soon;
    std::atomic<int> chain{0};
    Fn again = [&] {
        if (++chain < 10) {
            EXPECT_TRUE(kt_is_ok(kt_loop_post(r.loop.l, run_fn, &again)));
        }
    };
    ASSERT_TRUE(come_in(r.loop.l, [&] {
        kt_loop_timer_set(r.loop.l, &soon.t, kt_now_mono_ns() + 20000000u);
        EXPECT_TRUE(kt_is_ok(kt_loop_post(r.loop.l, run_fn, &again)));
    }));
    for (int i = 0; i < 5000 && (soon.fired == 0 || chain < 10); i++)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_EQ(soon.fired, 1);
    EXPECT_EQ(chain, 10);
    EXPECT_NE(soon.where, std::this_thread::get_id());
}

TEST(Guest, StaysOutWhereSomethingIsUnderWay)
{
    Loop loop;
    Fn never = [] { ADD_FAILURE(); };
    EXPECT_FALSE(kt_loop_run_here(loop.l, run_fn, &never)) << "no thread";
    ASSERT_TRUE(kt_is_ok(kt_loop_start(loop.l, nullptr)));
    std::atomic<bool> in{false}, go{false};
    Fn busy = [&] {
        in = true;
        while (!go)
            std::this_thread::yield();
    };
    ASSERT_TRUE(kt_is_ok(kt_loop_post(loop.l, run_fn, &busy)));
    while (!in)
        std::this_thread::yield();
    EXPECT_FALSE(kt_loop_run_here(loop.l, run_fn, &never)) << "a callback";
    go = true;
    ASSERT_TRUE(come_in(loop.l, [&] {
        std::thread([&] {
            EXPECT_FALSE(kt_loop_run_here(loop.l, run_fn, &never)) << "another guest";
        }).join();
    }));
    EXPECT_TRUE(kt_loop_stop(loop.l, 5000));
    EXPECT_FALSE(kt_loop_run_here(loop.l, run_fn, &never)) << "stopped";
}

/* The thread comes back with an event for a watch that the guest drops and frees. */
TEST(Guest, ADroppedWatchIsNotCalledAndTheOthersAre)
{
    Running r;
    kt_loop *l = r.loop.l;
    for (int i = 0; i < 50; i++) {
        int gone[2], stays[2];
        ASSERT_EQ(pipe(gone), 0);
        ASSERT_EQ(pipe(stays), 0);
        std::atomic<int> calls{0};
        struct Other {
            kt_loop_watch w{};
            kt_loop *l;
            std::atomic<int> *calls;
        } other;
        other.l = l;
        other.calls = &calls;
        other.w.fd = stays[0];
        other.w.arg = &other;
        other.w.fn = [](void *arg, uint32_t) {
            auto *o = static_cast<Other *>(arg);
            kt_loop_watch_drop(o->l, &o->w);
            ++*o->calls;
        };
        auto w = std::make_unique<kt_loop_watch>();
        w->fd = gone[0];
        w->fn = [](void *, uint32_t) { ADD_FAILURE(); };
        ASSERT_TRUE(come_in(l, [&] {
            EXPECT_TRUE(kt_is_ok(kt_loop_watch_set(l, w.get(), EPOLLIN)));
            EXPECT_TRUE(kt_is_ok(kt_loop_watch_set(l, &other.w, EPOLLIN)));
            EXPECT_EQ(write(gone[1], "x", 1), 1);
            EXPECT_EQ(write(stays[1], "x", 1), 1);
            std::this_thread::sleep_for(std::chrono::milliseconds(1)); /* it is awake and waits for us */
            kt_loop_watch_drop(l, w.get());
            w.reset();
        }));
        for (int n = 0; n < 5000 && calls == 0; n++)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        EXPECT_EQ(calls, 1);
        for (int fd : {gone[0], gone[1], stays[0], stays[1]})
            close(fd);
    }
}

TEST(Guest, OneAtATimeAmongGuestsPostsAndForks)
{
    Running r;
    kt_loop *l = r.loop.l;
    long runs = 0; /* plain: whoever is in owns it */
    std::atomic<bool> inside{false}, end{false};
    std::atomic<long> asked{0}, here{0}, done{0};
    Fn work = [&] {
        EXPECT_FALSE(inside.exchange(true));
        runs++;
        inside = false;
        done++;
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; i++) {
        threads.emplace_back([&] {
            while (!end) {
                asked++;
                if (kt_loop_run_here(l, run_fn, &work))
                    here++;
                else
                    EXPECT_TRUE(kt_is_ok(kt_loop_post(l, run_fn, &work)));
                while (!end && asked - done > 100)
                    std::this_thread::yield();
            }
        });
    }
    for (int i = 0; i < 200; i++) {
        EXPECT_TRUE(kt_loop_park(l, 5000));
        EXPECT_FALSE(inside);
        long before = runs;
        std::this_thread::yield();
        EXPECT_EQ(runs, before);
        kt_loop_unpark(l);
        std::this_thread::yield();
    }
    while (here == 0)
        std::this_thread::yield();
    end = true;
    for (auto &t : threads)
        t.join();
    for (int i = 0; i < 5000 && done < asked; i++)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_EQ(done, asked);
}

} // namespace
