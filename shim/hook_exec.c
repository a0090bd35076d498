/* SPDX-License-Identifier: Apache-2.0 */
/* exec and posix_spawn: the child stays wrapped, also where the program passes a clean environment. */
#include "shim/child_env.h"
#include "shim/guard.h"
#include "shim/heir.h"
#include "shim/real.h"
#include "shim/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_program(int dir, const char *path)
{
    struct stat st;
    return faccessat(dir, path, X_OK, AT_EACCESS) == 0 && fstatat(dir, path, &st, 0) == 0 &&
           S_ISREG(st.st_mode);
}

/* "DIR/file", where dir has n bytes. */
static bool is_program_in(const char *dir, size_t n, const char *file)
{
    size_t len = strlen(file);
    char *path = __builtin_alloca(n + 1 + len + 1);
    memcpy(path, dir, n);
    path[n] = '/';
    memcpy(path + n + (n > 0), file, len + 1);
    return is_program(AT_FDCWD, path);
}

/* As execvp searches. What is too long for us may be there. */
static bool is_in_path(const char *file)
{
    const char *dir = getenv("PATH");
    if (strchr(file, '/'))
        return is_program(AT_FDCWD, file);
    for (dir = dir ? dir : "/bin:/usr/bin";; dir++) {
        size_t n = strcspn(dir, ":");
        if (n + strlen(file) >= PATH_MAX || is_program_in(dir, n, file))
            return true;
        dir += n;
        if (*dir == '\0')
            return false;
    }
}

/* Events of calls that the program leaves behind are written first. Not for a file that cannot be executed:
 * Python's execvp tries one folder after the other. */
static bool settle(bool search, int dir, const char *path)
{
    int saved = errno;
    bool may = !kt_bypass() && (!path || (search ? is_in_path(path) : is_program(dir, path)));
    if (may)
        kt_heirs_before_exec();
    bool settled = may && kt_tap_settle(KT_ABI_EXEC);
    errno = saved;
    return settled;
}

static void failed(bool settled)
{
    int saved = errno;
    if (settled)
        kt_tap_settle(KT_ABI_EXEC_FAILED);
    errno = saved;
}

/* For the rest of the calling function. */
#define CHILD_ENV(s, m, envp)                                                                                \
    size_t need = kt_bypass() ? 0 : kt_child_env_need(m, envp);                                              \
    char *const *env = need ? kt_child_env(m, envp, KT_SCRATCH(s, need)) : envp

enum how { BY_PATH, BY_SEARCH, BY_FD };

static int run(enum how how, const char *path, int fd, char *const argv[], char *const envp[])
{
    struct kt_scratch s = {NULL, 0};
    struct kt_missing m;
    bool settled = settle(how == BY_SEARCH, AT_FDCWD, path);
    CHILD_ENV(&s, &m, envp);
    int rc = how == BY_PATH     ? KT_REAL(execve)(path, argv, env)
             : how == BY_SEARCH ? KT_REAL(execvpe)(path, argv, env)
                                : KT_REAL(fexecve)(fd, argv, env);
    failed(settled);
    kt_scratch_done(&s);
    return rc;
}

KT_HOOK int execve(const char *path, char *const argv[], char *const envp[])
{
    return run(BY_PATH, path, -1, argv, envp);
}

KT_HOOK int execv(const char *path, char *const argv[])
{
    return run(BY_PATH, path, -1, argv, environ);
}

KT_HOOK int execvp(const char *file, char *const argv[])
{
    return run(BY_SEARCH, file, -1, argv, environ);
}

KT_HOOK int execvpe(const char *file, char *const argv[], char *const envp[])
{
    return run(BY_SEARCH, file, -1, argv, envp);
}

KT_HOOK int fexecve(int fd, char *const argv[], char *const envp[])
{
    return run(BY_FD, NULL, fd, argv, envp);
}

KT_HOOK int execveat(int dirfd, const char *path, char *const argv[], char *const envp[], int flags)
{
    struct kt_scratch s = {NULL, 0};
    struct kt_missing m;
    bool settled = settle(false, dirfd, flags & AT_EMPTY_PATH ? NULL : path);
    CHILD_ENV(&s, &m, envp);
    __typeof__(&execveat) real = KT_REAL(execveat);
    int rc = -1;
    if (real)
        rc = real(dirfd, path, argv, env, flags);
    else
        errno = ENOSYS;
    failed(settled);
    kt_scratch_done(&s);
    return rc;
}

/* argv of execl(path, arg, ...), up to the NULL, with that. */
static size_t count_args(const char *arg, va_list ap)
{
    size_t n = arg ? 1 : 0;
    while (n > 0 && va_arg(ap, const char *))
        n++;
    return n;
}

static void collect_args(char **argv, size_t n, const char *arg, va_list ap)
{
    argv[0] = (char *)(uintptr_t)arg;
    for (size_t i = 1; i <= n; i++)
        argv[i] = va_arg(ap, char *); /* the last one is the NULL, after which execle has its envp */
}

/* execl, execlp and execle differ in where the environment comes from and in the search. */
static int run_list(enum how how, const char *path, const char *arg, va_list ap, bool has_env)
{
    struct kt_scratch s = {NULL, 0};
    va_list count;
    va_copy(count, ap);
    size_t n = count_args(arg, count), bytes = (n + 1) * sizeof(char *);
    va_end(count);
    char **argv = KT_SCRATCH(&s, bytes);
    if (!argv) {
        errno = ENOMEM;
        return -1;
    }
    collect_args(argv, n, arg, ap);
    char *const *envp = has_env ? va_arg(ap, char *const *) : environ;
    int rc = run(how, path, -1, argv, envp);
    kt_scratch_done(&s);
    return rc;
}

KT_HOOK int execl(const char *path, const char *arg, ...)
{
    va_list ap;
    va_start(ap, arg);
    int rc = run_list(BY_PATH, path, arg, ap, false);
    va_end(ap);
    return rc;
}

KT_HOOK int execlp(const char *file, const char *arg, ...)
{
    va_list ap;
    va_start(ap, arg);
    int rc = run_list(BY_SEARCH, file, arg, ap, false);
    va_end(ap);
    return rc;
}

KT_HOOK int execle(const char *path, const char *arg, ...)
{
    va_list ap;
    va_start(ap, arg);
    int rc = run_list(BY_PATH, path, arg, ap, true);
    va_end(ap);
    return rc;
}

typedef int (*spawn_fn)(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
                        char *const[], char *const[]);

static int spawn(spawn_fn real, pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                 const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
    struct kt_scratch s = {NULL, 0};
    struct kt_missing m;
    CHILD_ENV(&s, &m, envp);
    int rc = real(pid, path, actions, attr, argv, env);
    kt_scratch_done(&s);
    return rc;
}

KT_HOOK int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
    return spawn(KT_REAL(posix_spawn), pid, path, actions, attr, argv, envp);
}

KT_HOOK int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                         const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
    return spawn(KT_REAL(posix_spawnp), pid, file, actions, attr, argv, envp);
}
