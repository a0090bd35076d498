/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The shim's locks. A signal handler of the program may fork while its own thread is inside one of them: the
 * fork handlers must know, or they would wait for themselves.
 */
#include <pthread.h>
#include <stdatomic.h>

extern __thread int kt_locks_held __attribute__((tls_model("initial-exec")));

static inline void kt_lock(pthread_mutex_t *m)
{
    kt_locks_held++; /* before: a handler between the two finds one lock too many, which is harmless */
    atomic_signal_fence(memory_order_seq_cst);
    pthread_mutex_lock(m);
}

static inline void kt_unlock(pthread_mutex_t *m)
{
    pthread_mutex_unlock(m);
    atomic_signal_fence(memory_order_seq_cst);
    kt_locks_held--;
}
