/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The shim's locks. No handler of the program runs while its thread holds one, which might never return
 * (siglongjmp), and no cancellation ends it there. The fork handlers must know of what is held all the same:
 * the program's allocator, say, may fork inside of us.
 */
#include "shim/guard.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

extern __thread int kt_locks_held __attribute__((tls_model("initial-exec")));

/* Not zero: this thread forks, and holds them all (fork.c). What other fork handlers call meanwhile must not
 * wait for them. */
extern __thread unsigned kt_forking __attribute__((tls_model("initial-exec")));

static inline void kt_lock(pthread_mutex_t *m)
{
    kt_signals_hold();
    kt_locks_held++;
    atomic_signal_fence(memory_order_seq_cst);
    if (!kt_forking)
        pthread_mutex_lock(m);
}

/* False: it was not to be had within about a second. */
static inline bool kt_lock_soon(pthread_mutex_t *m)
{
    struct timespec until;
    kt_signals_hold();
    kt_locks_held++;
    atomic_signal_fence(memory_order_seq_cst);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    if (pthread_mutex_timedlock(m, &until) == 0)
        return true;
    atomic_signal_fence(memory_order_seq_cst);
    kt_locks_held--;
    kt_signals_let_go();
    return false;
}

static inline void kt_unlock(pthread_mutex_t *m)
{
    if (!kt_forking)
        pthread_mutex_unlock(m);
    atomic_signal_fence(memory_order_seq_cst);
    kt_locks_held--;
    kt_signals_let_go();
}
