/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/loop/kt_loop_private.h"

#include "interceptor/loop/kt_fds.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define NS_PER_MS 1000000u

kt_result kt_loop_new(struct kt_loop **out)
{
    struct kt_loop *l = calloc(1, sizeof *l);
    KT_ENSURE(l, KT_ERR_MEMORY);
    pthread_condattr_t ca;
    pthread_condattr_init(&ca);
    pthread_condattr_setclock(&ca, CLOCK_MONOTONIC);
    pthread_cond_init(&l->changed, &ca);
    pthread_condattr_destroy(&ca);
    pthread_mutex_init(&l->lock, NULL);
    l->epfd = kt_own_fd(epoll_create1(EPOLL_CLOEXEC));
    l->evfd = kt_own_fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    /* Each write is an edge: nobody has to read the count back. */
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    /* The first wait tells whether a filter of the program's own lets us wait at all. */
    if (l->epfd < 0 || l->evfd < 0 || epoll_ctl(l->epfd, EPOLL_CTL_ADD, l->evfd, &ev) != 0 ||
        epoll_wait(l->epfd, &ev, 1, 0) < 0) {
        kt_loop_free(l);
        return kt_err(KT_ERR_IO);
    }
    *out = l;
    return kt_ok();
}

static void drop_jobs(struct kt_loop *l)
{
    while (l->first) {
        struct kt_loop_job *j = l->first;
        l->first = j->next;
        j->queued = false;
        if (j->heap)
            free(j);
    }
}

void kt_loop_free(struct kt_loop *l)
{
    if (!l)
        return;
    drop_jobs(l);
    kt_disown_close(l->epfd);
    kt_disown_close(l->evfd);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->changed);
    free(l);
}

bool kt_loop_in_thread(const struct kt_loop *l)
{
    return atomic_load_explicit(&l->owner, memory_order_relaxed) == (unsigned long)pthread_self();
}

/* --- watches --- */

/* Events of this batch that were fetched for a watch which is gone now must not reach it. */
static void forget_in_batch(struct kt_loop *l, const struct kt_loop_watch *w)
{
    for (int i = l->batch_at; i < l->batch_count; i++)
        if (l->batch[i].data.ptr == w)
            l->batch[i].events = 0;
}

void kt_loop_watch_drop(struct kt_loop *l, struct kt_loop_watch *w)
{
    if (w->events == 0)
        return;
    kt_loop_loan_forget(l, w);
    epoll_ctl(l->epfd, EPOLL_CTL_DEL, w->fd, NULL);
    w->events = 0;
    l->dropped = true;
    forget_in_batch(l, w);
}

kt_result kt_loop_watch_set(struct kt_loop *l, struct kt_loop_watch *w, uint32_t events)
{
    if (events == 0) {
        kt_loop_watch_drop(l, w);
        return kt_ok();
    }
    if (events == w->events)
        return kt_ok();
    kt_loop_loan_forget(l, w); /* the guest waits for something else */
    struct epoll_event ev = {.events = events, .data.ptr = w};
    int op = w->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    KT_ENSURE(epoll_ctl(l->epfd, op, w->fd, &ev) == 0, KT_ERR_IO);
    w->events = events;
    return kt_ok();
}

/* --- timers --- */

void kt_loop_timer_set(struct kt_loop *l, struct kt_timer *t, uint64_t due_ns)
{
    if (t->due_ns)
        kt_timers_remove(&l->timers, t);
    if (due_ns)
        kt_timers_add(&l->timers, t, due_ns);
}

/* Only timers that were armed before this round: one that always re-arms itself in the past must not starve
 * the fds. */
void kt_loop_due_timers(struct kt_loop *l)
{
    uint64_t limit = l->timers.seq;
    struct kt_timer *t = l->timers.root;
    if (!t)
        return;
    uint64_t now = kt_now_mono_ns();
    while ((t = l->timers.root) && t->due_ns <= now && t->seq < limit) {
        kt_timers_remove(&l->timers, t);
        t->fn(t->arg);
    }
}

/* --- jobs --- */

kt_result kt_loop_post_job(struct kt_loop *l, struct kt_loop_job *job)
{
    pthread_mutex_lock(&l->lock);
    bool wake = false, refused = l->refuse;
    if (!refused && !job->queued) {
        job->queued = true;
        job->next = NULL;
        if (l->last)
            l->last->next = job;
        else
            l->first = job;
        l->last = job;
        l->jobs++;
        wake = !l->woken && !kt_loop_in_thread(l);
        l->woken |= wake;
    }
    pthread_mutex_unlock(&l->lock);
    if (wake) {
        int saved = errno;
        eventfd_write(l->evfd, 1);
        errno = saved;
    }
    return refused ? kt_err(KT_ERR_STATE) : kt_ok();
}

kt_result kt_loop_post(struct kt_loop *l, kt_loop_job_fn fn, void *arg)
{
    struct kt_loop_job *job = calloc(1, sizeof *job);
    KT_ENSURE(job, KT_ERR_MEMORY);
    job->fn = fn;
    job->arg = arg;
    job->heap = true;
    kt_result r = kt_loop_post_job(l, job);
    if (r.code != KT_OK)
        free(job);
    return r;
}

/* Copies the job out, because its owner may go inside fn. False where none is left. */
static bool next_job(struct kt_loop *l, struct kt_loop_job *out)
{
    pthread_mutex_lock(&l->lock);
    struct kt_loop_job *j = l->first;
    if (j) {
        l->first = j->next;
        if (!l->first)
            l->last = NULL;
        l->jobs--;
        j->queued = false;
        *out = *j;
    }
    pthread_mutex_unlock(&l->lock);
    if (j && out->heap)
        free(j);
    return j != NULL;
}

/* At most as many as are queued now: jobs that post jobs must starve neither the fds nor a fork that waits.
 */
void kt_loop_queued_jobs(struct kt_loop *l)
{
    pthread_mutex_lock(&l->lock);
    size_t n = l->jobs < KT_LOOP_BATCH ? l->jobs : KT_LOOP_BATCH;
    pthread_mutex_unlock(&l->lock);
    struct kt_loop_job j;
    while (n-- > 0 && next_job(l, &j))
        j.fn(j.arg);
}

void kt_loop_wake(struct kt_loop *l)
{
    int saved = errno;
    eventfd_write(l->evfd, 1);
    errno = saved;
}

static void clear_wake(struct kt_loop *l)
{
    pthread_mutex_lock(&l->lock);
    l->woken = false;
    pthread_mutex_unlock(&l->lock);
}

/* --- the thread --- */

static int timeout_ms(struct kt_loop *l)
{
    l->wait_until_ns = l->timers.root ? l->timers.root->due_ns : UINT64_MAX;
    if (!l->timers.root)
        return -1;
    uint64_t now = kt_now_mono_ns(), due = l->timers.root->due_ns;
    if (due <= now)
        return 0;
    uint64_t ms = (due - now + NS_PER_MS - 1) / NS_PER_MS;
    return ms > 3600000u ? 3600000 : (int)ms;
}

static void dispatch(struct kt_loop *l, int n)
{
    l->batch_count = n;
    for (int i = 0; i < n; i++) {
        struct kt_loop_watch *w = l->batch[i].data.ptr;
        uint32_t events = l->batch[i].events;
        l->batch_at = i + 1;
        if (!w && events) {
            clear_wake(l);
        } else if (events) {
            events &=
                w->events | EPOLLERR | EPOLLHUP; /* `events` may have changed since the batch was fetched */
            if (events)
                w->fn(w->arg, events);
        }
        kt_loop_queued_jobs(l);
    }
    l->batch_at = l->batch_count = 0;
}

/* Between callbacks: where a fork may wait, and where the loop may end. False = end. *ms = how long to wait
 * for events. */
static bool checkpoint(struct kt_loop *l, int *ms)
{
    pthread_mutex_lock(&l->lock);
    while (l->park_wanted > 0) {
        l->parked = true;
        pthread_cond_broadcast(&l->changed);
        pthread_cond_wait(&l->changed, &l->lock);
    }
    l->parked = false;
    bool idle = l->first == NULL;
    bool go_on = !l->quit && !(l->refuse && idle);
    *ms = idle ? timeout_ms(l) : 0;
    l->dropped = false;
    l->open = go_on && *ms != 0;
    pthread_mutex_unlock(&l->lock);
    return go_on;
}

/* Behind the wait: a guest finishes first. True where events may be for watches that it dropped; they are not
 * looked at, epoll tells all but the wake-up again. */
static bool come_back(struct kt_loop *l, bool *broken)
{
    pthread_mutex_lock(&l->lock);
    l->open = false;
    while (l->guest)
        pthread_cond_wait(&l->changed, &l->lock);
    bool stale = l->dropped;
    if (stale)
        l->woken = false;
    *broken |= l->broken;
    pthread_mutex_unlock(&l->lock);
    return stale;
}

void kt_loop_run(struct kt_loop *l)
{
    pthread_mutex_lock(&l->lock);
    l->running = true;
    pthread_mutex_unlock(&l->lock);
    atomic_store(&l->owner, (unsigned long)pthread_self());
    int ms = 0;
    while (checkpoint(l, &ms)) {
        int n = epoll_wait(l->epfd, l->batch, KT_LOOP_BATCH, ms);
        bool broken = n < 0 && errno == EBADF, stale = ms != 0 && come_back(l, &broken);
        if (broken) {
            kt_loop_give_up(l);
            break;
        }
        dispatch(l, n > 0 && !stale ? n : 0);
        kt_loop_due_timers(l);
        kt_loop_queued_jobs(l);
    }
    atomic_store(&l->owner, 0);
    pthread_mutex_lock(&l->lock);
    l->running = l->quit = false;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

void kt_loop_quit(struct kt_loop *l)
{
    pthread_mutex_lock(&l->lock);
    l->quit = true;
    pthread_mutex_unlock(&l->lock);
    kt_loop_wake(l);
}
