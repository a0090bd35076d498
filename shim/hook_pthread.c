/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of guarded threads are guarded: inside curl the engine shares curl's own libcurl, whose resolver
 * runs in a thread. */
#include "shim/fork.h"
#include "shim/guard.h"
#include "shim/last_thread.h"
#include "shim/real.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <threads.h>
#include <unistd.h>

struct start {
    void *(*fn)(void *);
    void *arg;
};

static void *guarded_start(void *p)
{
    struct start s = *(struct start *)p;
    free(p);
    kt_guard_thread();
    return s.fn(s.arg);
}

static int create_guarded(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    struct start *s = malloc(sizeof *s);
    if (!s)
        return EAGAIN;
    *s = (struct start){fn, arg};
    int rc = KT_REAL(pthread_create)(thread, attr, guarded_start, s);
    if (rc != 0)
        free(s);
    return rc;
}

/* Between fork and exec the child of a process with threads may neither ask the loader nor wait for a lock.
 */
static void before_second_thread(void)
{
    static atomic_bool done;
    if (atomic_load_explicit(&done, memory_order_relaxed) || kt_secure_process())
        return;
    kt_real_warm();
    kt_fork_threads();
    atomic_store_explicit(&done, true, memory_order_relaxed);
}

KT_HOOK int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attr,
                           void *(*fn)(void *), void *restrict arg)
{
    before_second_thread();
    if (kt_guarded())
        return create_guarded(thread, attr, fn, arg);
    return KT_REAL(pthread_create)(thread, attr, fn, arg);
}

/* C11's reaches pthread_create inside of libc. None of ours makes threads so. */
KT_HOOK int thrd_create(thrd_t *thread, thrd_start_t fn, void *arg)
{
    before_second_thread();
    __typeof__(&thrd_create) real = KT_REAL(thrd_create);
    return real ? real(thread, fn, arg) : thrd_error;
}

static void leaves(void)
{
    if (gettid() == getpid() && !kt_bypass())
        kt_main_leaves();
}

KT_HOOK void pthread_exit(void *value)
{
    leaves();
    KT_REAL(pthread_exit)(value);
    __builtin_unreachable();
}

KT_HOOK void thrd_exit(int value)
{
    leaves();
    KT_REAL(thrd_exit)(value);
    __builtin_unreachable();
}
