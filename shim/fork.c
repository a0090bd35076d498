/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/fork.h"

#include "shim/audit_fds.h"
#include "shim/engine.h"
#include "shim/env.h"
#include "shim/fdtab.h"
#include "shim/guard.h"
#include "shim/hello_parts.h"
#include "shim/heir.h"
#include "shim/libc_symbol.h"
#include "shim/lock.h"
#include "shim/near.h"
#include "shim/own_fd.h"
#include "shim/plan.h"
#include "shim/real.h"
#include "shim/stack.h"
#include "shim/ssl_table.h"
#include "shim/tap.h"
#include "shim/tap_sockets.h"

#include <dirent.h>
#include <errno.h>
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
enum { NOT_PREPARED, LOCKS, LOCKS_AND_ENGINE, NESTED /* each fork by a handler of the program's */ };
__thread unsigned kt_forking __attribute__((tls_model("initial-exec")));

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
    kt_hello_parts_lock();
}

static bool nested_fork_ends(void)
{
    bool nested = kt_forking >= NESTED;
    if (nested)
        kt_forking -= NESTED;
    return nested;
}

static void prepare(void)
{
    if (kt_forking)
        kt_forking += NESTED;
    if (kt_forking || must_not_wait())
        return;
    int saved = kt_guard_enter();
    lock_all();
    const struct kt_engine_abi *e = kt_engine_loaded();
    unsigned what = !e || e->fork_prepare() == 0 ? LOCKS_AND_ENGINE : LOCKS;
    kt_shim_environ_lock(); /* last: the event thread asks for it before it stands still */
    kt_forking = what;
    kt_guard_leave(saved);
}

static void unlock_all(void)
{
    kt_hello_parts_unlock();
    kt_ssl_table_unlock();
    kt_fdtab_unlock();
    kt_tap_unlock();
    kt_engine_unlock();
    kt_plan_unlock();
}

static void in_parent(void)
{
    if (nested_fork_ends() || !kt_forking)
        return;
    const struct kt_engine_abi *e = kt_forking == LOCKS_AND_ENGINE ? kt_engine_loaded() : NULL;
    kt_forking = NOT_PREPARED;
    kt_shim_environ_unlock();
    int saved = kt_guard_enter();
    if (e)
        e->fork_parent();
    unlock_all();
    kt_guard_leave(saved);
}

static void in_child(void)
{
    if (atomic_load(&threads))
        atomic_store(&forked, true);
    if (nested_fork_ends() || !kt_forking)
        return;
    bool whole = kt_forking == LOCKS_AND_ENGINE; /* else it is no process of the engine's (kt_engine_get) */
    kt_forking = NOT_PREPARED;
    kt_shim_environ_unlock();
    int saved = kt_guard_enter();
    const struct kt_engine_abi *e = whole ? kt_engine_loaded() : NULL;
    if (whole) {
        kt_shim_own_fd_forget_all(); /* the engine closes what it has; what it keeps it marks again */
        kt_audit_fds_mark();
    }
    kt_stack_forked();
    if (e)
        e->fork_child();
    if (whole)
        kt_engine_forked();
    kt_ssl_table_forked();
    kt_tap_sockets_forked();
    kt_heirs_forked();
    unlock_all();
    kt_guard_leave(saved);
}

#define ENDING 4u /* PF_EXITING of the kernel, in the flags that proc(5) speaks of */

/* A thread that was joined is listed for a moment longer, on a busy machine for many. */
static bool is_ending(long tid)
{
    char path[48], text[512];
    unsigned flags = 0;
    snprintf(path, sizeof path, "/proc/self/task/%ld/stat", tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? KT_REAL(read)(fd, text, sizeof text - 1) : -1;
    bool gone = n < 0 && (errno == ENOENT || errno == ESRCH);
    if (fd >= 0)
        KT_REAL(close)(fd);
    if (n <= 0)
        return gone;
    text[n] = '\0';
    const char *name_end = strrchr(text, ')');
    return name_end && sscanf(name_end, ") %*c %*d %*d %*d %*d %*d %u", &flags) == 1 && (flags & ENDING);
}

bool kt_fork_any_other(bool (*matters)(long tid))
{
    DIR *tasks = opendir("/proc/self/task");
    bool any = !tasks;
    for (struct dirent *d; tasks && !any && (d = readdir(tasks)) != NULL;) {
        long tid = strtol(d->d_name, NULL, 10);
        any = tid > 0 && tid != gettid() && matters(tid) && !is_ending(tid);
    }
    if (tasks)
        closedir(tasks);
    return any;
}

/* The table of fds is that of threads that stay behind, too: the engine would work in one of the two. */
static bool stays_behind(long tid)
{
    (void)tid;
    return true;
}

static bool has_other_threads(void)
{
    return kt_fork_any_other(stays_behind);
}

/* Behind a split that was not announced: those that share this thread's table came with it. */
static bool has_another_table(long tid)
{
    return syscall(SYS_kcmp, gettid(), tid, KCMP_FILES, 0, 0) > 0;
}

static bool has_strangers(void)
{
    return kt_fork_any_other(has_another_table);
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

void kt_fork_before(const void *handler)
{
    if (!kt_near_defines(handler, "malloc"))
        kt_fork_register();
}

void kt_fork_register(void)
{
    static atomic_bool done;
    if (atomic_load_explicit(&done, memory_order_relaxed) || atomic_exchange(&done, true))
        return;
    if (!kt_libc_is_first("malloc")) {
        void *volatile p = malloc(1); /* its handlers come first (kt_fork_before) */
        free(p);
    }
    pthread_atfork(prepare, in_parent, in_child);
}
