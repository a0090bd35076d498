/* SPDX-License-Identifier: Apache-2.0 */
/*
 * system and popen start a shell from within libc, with the program's environment as it is. Where that was
 * cleared the shell is told to give its children what is missing. It makes no calls itself.
 */
#include "shim/child_env.h"
#include "shim/guard.h"
#include "shim/real.h"
#include "shim/trace.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* NAME='value'; a quote in it becomes '\''. */
static char *quote(char *out, const char *entry)
{
    size_t name = strcspn(entry, "=");
    memcpy(out, entry, name);
    out += name;
    out = stpcpy(out, "='");
    for (const char *p = entry + name + (entry[name] == '='); *p; p++)
        out = *p == '\'' ? stpcpy(out, "'\\''") : (*out = *p, out + 1);
    return stpcpy(out, "'");
}

/* Other names the shell takes for commands, or for a reason to stop. */
static bool has_shell_name(const char *entry)
{
    size_t n = strspn(entry, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789");
    return entry[n] == '=' && n > 0 && !(*entry >= '0' && *entry <= '9');
}

/* Is the i-th one ours, and can a shell have it? */
static bool is_exported(char *const *env, size_t i, size_t own)
{
    return (i >= own || env[i] != environ[i]) && has_shell_name(env[i]);
}

/* Makes "-c" and what follows it longer than the kernel takes. */
static bool is_too_long(const char *full, const char *command)
{
    const size_t max = (size_t)32 * 4096; /* MAX_ARG_STRLEN */
    bool too_long = strlen(full) >= max && strlen(command) < max;
    if (too_long)
        KT_TRACE_SHIM("system: a command of %zu bytes leaves no room for LD_PRELOAD", strlen(command));
    return too_long;
}

/* new (free); NULL where nothing is missing, or there is no memory. On one line, as messages of the shell
 * have its number. */
static char *with_exports(const char *command)
{
    struct kt_scratch s = {NULL, 0};
    struct kt_missing m;
    size_t room = kt_child_env_need(&m, environ);
    char *const *env = room ? kt_child_env(&m, environ, KT_SCRATCH(&s, room)) : environ;
    bool any = false;
    size_t own = 0, need = sizeof "export; " + strlen(command);
    while (environ && environ[own])
        own++;
    for (size_t i = 0; env != environ && env[i]; i++)
        if (is_exported(env, i, own))
            need += 4 * strlen(env[i]) + 4, any = true;
    char *out = any ? malloc(need) : NULL, *end = out ? stpcpy(out, "export") : NULL;
    for (size_t i = 0; end && env[i]; i++)
        if (is_exported(env, i, own)) {
            *end++ = ' ';
            end = quote(end, env[i]);
        }
    if (end)
        stpcpy(stpcpy(end, "; "), command);
    kt_scratch_done(&s);
    if (out && is_too_long(out, command)) {
        free(out);
        return NULL;
    }
    return out;
}

static char *prepared(const char *command)
{
    int saved = errno;
    char *full = command && !kt_bypass() ? with_exports(command) : NULL;
    errno = saved;
    return full;
}

KT_HOOK int system(const char *command)
{
    char *full = prepared(command);
    int rc, error;
    if (!full)
        return KT_REAL(system)(command);
    pthread_cleanup_push(free, full);
    rc = KT_REAL(system)(full);
    error = errno;
    pthread_cleanup_pop(1);
    errno = error;
    return rc;
}

KT_HOOK FILE *popen(const char *command, const char *mode)
{
    char *full = prepared(command);
    FILE *f = KT_REAL(popen)(full ? full : command, mode);
    int error = errno;
    free(full);
    errno = error;
    return f;
}
