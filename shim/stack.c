/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/stack.h"

#include "shim/guard.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

#define MAIN_MAX ((uintptr_t)64 << 20) /* where the limit is "unlimited" */

extern void *__libc_stack_end; /* of ld.so: where the main thread's begins */

#define PAGE_BITS 12
#define LOW_BITS 36 /* of the page where a stack ends: user addresses have 47 bits or 48 */
#define NONE ((uint64_t)1)

/* In one word, because each thread has it (shim/guard.c): the lowest page, and above LOW_BITS how many. */
static uint64_t range(uintptr_t low, uintptr_t size)
{
    uint64_t page = (low + (1u << PAGE_BITS) - 1) >> PAGE_BITS, pages = size >> PAGE_BITS;
    return page >> LOW_BITS || pages >> (64 - LOW_BITS) || !pages ? NONE : page | pages << LOW_BITS;
}

/* Bytes left below `at`; 0 where that is no part of it. */
static uintptr_t left(uint64_t range, uintptr_t at)
{
    uintptr_t low = (uintptr_t)(range & ((UINT64_C(1) << LOW_BITS) - 1)) << PAGE_BITS;
    uintptr_t size = (uintptr_t)(range >> LOW_BITS) << PAGE_BITS;
    return at > low && at - low <= size ? at - low : 0;
}

static uint64_t of_main(void)
{
    struct rlimit limit;
    uintptr_t high = (uintptr_t)__libc_stack_end, size = MAIN_MAX;
    if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < MAIN_MAX)
        size = (uintptr_t)limit.rlim_cur;
    return range(high - size, size);
}

/* Of a thread that pthread_create made; of the main one libc would read /proc for it. */
static uint64_t of_thread(void)
{
    pthread_attr_t attr;
    void *low = NULL;
    size_t size = 0;
    if (getpid() == gettid() || pthread_getattr_np(pthread_self(), &attr) != 0)
        return NONE;
    bool known = pthread_attr_getstack(&attr, &low, &size) == 0;
    pthread_attr_destroy(&attr);
    return known ? range((uintptr_t)low, size) : NONE;
}

bool kt_stack_suffices(void)
{
    static __thread uint64_t own __attribute__((tls_model("initial-exec"))); /* 0: not asked yet */
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    if (!own) {
        int saved = errno;
        own = of_main();
        if (!left(own, here))
            own = of_thread();
        errno = saved;
    }
    bool suffices = left(own, here) >= KT_STACK_NEED;
    if (own == NONE) /* a coroutine of the main thread, which will ask on its own stack as well */
        own = 0;
    return suffices;
}

struct call {
    void (*fn)(void *arg);
    void *arg;
};

static void *apart(void *arg)
{
    struct call *c = arg;
    kt_guard_thread();
    c->fn(c->arg);
    return NULL;
}

void kt_stack_call(void (*fn)(void *arg), void *arg)
{
    struct call c = {fn, arg};
    pthread_t thread;
    pthread_attr_t large; /* the usual size may be little as well (RLIMIT_STACK) */
    bool apart_it = !kt_stack_suffices() && pthread_attr_init(&large) == 0;
    if (apart_it) {
        pthread_attr_setstacksize(&large, 8 * KT_STACK_NEED);
        apart_it = pthread_create(&thread, &large, apart, &c) == 0;
        pthread_attr_destroy(&large);
    }
    if (apart_it)
        pthread_join(thread, NULL);
    else
        fn(arg);
}
