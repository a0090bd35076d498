/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/env.h"

#include "shim/lock.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX 16384
#define OUR_FILE "libkt.so"

static char text[TEXT_MAX]; /* copies: a program that sets its title writes over the original strings */
static size_t text_used;
static const char *vars[KT_ENV_MAX_VARS];
static const char *absolute[KT_ENV_MAX_VARS]; /* of vars[i] where that names a relative path, else NULL */
static size_t var_count;
static bool preloaded;
static atomic_int state; /* 0 none, 1 being taken, 2 taken */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* a leaf */
/* By this thread: the engine's getenv is our hook where a sanitizer or an allocator of the program's forbids
 * RTLD_DEEPBIND. */
static __thread uint8_t held __attribute__((tls_model("initial-exec")));

void kt_shim_environ_lock(void)
{
    if (held++ == 0)
        kt_lock(&lock);
}

void kt_shim_environ_unlock(void)
{
    if (--held == 0)
        kt_unlock(&lock);
}

bool kt_env_same_name(const char *entry, const char *name)
{
    while (*entry && *entry != '=' && *entry == *name) {
        entry++;
        name++;
    }
    return *entry == '=' && (*name == '\0' || *name == '=');
}

bool kt_preload_is_us(const char *entry, size_t len)
{
    const char *base = entry + len;
    while (base > entry && base[-1] != '/')
        base--;
    return (size_t)(entry + len - base) == sizeof OUR_FILE - 1 &&
           memcmp(base, OUR_FILE, sizeof OUR_FILE - 1) == 0;
}

bool kt_preload_has_us(const char *value, bool anywhere)
{
    while (*value) {
        size_t len = strcspn(value, ": ");
        bool relative = *value != '/' && memchr(value, '/', len);
        if (kt_preload_is_us(value, len) && !(anywhere && relative))
            return true;
        value += len;
        value += strspn(value, ": ");
    }
    return false;
}

static bool names_paths(const char *entry)
{
    return kt_env_same_name(entry, "KT_POLICY_CONFIG") || kt_env_same_name(entry, "KT_STATE_DIR") ||
           kt_env_same_name(entry, "KT_PLAN") || kt_env_same_name(entry, "KT_ENGINE");
}

static bool is_relative(const char *list)
{
    for (; *list; list += strcspn(list, ":"), list += *list == ':')
        if (*list != '/' && *list != ':')
            return true;
    return false;
}

/* The program may go to another folder before it makes its first call. NULL where there is no room. */
static const char *make_absolute(const char *entry)
{
    char cwd[PATH_MAX];
    size_t from = text_used, at = text_used, name = strcspn(entry, "=") + 1;
    if (!getcwd(cwd, sizeof cwd) || name > sizeof text - at)
        return NULL;
    memcpy(text + at, entry, name);
    at += name;
    for (const char *p = entry + name; *p;) {
        size_t len = strcspn(p, ":"), dir = *p == '/' || len == 0 ? 0 : strlen(cwd) + 1;
        if (dir + len + 1 >= sizeof text - at)
            return NULL;
        memcpy(text + at, cwd, dir ? dir - 1 : 0);
        if (dir)
            text[at + dir - 1] = '/';
        memcpy(text + at + dir, p, len + 1); /* and the ':' or the NUL */
        at += dir + len + 1;
        p += len + (p[len] == ':');
    }
    text[at++] = '\0';
    text_used = at;
    return text + from;
}

static void keep(const char *entry)
{
    size_t len = strlen(entry) + 1;
    if (var_count == KT_ENV_MAX_VARS)
        return;
    if (len <= sizeof text - text_used) {
        memcpy(text + text_used, entry, len);
        entry = text + text_used;
        text_used += len;
    }
    if (names_paths(entry) && is_relative(strchr(entry, '=') + 1))
        absolute[var_count] = make_absolute(entry);
    vars[var_count++] = entry;
}

void kt_env_snapshot(char *const *envp)
{
    int none = 0;
    /* Only one thread exists when this first runs, but a hook may run before the constructor does. */
    if (!envp || !atomic_compare_exchange_strong(&state, &none, 1))
        return;
    for (; *envp; envp++) {
        if ((*envp)[0] == 'K' && strncmp(*envp, "KT_", 3) == 0)
            keep(*envp);
        else if ((*envp)[0] == 'L' && strncmp(*envp, "LD_PRELOAD=", 11) == 0)
            preloaded = kt_preload_has_us(*envp + 11, false);
    }
    atomic_store_explicit(&state, 2, memory_order_release);
}

char *kt_env_scan(char *const *envp, const char *name)
{
    size_t len = strlen(name);
    for (; envp && *envp; envp++)
        if (strncmp(*envp, name, len) == 0 && (*envp)[len] == '=')
            return *envp + len + 1;
    return NULL;
}

/* Nothing is said by an empty one: the tree's stays in force. KT_TRACE may be switched off so. */
static bool says_nothing(const char *value, const char *name)
{
    return value && *value == '\0' && !kt_env_same_name("KT_TRACE=", name);
}

const char *kt_env_get(const char *name)
{
    kt_env_snapshot(environ);
    kt_shim_environ_lock();
    const char *now = kt_env_scan(environ, name);
    kt_shim_environ_unlock();
    for (size_t i = 0; i < var_count; i++) {
        const char *then = kt_env_same_name(vars[i], name) ? strchr(vars[i], '=') + 1 : NULL;
        if (then && (!now || says_nothing(now, name) || (absolute[i] && strcmp(now, then) == 0)))
            return strchr(absolute[i] ? absolute[i] : vars[i], '=') + 1;
    }
    return now;
}

const char *kt_env_better(const char *entry)
{
    for (size_t i = 0; i < var_count; i++) {
        const char *best = absolute[i] ? absolute[i] : vars[i], *value = strchr(entry, '=');
        if (absolute[i] && strcmp(entry, vars[i]) == 0)
            return best;
        if (value && says_nothing(value + 1, entry) && kt_env_same_name(entry, vars[i]) &&
            *(strchr(vars[i], '=') + 1))
            return best;
    }
    return NULL;
}

const char *kt_env_saved(size_t i)
{
    kt_env_snapshot(environ);
    return i >= var_count ? NULL : absolute[i] ? absolute[i] : vars[i];
}

bool kt_env_preloaded(void)
{
    kt_env_snapshot(environ);
    return preloaded;
}

__attribute__((constructor)) static void at_start(int argc, char **argv, char **envp)
{
    (void)argc;
    (void)argv;
    kt_env_snapshot(envp);
}
