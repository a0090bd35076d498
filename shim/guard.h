/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The guard: while it is set for a thread, no hook looks at what that thread does. It is set around every
 * call into the engine, and for ever in the engine's own threads and in the threads that they create.
 */
#include <poll.h>
#include <signal.h>
#include <stdbool.h>

#define KT_HOOK __attribute__((visibility("default")))

/* initial-exec: a preloaded object has static TLS, and a hook must not allocate to find its guard. */
extern __thread unsigned kt_guard_depth __attribute__((tls_model("initial-exec")));

static inline bool kt_guarded(void)
{
    return kt_guard_depth != 0;
}

/* Between the two no signal handler of the program runs in this thread, and it cannot be cancelled: a jump
 * away (siglongjmp) or its end would leave a guard or a lock behind for ever. What our own writes raise
 * meanwhile (SIGXFSZ, SIGPIPE) never reaches the program. Nests. Keep errno. */
void kt_signals_hold(void);
void kt_signals_let_go(void);
/* Within one kt_signals_hold (not nested, no guard): poll(2) for `ms` milliseconds, in which the program's
 * signals are delivered as the moment before the hold would, and its thread may be cancelled; none gets lost
 * between two calls. Sets errno. */
int kt_signals_sleep(struct pollfd *fds, nfds_t count, int ms);
/* What the program itself blocks, within a kt_signals_hold. */
void kt_signals_mask(sigset_t *out);

/* Sets the guard and holds signals; returns the caller's errno for kt_guard_leave. Nests. */
int kt_guard_enter(void);
/* Ends the innermost kt_guard_enter and restores errno. */
void kt_guard_leave(int saved_errno);
/* Marks this thread for its whole life. */
void kt_guard_thread(void);

/* True in a process that got more rights by exec (setuid, file capabilities): then the shim does nothing. */
bool kt_secure_process(void);

/* A child by vfork: what it opens and closes is its own, and this memory its parent's. One system call. */
bool kt_memory_is_borrowed(void);

/* What every hook asks first: true = call the real function and nothing else. */
static inline bool kt_bypass(void)
{
    return kt_guarded() || kt_secure_process();
}
