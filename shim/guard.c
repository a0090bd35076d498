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
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The top bit: for ever. The rest counts nested scopes. */
#define FOREVER 0x80000000u

__thread int kt_locks_held __attribute__((tls_model("initial-exec")));
__thread unsigned kt_guard_depth __attribute__((tls_model("initial-exec")));

/* Of the outermost kt_signals_hold: what was before it. In the 64 bits that the kernel has of a mask (a
 * sigset_t has 128 bytes, and static TLS is scarce). */
static __thread struct {
    uint64_t mask;
    uint8_t count; /* of the holds that nest */
    uint8_t cancel;
    uint8_t waited; /* bits of raised[] */
} held __attribute__((tls_model("initial-exec")));

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
static uint8_t waiting(const sigset_t *among)
{
    sigset_t pending;
    uint8_t bits = 0;
    if (sigpending(&pending) != 0)
        return 0;
    for (size_t i = 0; i < RAISED; i++)
        if (sigismember(&pending, raised[i]) == 1 && (!among || sigismember(among, raised[i]) == 1))
            bits |= (uint8_t)(1u << i);
    return bits;
}

/* One that the program does not block cannot have waited before: it would have been delivered. */
static uint8_t waits_already(const sigset_t *blocked)
{
    for (size_t i = 0; i < RAISED; i++)
        if (sigismember(blocked, raised[i]) == 1)
            return waiting(blocked);
    return 0;
}

static void drop_ours(void)
{
    unsigned bits = waiting(NULL) & ~(unsigned)held.waited;
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

static void hold_cancellation(void)
{
    int was;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &was);
    held.cancel = (uint8_t)was;
}

void kt_signals_hold(void)
{
    if (held.count == 0) { /* counted only behind the mask: a jump before it leaves nothing */
        sigset_t all, old;
        all_but_faults(&all);
        pthread_sigmask(SIG_BLOCK, &all, &old);
        memcpy(&held.mask, &old, sizeof held.mask);
        hold_cancellation();
        held.waited = waits_already(&old);
    }
    held.count++;
    atomic_signal_fence(memory_order_seq_cst);
}

void kt_signals_let_go(void)
{
    atomic_signal_fence(memory_order_seq_cst);
    if (--held.count > 0)
        return;
    sigset_t old;
    int disabled;
    drop_ours();
    sigemptyset(&old);
    memcpy(&old, &held.mask, sizeof held.mask);
    pthread_setcancelstate(held.cancel, &disabled); /* before the mask: a handler may jump away */
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* Some signal of the program's waits for the end of a hold. */
static bool any_due(uint64_t mask)
{
    sigset_t pending;
    uint64_t bits;
    if (sigpending(&pending) != 0)
        return true;
    memcpy(&bits, &pending, sizeof bits);
    return (bits & ~mask) != 0;
}

/* A cancel that came during the hold strikes at the next point of cancellation, and what cleans up behind it
 * must find the program's mask. (No pthread_cleanup_push: a handler that jumps out of the sleep would leave
 * libc a pointer into a frame that is gone.) A signal that is due has to interrupt the sleep, so it goes
 * first. */
static int sleep_with(struct pollfd *fds, nfds_t count, const struct timespec *limit, const sigset_t *mask,
                      bool due)
{
    if (due)
        return (int)syscall(SYS_ppoll, fds, count, limit, mask, sizeof held.mask); /* no such point */
    sigset_t ours;
    pthread_sigmask(SIG_SETMASK, mask, &ours);
    pthread_testcancel();
    pthread_sigmask(SIG_SETMASK, &ours, NULL);
    return ppoll(fds, count, limit, mask);
}

/* A handler that runs meanwhile finds nothing held, and may jump away; one that comes back has left its own
 * marks where ours were. */
int kt_signals_sleep(struct pollfd *fds, nfds_t count, int ms)
{
    uint64_t mask = held.mask;
    int disabled, cancel = held.cancel;
    struct timespec limit = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    sigset_t old;
    sigemptyset(&old);
    memcpy(&old, &mask, sizeof mask);
    drop_ours();
    bool due = any_due(mask);
    held.count = 0;
    atomic_signal_fence(memory_order_seq_cst);
    pthread_setcancelstate(cancel, &disabled);
    int n = sleep_with(fds, count, &limit, &old, due), error = errno;
    hold_cancellation();
    held.mask = mask;
    held.waited = waits_already(&old);
    atomic_signal_fence(memory_order_seq_cst);
    held.count = 1;
    errno = error;
    return n;
}

void kt_signals_mask(sigset_t *out)
{
    sigemptyset(out);
    memcpy(out, &held.mask, sizeof held.mask);
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

/* The C library does not tell such a child its new number. */
bool kt_memory_is_borrowed(void)
{
    pthread_mutex_t m = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
    pthread_mutex_lock(&m);
    bool borrowed = m.__data.__owner != gettid();
    pthread_mutex_unlock(&m);
    return borrowed;
}
