/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/guard.h"

#include "shim/lock.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/auxv.h>

/* The top bit: for ever. The rest counts nested scopes. */
#define FOREVER 0x80000000u

__thread int kt_locks_held __attribute__((tls_model("initial-exec")));
__thread unsigned kt_guard_depth __attribute__((tls_model("initial-exec")));

int kt_guard_enter(void)
{
    kt_guard_depth++;
    return errno;
}

void kt_guard_leave(int saved_errno)
{
    kt_guard_depth--;
    errno = saved_errno;
}

void kt_guard_thread(void)
{
    kt_guard_depth |= FOREVER;
}

bool kt_secure_process(void)
{
    static atomic_int known; /* 0 not asked, 1 no, 2 yes */
    int k = atomic_load_explicit(&known, memory_order_relaxed);
    if (k == 0) {
        k = getauxval(AT_SECURE) ? 2 : 1;
        atomic_store_explicit(&known, k, memory_order_relaxed);
    }
    return k == 2;
}
