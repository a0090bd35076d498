/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/guard.h"

#include "shim/lock.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>

/* The top bit: for ever. The rest counts nested scopes. */
#define FOREVER 0x80000000u

__thread int kt_locks_held __attribute__((tls_model("initial-exec")));
__thread unsigned kt_guard_depth __attribute__((tls_model("initial-exec")));

/* Of the outermost kt_signals_hold: the mask before it, in the 64 bits that the kernel has of it (a sigset_t
 * has 128 bytes, and static TLS is scarce). */
static __thread unsigned holds __attribute__((tls_model("initial-exec")));
static __thread uint64_t before __attribute__((tls_model("initial-exec")));

/* What a fault of our own raises stays deliverable: blocked, the kernel would end the process without the
 * program's crash handler. */
static void all_but_faults(sigset_t *s)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS};
    sigfillset(s);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        sigdelset(s, faults[i]);
}

void kt_signals_hold(void)
{
    if (holds == 0) { /* counted only behind the mask: a jump before it leaves nothing */
        sigset_t all, old;
        all_but_faults(&all);
        pthread_sigmask(SIG_BLOCK, &all, &old);
        memcpy(&before, &old, sizeof before);
    }
    holds++;
    atomic_signal_fence(memory_order_seq_cst);
}

void kt_signals_let_go(void)
{
    atomic_signal_fence(memory_order_seq_cst);
    if (--holds > 0)
        return;
    sigset_t old;
    sigemptyset(&old);
    memcpy(&old, &before, sizeof before);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

int kt_guard_enter(void)
{
    kt_signals_hold();
    kt_guard_depth++;
    return errno;
}

void kt_guard_leave(int saved_errno)
{
    kt_guard_depth--;
    kt_signals_let_go();
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
