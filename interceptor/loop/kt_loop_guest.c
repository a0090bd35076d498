/* SPDX-License-Identifier: Apache-2.0 */
/* Other threads in the loop's place: a guest, which runs a job itself while the loop's thread waits for
 * events, and a fork, which holds that thread where nothing is under way. */
#include "interceptor/loop/kt_loop_private.h"

/* --- guests --- */

static bool come_in(struct kt_loop *l)
{
    pthread_mutex_lock(&l->lock);
    bool in = l->open && !l->guest && !l->first && !l->woken && !l->refuse && !l->quit && !l->park_wanted;
    l->guest |= in;
    pthread_mutex_unlock(&l->lock);
    return in;
}

/* The thread's wait was measured before: it must not last longer than what was armed meanwhile. */
static void go(struct kt_loop *l, unsigned long thread)
{
    atomic_store(&l->owner, thread);
    pthread_mutex_lock(&l->lock);
    l->guest = false;
    bool earlier = l->timers.root && l->timers.root->due_ns < l->wait_until_ns;
    bool wake = l->open && !l->woken && (earlier || l->first);
    l->woken |= wake;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    if (wake)
        kt_loop_wake(l);
}

void kt_loop_turn(struct kt_loop *l)
{
    kt_loop_queued_jobs(l);
    kt_loop_due_timers(l);
    kt_loop_queued_jobs(l);
}

bool kt_loop_run_here(struct kt_loop *l, kt_loop_job_fn fn, void *arg)
{
    int cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    bool in = come_in(l);
    if (in) {
        unsigned long thread = atomic_exchange(&l->owner, (unsigned long)pthread_self());
        fn(arg);
        kt_loop_turn(l);
        go(l, thread);
    }
    pthread_setcancelstate(cancel, NULL);
    return in;
}

/* --- fork --- */

/* The lock stays taken until unpark: a fork copies it in a known state, and nobody is inside a post. */
bool kt_loop_park(struct kt_loop *l, unsigned timeout)
{
    struct timespec until = kt_loop_until(timeout);
    int rc = 0;
    pthread_mutex_lock(&l->lock);
    l->park_wanted++;
    kt_loop_wake(l);
    while (((l->running && !l->parked && !kt_loop_sleeps_for_ever(l)) || l->guest) && rc == 0)
        rc = pthread_cond_timedwait(&l->changed, &l->lock, &until);
    bool held = (!l->running || l->parked || kt_loop_sleeps_for_ever(l)) && !l->guest;
    if (!held)
        kt_loop_unpark(l);
    return held;
}

void kt_loop_unpark(struct kt_loop *l)
{
    l->park_wanted--;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

void kt_loop_after_fork_child(struct kt_loop *l)
{
    l->park_wanted = 0;
    l->refuse = true;
    l->running = l->parked = l->has_thread = l->open = l->guest = false;
    atomic_store(&l->owner, 0);
    pthread_mutex_unlock(&l->lock);
}
