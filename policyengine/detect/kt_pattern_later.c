/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_pattern_later.h"

#include "policyengine/base/kt_log.h"
#include "policyengine/base/kt_option.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JOBS 4           /* policies with patterns of their own, and room */
#define STACK (8u << 20) /* only what is touched of it counts; the compiler recurses */

struct job {
    atomic_uint refs; /* table, thread */
    pid_t owner;      /* a fork child has no such thread */
    atomic_bool over; /* the thread writes nothing any more */
    char key[KT_SHA256_HEX];
    char *folder; /* owned */
    struct kt_strings expressions;
    struct kt_pattern_image image;
    kt_result result;
    struct kt_error err;
    int kept; /* 0, or errno: why it is not in the folder */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* jobs; never taken by the thread that compiles */
static struct job *jobs[JOBS];
static _Thread_local bool later, waits;

static void unref(struct job *j)
{
    if (!j || atomic_fetch_sub(&j->refs, 1) != 1)
        return;
    kt_strings_free(&j->expressions);
    kt_buf_free(&j->image.bytes);
    free(j->folder);
    free(j);
}

static void unref_cleanup(struct job **j)
{
    unref(*j);
}

static void *thread_main(void *arg)
{
    struct job *j = arg;
    j->result = kt_pattern_compile(j->expressions.items, j->expressions.count, &j->image, &j->err);
    if (kt_is_ok(j->result) && j->folder[0] && !kt_pattern_store(j->folder, j->key, &j->image))
        j->kept = errno;
    atomic_store(&j->over, true);
    unref(j);
    return NULL;
}

/* As of the event thread: it never runs a handler of the program. */
static bool start(struct job *j)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, saved;
    if (pthread_attr_init(&attr) != 0)
        return false;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK);
    sigfillset(&all);
    atomic_store(&j->refs, 2);
    pthread_sigmask(SIG_SETMASK, &all, &saved);
    int rc = pthread_create(&thread, &attr, thread_main, j);
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
    pthread_attr_destroy(&attr);
    if (rc != 0)
        atomic_store(&j->refs, 1);
    return rc == 0;
}

/* The parent's thread is not here, and its memory may be half written: left as it is. */
static void forget_parents(void)
{
    for (size_t i = 0; i < JOBS; i++)
        if (jobs[i] && jobs[i]->owner != getpid())
            jobs[i] = NULL;
}

static bool busy(void)
{
    forget_parents();
    for (size_t i = 0; i < JOBS; i++)
        if (jobs[i] && !atomic_load(&jobs[i]->over))
            return true;
    return false;
}

/* NULL where there is no memory or no thread: the next try may have them. */
static struct job *job_new(char *const *expressions, size_t n, const char *key, const char *folder)
{
    KT_CLEANUP(unref_cleanup) struct job *j = calloc(1, sizeof *j);
    if (!j)
        return NULL;
    atomic_init(&j->refs, 1);
    j->owner = getpid();
    memcpy(j->key, key, sizeof j->key);
    j->folder = strdup(folder);
    for (size_t i = 0; i < n; i++)
        if (!kt_is_ok(kt_strings_add(&j->expressions, expressions[i])))
            return NULL;
    if (!j->folder || !start(j))
        return NULL;
    return KT_TAKE(j);
}

static struct job *find(const char *key)
{
    for (size_t i = 0; i < JOBS; i++)
        if (jobs[i] && memcmp(jobs[i]->key, key, sizeof jobs[i]->key) == 0)
            return jobs[i];
    return NULL;
}

/* A finished one of an older config makes room where there is none. */
static void add(struct job *j)
{
    static size_t next;
    size_t at = JOBS;
    for (size_t i = 0; i < JOBS && at == JOBS; i++)
        if (!jobs[i])
            at = i;
    if (at == JOBS)
        at = next++ % JOBS;
    unref(jobs[at]);
    jobs[at] = j;
}

static kt_result not_yet(struct kt_error *err)
{
    waits = true;
    return kt_fail(err, KT_ERR_STATE, "are being compiled");
}

bool kt_pattern_later(char *const *expressions, size_t n, const char *key, const char *folder,
                      const struct kt_pattern_image **image, kt_result *r, struct kt_error *err)
{
    if (!later)
        return false;
    pthread_mutex_lock(&lock);
    bool wait = busy();
    struct job *j = find(key);
    if (!j && !wait && (j = job_new(expressions, n, key, folder)))
        add(j);
    if (!j || !atomic_load(&j->over)) {
        *r = not_yet(err);
    } else {
        *r = j->result;
        *image = &j->image;
        if (!kt_is_ok(*r) && err)
            *err = j->err;
        if (j->kept)
            kt_warn("compiled patterns cannot be kept in %s: %s", folder, strerror(j->kept));
    }
    pthread_mutex_unlock(&lock);
    return true;
}

bool kt_pattern_later_busy(void)
{
    pthread_mutex_lock(&lock);
    bool yes = busy();
    pthread_mutex_unlock(&lock);
    return yes;
}

void kt_pattern_later_begin(void)
{
    later = true;
    waits = false;
}

bool kt_pattern_later_end(void)
{
    later = false;
    if (waits)
        return true;
    pthread_mutex_lock(&lock);
    forget_parents();
    for (size_t i = 0; i < JOBS; i++) {
        if (!jobs[i] || !atomic_load(&jobs[i]->over))
            continue;
        unref(jobs[i]);
        jobs[i] = NULL;
    }
    pthread_mutex_unlock(&lock);
    return false;
}
