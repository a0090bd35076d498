/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/last_thread.h"

#include "shim/engine.h"
#include "shim/fork.h"
#include "shim/guard.h"
#include "shim/real.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS 50000000

static _Atomic(pid_t) left; /* the process whose first thread has */
static sigset_t mask;       /* what that one blocked */

/* Threads take their name from the one that begins them. */
static bool is_programs(long tid)
{
    static const char engines[] = "kt-engine\n";
    char path[48], name[20] = "";
    snprintf(path, sizeof path, "/proc/self/task/%ld/comm", tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? KT_REAL(read)(fd, name, sizeof name - 1) : -1;
    if (fd >= 0)
        KT_REAL(close)(fd);
    return n > 0 && strcmp(name, engines) != 0;
}

static bool any_of_program(void)
{
    int saved = kt_guard_enter();
    bool any = kt_fork_any_other(is_programs);
    kt_guard_leave(saved);
    return any;
}

bool kt_only_thread(void)
{
    return !any_of_program();
}

/* When the engine's has ended, this one is the last, in which libc ends the process. */
static void *be_the_last(void *none)
{
    const struct timespec pause = {0, LOOK_NS};
    (void)none;
    while (any_of_program())
        nanosleep(&pause, NULL);
    kt_before_split();
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    return NULL;
}

static void begin(void)
{
    pthread_t thread;
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    if (KT_REAL(pthread_create)(&thread, NULL, be_the_last, NULL) == 0)
        pthread_detach(thread);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void kt_main_leaves(void)
{
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    atomic_store(&left, getpid());
    if (kt_engine_here())
        begin();
}

void kt_main_may_have_left(void)
{
    if (atomic_load(&left) == getpid())
        begin();
}
