/* SPDX-License-Identifier: Apache-2.0 */
/* Where a thread has little stack, and none can be had that has more. */
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <dlfcn.h>
#include <pthread.h>

extern "C" {
#include "shim/stack.h"
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KEPT_STACK false /* a sanitizer does not know it */
#else
#define KEPT_STACK true
#endif

namespace {

std::atomic<bool> refuse_threads;
std::atomic<int> refused;

} // namespace

#if KEPT_STACK
extern "C" int pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg)
{
    static auto real = (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))dlsym(
        RTLD_NEXT, "pthread_create");
    refused += refuse_threads;
    return refuse_threads ? EAGAIN : real(t, a, fn, arg);
}
#endif

namespace {

struct Little : ::testing::Test {
    struct Seen {
        bool called = false, nested = false;
        uintptr_t at = 0;
        pthread_t thread{};
    };

    /* In a thread with 64 KiB. */
    void run(void *(*fn)(void *), void *arg)
    {
        pthread_t t;
        pthread_attr_t a;
        pthread_attr_init(&a);
        pthread_attr_setstacksize(&a, 64 * 1024);
        ASSERT_EQ(pthread_create(&t, &a, fn, arg), 0);
        pthread_attr_destroy(&a);
        pthread_join(t, nullptr);
    }
    ~Little() override
    {
        refuse_threads = false;
    }
};

__attribute__((noinline)) void work(void *arg)
{
    auto *s = (Little::Seen *)arg;
    volatile char much[KT_STACK_NEED - 4096]; // more than that thread has
    memset((void *)much, 7, sizeof much);
    s->called = much[0] == 7 && much[sizeof much - 1] == 7;
    s->at = (uintptr_t)much;
    s->thread = pthread_self();
}

__attribute__((noinline)) void work_within(void *arg)
{
    auto *s = (Little::Seen *)arg;
    s->nested = kt_stack_call(work, s);
}

template <void (*fn)(void *)> void *call_apart(void *arg)
{
    refuse_threads = KEPT_STACK;
    errno = 77;
    EXPECT_TRUE(kt_stack_call(fn, arg));
    refuse_threads = false;
    auto *s = (Little::Seen *)arg;
    auto here = (uintptr_t)__builtin_frame_address(0);
    EXPECT_TRUE(s->called);
    EXPECT_GT(s->at > here ? s->at - here : here - s->at, 64u * 1024) << "not on this stack";
    EXPECT_EQ(KEPT_STACK, pthread_equal(s->thread, pthread_self()) != 0);
    return nullptr;
}

TEST_F(Little, WithoutAThreadItRunsOnAStackThatIsKept)
{
    for (int i = 0; i < 3; i++) {
        Seen s;
        run(call_apart<work>, &s);
    }
    EXPECT_EQ(refused, KEPT_STACK ? 3 : 0);
}

TEST_F(Little, WhatRunsThereMayAskAgain)
{
    Seen s;
    run(call_apart<work_within>, &s);
    EXPECT_TRUE(s.nested);
}

TEST_F(Little, ManyTakeTurns)
{
    pthread_t t[8];
    Seen s[8];
    pthread_attr_t a;
    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, 64 * 1024);
    auto one = [](void *arg) -> void * {
        while (KEPT_STACK && !refuse_threads)
            sched_yield();
        for (int i = 0; i < 50; i++)
            EXPECT_TRUE(kt_stack_call(work, arg));
        return nullptr;
    };
    for (int i = 0; i < 8; i++)
        ASSERT_EQ(pthread_create(&t[i], &a, one, &s[i]), 0);
    refuse_threads = KEPT_STACK;
    for (auto &each : t)
        pthread_join(each, nullptr);
    for (auto &each : s)
        EXPECT_TRUE(each.called);
    pthread_attr_destroy(&a);
}

} // namespace
