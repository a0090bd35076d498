/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The loop, as the files of this folder share it. */
#include "interceptor/loop/kt_loop.h"
#include "interceptor/loop/kt_timers.h"

#include <pthread.h>
#include <stdatomic.h>

#define KT_LOOP_BATCH 64

struct kt_loop {
    int epfd, evfd;
    struct kt_timers timers;
    struct kt_loop_loan *loans; /* the newest first */
    struct kt_timer loans_due;
    struct epoll_event batch[KT_LOOP_BATCH];
    int batch_count, batch_at;

    pthread_mutex_t lock; /* everything below */
    pthread_cond_t changed;
    struct kt_loop_job *first, *last;
    size_t jobs;
    bool woken;  /* the eventfd was written and not seen since: one write wakes for many posts */
    bool refuse; /* no further posts */
    bool quit;
    bool broken;  /* epoll is gone */
    bool running; /* some thread is inside kt_loop_run */
    bool has_thread;
    bool parked;
    unsigned park_wanted;
    bool open;              /* the thread waits for events, and a guest may come in */
    bool guest;             /* one is in: it is the loop's thread meanwhile */
    bool dropped;           /* a watch was dropped since the wait began; owner only */
    uint64_t wait_until_ns; /* when the wait ends at the latest; UINT64_MAX = never */
    pthread_t thread;
    atomic_int tid; /* of that thread, once it runs */
    void (*on_start)(void);
    atomic_ulong owner; /* pthread_t of the running thread; 0 = none */
};

/* kt_loop.c; the owner's */
void kt_loop_due_timers(struct kt_loop *l);
void kt_loop_queued_jobs(struct kt_loop *l);
void kt_loop_wake(struct kt_loop *l); /* any thread */

/* kt_loop_life.c */
void kt_loop_give_up(struct kt_loop *l);               /* owner only: epoll is gone */
bool kt_loop_sleeps_for_ever(const struct kt_loop *l); /* lock held */
struct timespec kt_loop_until(unsigned timeout_ms);

/* kt_loop_thread.c: true = `attr` is new (pthread_attr_destroy), with a stack that suffices in little space.
 */
bool kt_loop_thread_attr(pthread_attr_t *attr);
/* False where libc would end the process. */
bool kt_loop_thread_may_begin(void);
/* kt_loop_loan.c; the owner's. The watch's loan ends, and epoll is not told. */
void kt_loop_loan_forget(struct kt_loop *l, struct kt_loop_watch *w);
