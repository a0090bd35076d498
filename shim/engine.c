/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/engine.h"

#include "shim/audit_fds.h"
#include "shim/env.h"
#include "shim/fork.h"
#include "shim/guard.h"
#include "shim/last_thread.h"
#include "shim/libc_symbol.h"
#include "shim/lock.h"
#include "shim/own_fd.h"
#include "shim/quick_exit.h"
#include "shim/real.h"
#include "shim/self.h"
#include "shim/stack.h"
#include "shim/tls_libraries.h"
#include "shim/trace.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(const struct kt_engine_abi *) engine;
static atomic_bool failed;
static _Atomic(pid_t) owner; /* the process that the engine works for */

static const struct kt_shim_host host = {
    .version = KT_ABI_VERSION,
    .size = sizeof host,
    .guard_thread = kt_guard_thread,
    .own_fd = kt_shim_own_fd,
    .env = kt_env_get,
    .forked = kt_fork_from_threads,
    .audit_fd = kt_audit_fd,
    .environ_lock = kt_shim_environ_lock,
    .environ_unlock = kt_shim_environ_unlock,
};

void kt_engine_lock(void)
{
    kt_lock(&lock);
}

void kt_engine_unlock(void)
{
    kt_unlock(&lock);
}

void kt_engine_forked(void)
{
    atomic_store(&owner, getpid());
}

void kt_engine_disown(void)
{
    atomic_store(&owner, 0);
}

bool kt_engine_is_of_this_process(void)
{
    return atomic_load(&owner) == getpid() && !kt_forking; /* it stands still */
}

const struct kt_engine_abi *kt_engine_loaded(void)
{
    return atomic_load_explicit(&engine, memory_order_acquire);
}

const struct kt_engine_abi *kt_engine_here(void)
{
    const struct kt_engine_abi *abi = kt_engine_loaded();
    return abi && kt_engine_is_of_this_process() ? abi : NULL;
}

void kt_shim_note_unseen(const char *name, uint16_t port)
{
    static _Atomic(pid_t) noted; /* once a process: each takes a place in a table */
    const struct kt_engine_abi *abi = kt_engine_loaded();
    if (!abi || kt_engine_is_of_this_process() || atomic_exchange(&noted, getpid()) == getpid())
        return;
    int saved = kt_guard_enter();
    abi->note_unseen(name, port);
    kt_guard_leave(saved);
}

/* RTLD_DEEPBIND keeps the program's own libraries out of the engine. Not with a sanitizer, whose runtime ends
 * the process, nor with an allocator of the program's (jemalloc, tcmalloc): libc's strdup would use that one
 * and the engine's free libc's. */
static bool must_share(void)
{
    static const char *const marks[] = {"__asan_init", "__tsan_init", "__msan_init", "__hwasan_init",
                                        "__lsan_init"};
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if (kt_real_dlsym(RTLD_DEFAULT, marks[i]))
            return true;
    return !kt_libc_is_first("malloc");
}

static bool engine_path(char *out, size_t size)
{
    const char *v = kt_env_get("KT_ENGINE");
    if (v && *v)
        return (size_t)snprintf(out, size, "%s", v) < size;
    const char *self = kt_self_path(), *slash = strrchr(self, '/');
    return slash && (size_t)snprintf(out, size, "%.*s/libktengine.so", (int)(slash - self), self) < size;
}

static const struct kt_engine_abi *find(void)
{
    char path[PATH_MAX];
    if (!engine_path(path, sizeof path))
        return NULL;
    kt_real_warm(); /* the engine has a thread */
    int flags = RTLD_NOW | RTLD_LOCAL | (must_share() ? 0 : RTLD_DEEPBIND);
    kt_tls_libraries_before_engine();
    void *handle = KT_REAL(dlopen)(path, flags);
    kt_tls_libraries_after_engine();
    if (!handle) {
        const char *why = dlerror();
        KT_TRACE_SHIM("engine: %s", why ? why : "cannot be opened");
        return NULL;
    }
    kt_engine_abi_fn ask;
    *(void **)&ask = kt_real_dlsym(handle, KT_ENGINE_ABI_SYMBOL);
    const struct kt_engine_abi *abi = ask ? ask() : NULL;
    if (!abi || abi->version != KT_ABI_VERSION || abi->size < sizeof *abi) {
        KT_TRACE_SHIM("engine: %s speaks another ABI", path);
        return NULL;
    }
    if (abi->start(&host) != 0) {
        KT_TRACE_SHIM("engine: %s did not start", path);
        return NULL;
    }
    KT_TRACE_SHIM("engine: %s loaded", path);
    return abi;
}

static void load(void *abi)
{
    *(const struct kt_engine_abi **)abi = find();
}

const struct kt_engine_abi *kt_engine_get(void)
{
    const struct kt_engine_abi *abi = kt_engine_loaded();
    if (abi) /* a child by clone() or by a signal handler inside of us has no thread that would serve it */
        return kt_engine_is_of_this_process() ? abi : NULL;
    if (atomic_load(&failed) || kt_forking)
        return NULL;
    kt_fork_register();
    int saved = kt_guard_enter();
    kt_lock(&lock);
    abi = atomic_load(&engine);
    if (!abi && !atomic_load(&failed)) {
        bool tried = kt_stack_call(load, &abi);
        atomic_store(&owner, getpid());
        if (abi) {
            abi = kt_engine_apart(abi);
            atomic_store_explicit(&engine, abi, memory_order_release);
            kt_quick_exit_register();
            kt_main_may_have_left();
        } else {
            atomic_store(&failed, tried);
        }
    }
    kt_unlock(&lock);
    kt_guard_leave(saved);
    return abi;
}

const struct kt_engine_abi *kt_engine_usable(void)
{
    const struct kt_engine_abi *abi = kt_engine_get();
    if (!abi || !kt_fork_from_threads())
        return abi;
    int saved = kt_guard_enter();
    bool usable = abi->usable();
    kt_guard_leave(saved);
    return usable ? abi : NULL;
}
