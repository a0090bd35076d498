/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/guard.h"

#include "shim/lock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>

/* The top bit: for ever. The rest counts nested scopes. */
#define FOREVER 0x80000000u

__thread int kt_locks_held __attribute__((tls_model("initial-exec")));
__thread unsigned kt_guard_depth __attribute__((tls_model("initial-exec")));

/* Of the outermost kt_signals_hold: the mask before it, in the 64 bits that the kernel has of it (a sigset_t
 * has 128 bytes, and static TLS is scarce). */
static __thread unsigned holds __attribute__((tls_model("initial-exec")));
static __thread uint64_t before __attribute__((tls_model("initial-exec")));
static __thread int cancel_before __attribute__((tls_model("initial-exec")));
static __thread unsigned waited_before __attribute__((tls_model("initial-exec"))); /* bits of raised[] */

/* What a write of ours may raise in this thread: a limit on the size of files, a trace into a pipe that
 * nobody reads. Both are errors of that write, and none of the program's business. */
static const int raised[] = {SIGXFSZ, SIGPIPE};
#define RAISED (sizeof raised / sizeof raised[0])

/* What a fault of our own raises stays deliverable: blocked, the kernel would end the process without the
 * program's crash handler. */
static void all_but_faults(sigset_t *s)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS};
    sigfillset(s);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        sigdelset(s, faults[i]);
}

/* Bits of raised[]: those that wait for this thread and are in `among` (NULL: all). */
static unsigned waiting(const sigset_t *among)
{
    sigset_t pending;
    unsigned bits = 0;
    if (sigpending(&pending) != 0)
        return 0;
    for (size_t i = 0; i < RAISED; i++)
        if (sigismember(&pending, raised[i]) == 1 && (!among || sigismember(among, raised[i]) == 1))
            bits |= 1u << i;
    return bits;
}

/* One that the program does not block cannot have waited before: it would have been delivered. */
static unsigned waits_already(const sigset_t *blocked)
{
    for (size_t i = 0; i < RAISED; i++)
        if (sigismember(blocked, raised[i]) == 1)
            return waiting(blocked);
    return 0;
}

static void drop_ours(void)
{
    unsigned bits = waiting(NULL) & ~waited_before;
    int saved = errno;
    for (size_t i = 0; i < RAISED; i++) {
        sigset_t one;
        struct timespec now = {0, 0};
        if (!(bits & 1u << i))
            continue;
        sigemptyset(&one);
        sigaddset(&one, raised[i]);
        (void)sigtimedwait(&one, NULL, &now);
    }
    errno = saved;
}

void kt_signals_hold(void)
{
    if (holds == 0) { /* counted only behind the mask: a jump before it leaves nothing */
        sigset_t all, old;
        all_but_faults(&all);
        pthread_sigmask(SIG_BLOCK, &all, &old);
        memcpy(&before, &old, sizeof before);
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_before);
        waited_before = waits_already(&old);
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
    int disabled;
    drop_ours();
    sigemptyset(&old);
    memcpy(&old, &before, sizeof before);
    pthread_setcancelstate(cancel_before, &disabled); /* before the mask: a handler may jump away */
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* A handler that runs meanwhile finds nothing held, and may jump away; one that comes back has left its own
 * marks where ours were. */
int kt_signals_sleep(struct pollfd *fds, nfds_t count, int ms)
{
    uint64_t mask = before;
    int disabled, cancel = cancel_before;
    struct timespec limit = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    sigset_t old;
    sigemptyset(&old);
    memcpy(&old, &mask, sizeof mask);
    drop_ours();
    holds = 0;
    atomic_signal_fence(memory_order_seq_cst);
    pthread_setcancelstate(cancel, &disabled);
    int n = ppoll(fds, count, &limit, &old);
    int error = errno;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_before);
    before = mask;
    waited_before = waits_already(&old);
    atomic_signal_fence(memory_order_seq_cst);
    holds = 1;
    errno = error;
    return n;
}

void kt_signals_mask(sigset_t *out)
{
    sigemptyset(out);
    memcpy(out, &before, sizeof before);
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
