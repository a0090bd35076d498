/* SPDX-License-Identifier: Apache-2.0 */
/* Who is inside the engine, and forks, which wait until nobody is. */
#include "interceptor/engine/kt_engine_private.h"

#include "interceptor/loop/kt_fds.h"
#include "interceptor/upstream/kt_upstream.h"

#include <time.h>

#define SPLIT_MS 500 /* as at exit */
#define FORK_MS 1000 /* for those inside, and as much for the event thread */

/* A signal handler may call in while its thread is inside: that must not wait for a fork that waits for this
 * thread. */
static _Thread_local unsigned inside;

void kt_engine_gate_init(struct kt_engine *e)
{
    pthread_rwlockattr_t fair; /* a fork must not wait for ever behind a stream of readers */
    pthread_rwlockattr_init(&fair);
    pthread_rwlockattr_setkind_np(&fair, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&e->gate, &fair);
    pthread_rwlockattr_destroy(&fair);
}

void kt_engine_enter(struct kt_engine *e)
{
    if (inside++ == 0)
        pthread_rwlock_rdlock(&e->gate);
}

void kt_engine_leave(struct kt_engine *e)
{
    if (--inside == 0)
        pthread_rwlock_unlock(&e->gate);
}

/* The one thread of ours that a fork cannot hold: it is libcurl's and waits for the network, as a rule. */
static void let_resolver_begin(const struct kt_engine *e)
{
    uint64_t now = kt_now_mono_ns(), until = e->ctx.upstream ? kt_upstream_fork_ns(e->ctx.upstream) : 0;
    if (until <= now)
        return;
    struct timespec left = {0, (long)(until - now)}; /* a few ms */
    nanosleep(&left, NULL);
}

/* Not for ever: who is inside may wait for the audit log, which a process that was stopped has locked. */
static bool close_gate(struct kt_engine *e)
{
    uint64_t until = kt_now_mono_ns() + FORK_MS * UINT64_C(1000000);
    struct timespec ts = {.tv_sec = (time_t)(until / 1000000000u), .tv_nsec = (long)(until % 1000000000u)};
    return inside > 0 || pthread_rwlock_clockwrlock(&e->gate, CLOCK_MONOTONIC, &ts) == 0;
}

bool kt_engine_fork_prepare(struct kt_engine *e)
{
    if (!close_gate(e))
        return false;
    let_resolver_begin(e);
    /* Nobody but the event thread can hold or want any lock of the engine now, and it waits outside of them
     * all. */
    if (e->loop && !kt_loop_park(e->loop, FORK_MS)) {
        if (inside == 0)
            pthread_rwlock_unlock(&e->gate);
        return false;
    }
    kt_fds_fork_prepare();
    return true;
}

void kt_engine_fork_parent(struct kt_engine *e)
{
    kt_fds_fork_parent();
    if (e->loop)
        kt_loop_unpark(e->loop);
    if (inside == 0)
        pthread_rwlock_unlock(&e->gate);
}

/* Parked, nobody inside: what has fds or a thread is not used any more. TLS and libcurl state is not freed:
 * that would talk on connections that are the parent's. */
static void forget(struct kt_engine *e)
{
    kt_fds_fork_child();
    if (e->flows)
        kt_flows_forget(e->flows);
    if (e->taps)
        kt_taps_forget(e->taps);
    if (e->ctx.upstream)
        kt_upstream_abandon(e->ctx.upstream);
    if (e->loop)
        kt_loop_after_fork_child(e->loop);
    if (e->loop)
        kt_engine_leak(e, e->loop, e->flows, e->ctx.upstream);
    if (e->prober)
        kt_engine_leak(e, e->prober, e->taps,
                       NULL); /* its calls belong to the parent's loop; its leases too */
    if (e->otlp)
        kt_engine_leak(e, e->otlp, NULL, NULL);
    e->otlp = NULL;
    e->ctx.witness = (struct kt_witness){NULL, NULL};
    e->prober = NULL;
    e->loop = NULL;
    e->flows = NULL;
    e->taps = NULL;
    e->ctx.loop = NULL;
    e->ctx.under_way = NULL;
    e->ctx.upstream = NULL;
}

void kt_engine_fork_child(struct kt_engine *e)
{
    forget(e);
    for (size_t i = 0; i < KT_ENGINE_THROTTLE; i++)
        e->throttle[i].more = 0; /* the parent's to tell */
    /* Made anew, not unlocked: the lock knows its writer by thread id, and ours is another one now. The
     * threads whose read locks it may hold are not in this process. */
    kt_engine_gate_init(e);
    kt_engine_leaving_init(e);
    kt_engine_doubt(e);
    if (inside > 0)
        pthread_rwlock_rdlock(&e->gate);
}

bool kt_engine_shares_fds(struct kt_engine *e)
{
    kt_engine_enter(e); /* or a fork would copy the lock */
    pthread_mutex_lock(&e->lock);
    bool shares = !e->loop || e->stopped || (kt_loop_shares_fds(e->loop) && !kt_loop_is_broken(e->loop));
    pthread_mutex_unlock(&e->lock);
    kt_engine_leave(e);
    return shares;
}

bool kt_engine_split(struct kt_engine *e)
{
    if (inside > 0 || !kt_engine_stop(e, SPLIT_MS))
        return false;
    pthread_rwlock_wrlock(&e->gate);
    bool held = !e->loop || kt_loop_park(e->loop, SPLIT_MS); /* its thread has ended: at once */
    if (!held) {
        pthread_rwlock_unlock(&e->gate);
        return false;
    }
    kt_fds_fork_prepare();
    forget(e);
    kt_audit_forget_fds();
    pthread_mutex_lock(&e->lock);
    e->stopped = false;
    pthread_mutex_unlock(&e->lock);
    pthread_rwlock_unlock(&e->gate);
    return true;
}
