/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/fork.h"

#include "shim/audit_fds.h"
#include "shim/engine.h"
#include "shim/fdtab.h"
#include "shim/guard.h"
#include "shim/heir.h"
#include "shim/lock.h"
#include "shim/own_fd.h"
#include "shim/plan.h"
#include "shim/real.h"
#include "shim/ssl_table.h"
#include "shim/tap.h"
#include "shim/tap_sockets.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The order is that of nesting elsewhere: plan, engine, then the leaves. The engine comes last, because a
 * thread that makes a plan holds our lock while it waits for the engine's. */
static atomic_bool threads, forked;
static __thread bool prepared __attribute__((tls_model("initial-exec")));

/* A fork by the engine itself, which may hold these locks, or by a signal handler that interrupted us inside
 * of one: the child may execute or end; it is no process of ours (kt_engine_get). */
static bool must_not_wait(void)
{
    return kt_guarded() || kt_locks_held > 0;
}

static void lock_all(void)
{
    kt_plan_lock();
    kt_engine_lock();
    kt_tap_lock();
    kt_fdtab_lock();
    kt_ssl_table_lock();
}

static void prepare(void)
{
    prepared = !must_not_wait();
    if (!prepared)
        return;
    int saved = kt_guard_enter();
    lock_all();
    const struct kt_engine_abi *e = kt_engine_loaded();
    if (e)
        e->fork_prepare();
    kt_guard_leave(saved);
}

static void unlock_all(void)
{
    kt_ssl_table_unlock();
    kt_fdtab_unlock();
    kt_tap_unlock();
    kt_engine_unlock();
    kt_plan_unlock();
}

static void in_parent(void)
{
    if (!prepared)
        return;
    prepared = false;
    int saved = kt_guard_enter();
    const struct kt_engine_abi *e = kt_engine_loaded();
    if (e)
        e->fork_parent();
    unlock_all();
    kt_guard_leave(saved);
}

static void in_child(void)
{
    if (atomic_load(&threads))
        atomic_store(&forked, true);
    if (!prepared)
        return;
    prepared = false;
    int saved = kt_guard_enter();
    const struct kt_engine_abi *e = kt_engine_loaded();
    kt_shim_own_fd_forget_all(); /* the engine closes what it has; what it keeps it marks again */
    kt_audit_fds_mark();
    if (e)
        e->fork_child();
    kt_engine_forked();
    kt_ssl_table_forked();
    kt_tap_sockets_forked();
    kt_heirs_forked();
    unlock_all();
    kt_guard_leave(saved);
}

#define EXITING 0x4 /* of the kernel's flags: PF_EXITING */

/* One that was joined, the engine's too, is seen for a moment longer; it uses no fd any more. */
static bool is_leaving(const char *tid)
{
    char path[64], text[256];
    unsigned flags = 0;
    snprintf(path, sizeof path, "/proc/self/task/%s/stat", tid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = file >= 0 ? KT_REAL(read)(file, text, sizeof text - 1) : 0;
    if (file >= 0)
        KT_REAL(close)(file);
    text[n > 0 ? n : 0] = '\0';
    const char *name_end = strrchr(text, ')');
    bool known = name_end && sscanf(name_end, ") %*c %*d %*d %*d %*d %*d %u", &flags) == 1;
    return !known || (flags & EXITING);
}

/* The table of fds is that of threads that stay behind, too: the engine would work in one of the two. */
static bool has_other_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    bool any = !tasks;
    for (struct dirent *d; tasks && !any && (d = readdir(tasks)) != NULL;) {
        long tid = strtol(d->d_name, NULL, 10);
        any = tid > 0 && tid != gettid() && !is_leaving(d->d_name);
    }
    if (tasks)
        closedir(tasks);
    return any;
}

/* Behind a split that was not announced: those that share this thread's table came with it. */
static bool has_strangers(void)
{
    DIR *tasks = opendir("/proc/self/task");
    bool any = !tasks;
    for (struct dirent *d; tasks && !any && (d = readdir(tasks)) != NULL;) {
        long tid = strtol(d->d_name, NULL, 10);
        any = tid > 0 && syscall(SYS_kcmp, gettid(), tid, KCMP_FILES, 0, 0) > 0 && !is_leaving(d->d_name);
    }
    if (tasks)
        closedir(tasks);
    return any;
}

static void split(bool (*others)(void))
{
    if (must_not_wait() || !kt_engine_here())
        return;
    int saved = kt_guard_enter();
    lock_all();
    kt_shim_own_fd_forget_all(); /* closed by the engine, which tells of each that it is its own */
    kt_audit_fds_mark();
    if (kt_engine_loaded()->split() != 0 || others())
        kt_engine_disown();
    kt_ssl_table_forked();
    kt_tap_sockets_forked();
    unlock_all();
    kt_guard_leave(saved);
}

void kt_before_split(void)
{
    split(has_other_threads);
}

void kt_after_split(void)
{
    split(has_strangers);
}

int kt_fork_from_threads(void)
{
    return atomic_load(&forked);
}

void kt_fork_threads(void)
{
    atomic_store(&threads, true);
    kt_fork_register();
}

void kt_fork_register(void)
{
    static atomic_bool done;
    if (atomic_load_explicit(&done, memory_order_relaxed) || atomic_exchange(&done, true))
        return;
    pthread_atfork(prepare, in_parent, in_child);
}
