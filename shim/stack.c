/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/stack.h"

#include "shim/guard.h"
#include "shim/lock.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <ucontext.h>
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

/* ---- without a thread ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static bool on_reserve(struct call *c)
{
    (void)c;
    return false;
}
#else
#define RESERVE ((size_t)8 * KT_STACK_NEED)
#define PAGE 4096u

static struct {
    uint8_t end[PAGE]; /* of no use to anybody: what needs more than there is dies here */
    uint8_t stack[RESERVE];
} reserve __attribute__((aligned(PAGE))); /* pages that are never touched cost nothing */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(pid_t) owner; /* the thread that works there */
static ucontext_t here, there;
static struct call *under_way;

static void begin(void)
{
    under_way->fn(under_way->arg);
}

static bool on_reserve(struct call *c)
{
    if (atomic_load(&owner) == gettid()) { /* it calls itself, from there */
        c->fn(c->arg);
        return true;
    }
    if (!kt_lock_soon(&lock)) /* who is there may wait for a lock of our caller's */
        return false;
    bool can = mprotect(reserve.end, PAGE, PROT_NONE) == 0 && getcontext(&there) == 0;
    if (can) {
        under_way = c;
        there.uc_stack.ss_sp = reserve.stack;
        there.uc_stack.ss_size = sizeof reserve.stack;
        there.uc_link = &here;
        makecontext(&there, begin, 0);
        atomic_store(&owner, gettid());
        can = swapcontext(&here, &there) == 0;
        atomic_store(&owner, 0);
    }
    kt_unlock(&lock);
    return can;
}
#endif

void kt_stack_forked(void)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    atomic_store(&owner, 0);
    pthread_mutex_init(&lock, NULL); /* who worked there is no thread of this process */
#endif
}

bool kt_stack_call(void (*fn)(void *arg), void *arg)
{
    struct call c = {fn, arg};
    pthread_t thread;
    pthread_attr_t large; /* the usual size may be little as well (RLIMIT_STACK) */
    if (kt_stack_suffices()) {
        fn(arg);
        return true;
    }
    bool begun = pthread_attr_init(&large) == 0;
    if (begun) {
        pthread_attr_setstacksize(&large, 8 * KT_STACK_NEED);
        begun = pthread_create(&thread, &large, apart, &c) == 0;
        pthread_attr_destroy(&large);
    }
    if (begun)
        pthread_join(thread, NULL);
    return begun || on_reserve(&c);
}
