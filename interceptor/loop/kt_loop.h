/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One event thread: epoll, timers and jobs posted from other threads.
 *
 * Nothing here allocates once the loop exists, but kt_loop_post: watches, timers (a pairing heap) and
 * kt_loop_job are links inside their owners. What the loop calls may remove any watch and timer and free its
 * owner, also where events for it wait in the same batch.
 */
#include "policyengine/base/kt_base.h"

#include <sys/epoll.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kt_loop;

/* Called when fd is ready; `events` are EPOLL* bits. */
typedef void (*kt_loop_fd_fn)(void *arg, uint32_t events);
typedef void (*kt_loop_job_fn)(void *arg);

struct kt_loop_loan;

struct kt_loop_watch { /* embedded in its owner, zeroed once; the loop borrows it while it is added */
    int fd;
    kt_loop_fd_fn fn;
    void *arg;
    uint32_t events;           /* as added; 0 = not added; the loop's, as below */
    struct kt_loop_loan *loan; /* NULL = the loop itself waits for it */
};

struct kt_loop_loan { /* embedded in its owner, zeroed once; the loop's while it has a watch */
    struct kt_loop_watch *watch;
    uint64_t since_ns;
    struct kt_loop_loan *next, *prev;
};

struct kt_timer {    /* embedded in its owner, zeroed once; the loop borrows it while it is armed */
    uint64_t due_ns; /* monotonic; 0 = not armed; the loop's */
    kt_loop_job_fn fn;
    void *arg;
    uint64_t seq; /* the loop's, as all below: equal due times run in the order of arming */
    struct kt_timer *child, *next, *prev;
};

struct kt_loop_job { /* embedded in its owner, zeroed once; the loop borrows it while it is queued */
    kt_loop_job_fn fn;
    void *arg;
    struct kt_loop_job *next; /* the loop's, as all below */
    bool queued, heap;
};

/* new; does not start a thread. */
kt_result kt_loop_new(struct kt_loop **out) KT_MUST;
/* After kt_loop_stop or kt_loop_run. Jobs that never ran are dropped. */
void kt_loop_free(struct kt_loop *l);

/* Loop thread only (and before it runs). events == 0 removes. Remove before you close the fd. KT_ERR_IO:
 * nothing changed. */
kt_result kt_loop_watch_set(struct kt_loop *l, struct kt_loop_watch *w, uint32_t events) KT_MUST;
/* Loop thread only. kt_loop_watch_set with events == 0, which cannot fail. */
void kt_loop_watch_drop(struct kt_loop *l, struct kt_loop_watch *w);
/* Loop thread only. Arms, moves or (0) disarms; never fails. Fires once, at most a millisecond late by
 * rounding. */
void kt_loop_timer_set(struct kt_loop *l, struct kt_timer *t, uint64_t due_ns);

/* Any thread: runs fn(arg) on the loop thread, in order of posting, after the callback that runs there now.
 * KT_ERR_MEMORY leaves nothing posted. KT_ERR_STATE once the loop was stopped. */
kt_result kt_loop_post(struct kt_loop *l, kt_loop_job_fn fn, void *arg) KT_MUST;
/* The same without allocation. A job that is still queued stays where it is (KT_OK, it runs once).
 * KT_ERR_STATE as above. */
kt_result kt_loop_post_job(struct kt_loop *l, struct kt_loop_job *job) KT_MUST;

/* Any thread: the program closed the loop's own fds by a bare system call. Its thread has ended, posts are
 * refused, and what it watched is lost. */
bool kt_loop_is_broken(struct kt_loop *l);
/* Any thread: false where it has another table of fds than the loop's own thread (unshare(CLONE_FILES)): then
 * no fd of the one means anything to the other. Keeps no errno. */
bool kt_loop_shares_fds(struct kt_loop *l);

/* Any thread but the loop's: runs fn(arg), the jobs that it posts and the timers that are due right here, as
 * if this thread were the loop's, where that one waits for events and nothing is queued: the caller need not
 * wait until it is awake. The caller has blocked signals, whose handlers might never return. False: nothing
 * was run, post it. */
bool kt_loop_run_here(struct kt_loop *l, kt_loop_job_fn fn, void *arg) KT_MUST;

/* A guest, inside its fn: runs what is posted and due now, not behind fn. */
void kt_loop_turn(struct kt_loop *l);

/*
 * A guest that would only sleep until the loop's thread has dealt with an fd can wait for that fd itself. All
 * three run on the loop thread, or as its guest.
 *
 * lend: the loop looks at that watch no more, but for errors. Ends by itself where the watch is dropped, and
 * 0.4 s after the last lend of it: a guest may vanish (siglongjmp, pthread_cancel). False: not lent.
 */
bool kt_loop_lend(struct kt_loop *l, struct kt_loop_watch *w, struct kt_loop_loan *loan) KT_MUST;
/* The guest has seen that the fd is ready: calls the watch's fn, where the loan still stands. */
void kt_loop_loan_serve(struct kt_loop_loan *loan);
/* The loop waits again. Nothing where the loan has ended. */
void kt_loop_loan_end(struct kt_loop *l, struct kt_loop_loan *loan);

/* Starts the loop's own thread with all signals blocked; `on_start` (may be NULL) runs first on it. */
kt_result kt_loop_start(struct kt_loop *l, void (*on_start)(void)) KT_MUST;
/* Refuses further posts, lets the thread run what was posted before, and joins it, after at most
 * `timeout_ms`; false where it did not end in time (never free the loop then). True where there is no thread.
 */
bool kt_loop_stop(struct kt_loop *l, unsigned timeout_ms);
/* The same without the join: allocates and frees nothing in this thread, which may be a signal handler that
 * interrupted malloc. Right before the end of the process. */
bool kt_loop_let_end(struct kt_loop *l, unsigned timeout_ms);
/* Runs the loop in the calling thread until kt_loop_quit. For `kt` and tests; the caller ignores SIGPIPE. */
void kt_loop_run(struct kt_loop *l);
void kt_loop_quit(struct kt_loop *l);
bool kt_loop_in_thread(const struct kt_loop *l);

/* fork: park returns true when the loop thread waits outside of every callback and library call, with nobody
 * inside kt_loop_post; unpark, in the same thread, lets it go on. Not from the loop thread. False: it did not
 * come there in time, and nothing is held. */
bool kt_loop_park(struct kt_loop *l, unsigned timeout_ms) KT_MUST;
void kt_loop_unpark(struct kt_loop *l);
/* In the child of a fork between park and unpark, instead of unpark: the thread is gone and posts are
 * refused. The fds are the registry's to close (kt_fds_fork_child). Nothing else may be done with the loop:
 * it is leaked on purpose. */
void kt_loop_after_fork_child(struct kt_loop *l);

#ifdef __cplusplus
}
#endif
