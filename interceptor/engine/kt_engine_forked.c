/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL behind a fork. Its locks know nothing of forks: one that another thread of the parent held is held
 * for ever in the child (Debian 12: the register of threads, which each thread enters at its first use and
 * leaves at its end; the tables of fetched algorithms, of ex_data, of providers). Threads of ours hold none,
 * since a fork waits for them; the program's may. So a child tries before it believes: a thread of ours does
 * all that a flow needs, and where it does not come back no thread of the program follows it.
 */
#include "interceptor/engine/kt_engine_private.h"

#include "interceptor/tls/kt_tls_rehearsal.h"
#include "policyengine/base/kt_log.h"

#include <errno.h>
#include <stdlib.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#define TRY_SECONDS 3 /* of 2 ms */

struct attempt {
    bool (*fn)(void);
    struct kt_loop *loop;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    atomic_bool over, good; /* written under lock */
};

/* Those that never end stay, with their threads, for the rest of the process: one of each kind. */
static _Atomic(struct attempt *) stuck[2];

static void run(void *arg)
{
    struct attempt *a = arg;
    bool good = a->fn();
    pthread_mutex_lock(&a->lock);
    a->good = good;
    a->over = true;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

static struct attempt *attempt_new(bool (*fn)(void))
{
    struct attempt *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&a->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&a->lock, NULL);
    a->fn = fn;
    if (kt_loop_new(&a->loop).code == KT_OK)
        return a;
    free(a);
    return NULL;
}

static void attempt_free(struct attempt *a)
{
    kt_loop_free(a->loop);
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

static bool wait_for(struct attempt *a)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += TRY_SECONDS;
    pthread_mutex_lock(&a->lock);
    while (!a->over && pthread_cond_timedwait(&a->changed, &a->lock, &until) != ETIMEDOUT)
        ;
    bool over = a->over;
    pthread_mutex_unlock(&a->lock);
    return over;
}

/* By a thread of its own. False also where it did not come back. */
static bool try(bool (*fn)(void), void (*on_start)(void), unsigned slot)
{
    struct attempt *a = attempt_new(fn);
    if (!a)
        return false;
    bool runs = kt_loop_start(a->loop, on_start).code == KT_OK;
    bool posted = runs && kt_loop_post(a->loop, run, a).code == KT_OK;
    if (posted && !wait_for(a)) {
        atomic_store(&stuck[slot], a);
        return false;
    }
    bool good = posted && a->good;
    if (kt_loop_stop(a->loop, TRY_SECONDS * 1000))
        attempt_free(a);
    return good;
}

static bool fetch_digest(void)
{
    kt_sha256_prepare();
    return true;
}

enum kt_openssl kt_openssl_after_fork(void (*on_start)(void))
{
    return try(kt_tls_rehearsal, on_start, 0) ? KT_OPENSSL_GOOD : KT_OPENSSL_STUCK;
}

bool kt_digest_after_fork(void (*on_start)(void))
{
    return try(fetch_digest, on_start, 1);
}

/* It was only slow: the machine was very busy. Asks no lock, which the fork of this process may have left
 * taken. */
static bool came_back(void)
{
    const struct attempt *a = atomic_load(&stuck[0]);
    return a && atomic_load(&a->over) && atomic_load(&a->good);
}

/* Lock held. */
bool kt_engine_usable_locked(struct kt_engine *e)
{
    if (e->openssl == KT_OPENSSL_UNSURE) {
        e->openssl = kt_openssl_after_fork(e->guard_thread);
        if (e->openssl == KT_OPENSSL_STUCK)
            kt_warn(
                "OpenSSL cannot be used in process %d: a thread of its parent was inside of it at the fork",
                (int)getpid());
    }
    if (e->openssl == KT_OPENSSL_STUCK && came_back())
        e->openssl = KT_OPENSSL_GOOD;
    return e->openssl == KT_OPENSSL_GOOD;
}

bool kt_engine_usable(struct kt_engine *e)
{
    kt_engine_enter(e);
    pthread_mutex_lock(&e->lock);
    bool yes = kt_engine_usable_locked(e);
    pthread_mutex_unlock(&e->lock);
    kt_engine_leave(e);
    return yes;
}

void kt_engine_doubt(struct kt_engine *e)
{
    bool alone = e->forked && !e->forked();
    if (e->openssl == KT_OPENSSL_GOOD && !alone)
        e->openssl = KT_OPENSSL_UNSURE;
}
