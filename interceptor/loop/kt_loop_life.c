/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's own thread: its start, its end, and what there is where the program took its fds away. */
#include "interceptor/loop/kt_loop_private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NS_PER_MS 1000000u

/* The number may be the program's by now: nothing is done with it any more. */
void kt_loop_give_up(struct kt_loop *l)
{
    pthread_mutex_lock(&l->lock);
    l->refuse = l->broken = true;
    pthread_mutex_unlock(&l->lock);
}

/* Lock held. Its wait cannot be ended; what it would do behind it, it does not do. */
bool kt_loop_sleeps_for_ever(const struct kt_loop *l)
{
    return l->broken && l->open && !l->guest;
}

bool kt_loop_is_broken(struct kt_loop *l)
{
    int saved = errno;
    pthread_mutex_lock(&l->lock);
    if (l->running && fcntl(l->epfd, F_GETFD) < 0 && errno == EBADF)
        l->refuse = l->broken =
            true; /* asleep, the thread notices nothing: the kernel keeps what it waits for */
    errno = saved;
    bool broken = l->broken;
    pthread_mutex_unlock(&l->lock);
    return broken;
}

bool kt_loop_shares_fds(struct kt_loop *l)
{
    int tid = atomic_load(&l->tid);
    /* 0: the same table; below: nobody can tell. */
    return tid == 0 || syscall(SYS_kcmp, gettid(), tid, KCMP_FILES, 0, 0) <= 0;
}

static void *thread_main(void *arg)
{
    struct kt_loop *l = arg;
    atomic_store(&l->tid, (int)gettid());
    if (l->on_start)
        l->on_start();
    kt_loop_run(l);
    return NULL;
}

/* TSan goes on to know the parent's threads in a fork child and dies of two with one stack. */
#if defined(__SANITIZE_THREAD__)
static pid_t started_by;
#define STARTED_BY(pid) (started_by = started_by ? started_by : (pid))
#define MAY_JOIN() (started_by == getpid())
#else
#define STARTED_BY(pid) ((void)0)
#define MAY_JOIN() true
#endif

kt_result kt_loop_start(struct kt_loop *l, void (*on_start)(void))
{
    STARTED_BY(getpid());
    KT_ENSURE(!l->has_thread, KT_ERR_STATE);
    KT_ENSURE(kt_loop_thread_may_begin(), KT_ERR_IO);
    sigset_t all, saved;
    pthread_attr_t attr;
    bool good = kt_loop_thread_attr(&attr);
    sigfillset(&all);
    l->on_start = on_start;
    /* The thread inherits the mask: it never runs a handler of the program, not even in its first
     * instructions. */
    pthread_sigmask(SIG_SETMASK, &all, &saved);
    pthread_mutex_lock(&l->lock);
    int rc = pthread_create(&l->thread, good ? &attr : NULL, thread_main, l);
    l->has_thread = l->running = rc == 0;
    pthread_mutex_unlock(&l->lock);
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
    if (good)
        pthread_attr_destroy(&attr);
    if (rc != 0)
        errno = rc;
    return rc == 0 ? kt_ok() : kt_err(KT_ERR_IO);
}

struct timespec kt_loop_until(unsigned timeout)
{
    uint64_t until = kt_now_mono_ns() + (uint64_t)timeout * NS_PER_MS;
    return (struct timespec){.tv_sec = (time_t)(until / 1000000000u), .tv_nsec = (long)(until % 1000000000u)};
}

bool kt_loop_let_end(struct kt_loop *l, unsigned timeout)
{
    if (kt_loop_in_thread(l))
        return false;
    struct timespec ts = kt_loop_until(timeout);
    pthread_mutex_lock(&l->lock);
    l->refuse = true;
    kt_loop_wake(l);
    int rc = 0;
    while (l->has_thread && l->running && !kt_loop_sleeps_for_ever(l) && rc == 0)
        rc = pthread_cond_timedwait(&l->changed, &l->lock, &ts);
    bool ended = !l->running || kt_loop_sleeps_for_ever(l);
    pthread_mutex_unlock(&l->lock);
    return ended;
}

bool kt_loop_stop(struct kt_loop *l, unsigned timeout)
{
    bool ended = kt_loop_let_end(l, timeout);
    pthread_mutex_lock(&l->lock);
    bool over = l->has_thread && ended, sleeps = kt_loop_sleeps_for_ever(l);
    if (over)
        l->has_thread = false;
    pthread_mutex_unlock(&l->lock);
    if (over && sleeps)
        pthread_detach(l->thread);
    else if (over && MAY_JOIN())
        pthread_join(l->thread, NULL);
    return ended;
}
