/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/abi/kt_plan_format.h"
#include "interceptor/plan/kt_plan.h"
#include "interceptor/plan/kt_plan_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* NULL also where it is empty. */
static const char *env(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static kt_result absolute(const char *path, char *out, size_t size)
{
    char cwd[PATH_MAX];
    if (path[0] == '/')
        return kt_path_format(out, size, "%s", path);
    KT_ENSURE(getcwd(cwd, sizeof cwd), KT_ERR_IO);
    return kt_path_format(out, size, "%s/%s", cwd, path);
}

static kt_result find_state_dir(const char *given, char *out, size_t size)
{
    const char *dir = given && *given ? given : env("KT_STATE_DIR");
    if (dir)
        return absolute(dir, out, size);
    dir = env("XDG_STATE_HOME");
    if (dir && dir[0] == '/') /* the XDG specification: a relative one is to be ignored */
        return kt_path_format(out, size, "%s/kt", dir);
    dir = env("HOME");
    if (dir && dir[0] == '/')
        return kt_path_format(out, size, "%s/.local/state/kt", dir);
    return kt_path_format(out, size, "/tmp/kt-%u", (unsigned)geteuid());
}

/* Under sudo or su the variable often still names the other user's folder. */
static bool usable_runtime(const char *dir)
{
    struct stat st;
    return dir && dir[0] == '/' && stat(dir, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
           access(dir, W_OK | X_OK) == 0;
}

/* Anybody may make a folder in /tmp, and who made this one keeps it. */
static bool taken(const char *dir)
{
    struct stat st;
    return lstat(dir, &st) == 0 && (!S_ISDIR(st.st_mode) || st.st_uid != geteuid());
}

static kt_result find_runtime_dir(struct kt_paths *out)
{
    const char *runtime = env("XDG_RUNTIME_DIR");
    if (usable_runtime(runtime))
        return kt_path_format(out->runtime_dir, sizeof out->runtime_dir, "%s/ktwrap", runtime);
    KT_GUARD(
        kt_path_format(out->runtime_dir, sizeof out->runtime_dir, "/tmp/ktwrap-%u", (unsigned)geteuid()));
    return taken(out->runtime_dir)
               ? kt_path_format(out->runtime_dir, sizeof out->runtime_dir, "%s/run", out->state_dir)
               : kt_ok();
}

kt_result kt_paths_resolve(const char *state_dir, struct kt_paths *out, struct kt_error *err)
{
    kt_result r = find_state_dir(state_dir, out->state_dir, sizeof out->state_dir);
    if (!kt_is_ok(r))
        return kt_fail(err, r.code == KT_ERR_LIMIT ? KT_ERR_USAGE : r.code,
                       "cannot resolve the state folder: %s",
                       r.code == KT_ERR_LIMIT ? "its path is too long" : strerror(errno));
    r = find_runtime_dir(out);
    return kt_is_ok(r)
               ? r
               : kt_fail(err, KT_ERR_USAGE, "the path of the runtime folder (XDG_RUNTIME_DIR) is too long");
}

/* True where it was created by this call. A failure shows when the path is looked at afterwards. */
static bool make_dir(const char *path)
{
    if (mkdir(path, 0700) != 0)
        return false;
    chmod(path, 0700); /* whatever the umask is */
    return true;
}

static kt_result make_parents(const char *path, char *copy, size_t size)
{
    KT_GUARD(kt_path_format(copy, size, "%s", path));
    size_t n = strlen(copy);
    while (n > 1 && copy[n - 1] == '/')
        copy[--n] = '\0';
    KT_ENSURE(n > 0, KT_ERR_USAGE);
    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        make_dir(copy);
        *slash = '/';
    }
    return kt_ok();
}

/* Everybody may rename and replace what lies in such a folder. */
static bool parent_is_open(const char *path)
{
    char parent[4096];
    struct stat st;
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path ||
        !kt_is_ok(kt_path_format(parent, sizeof parent, "%.*s", (int)(slash - path), path)))
        return false;
    return stat(parent, &st) == 0 && (st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX);
}

static const char *why_not_private(const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return strerror(errno);
    if (S_ISLNK(st.st_mode)) {
        if (st.st_uid != geteuid() && st.st_uid != 0)
            return "it is a symbolic link of another user";
        if (stat(path, &st) != 0)
            return strerror(errno);
    }
    if (!S_ISDIR(st.st_mode))
        return "it is not a folder";
    if (st.st_uid != geteuid())
        return "it belongs to another user";
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return "others may write to it; run chmod go-w on it";
    if (parent_is_open(path))
        return "it lies in a folder where everybody may replace it";
    return NULL;
}

kt_result kt_make_private_dir(const char *path, struct kt_error *err)
{
    char copy[4096];
    if (!kt_is_ok(make_parents(path, copy, sizeof copy)))
        return kt_fail(err, KT_ERR_IO, "%.200s...: the path is empty or too long", path);
    errno = 0;
    bool created = make_dir(copy);
    int mkdir_errno = errno;
    const char *why = why_not_private(copy);
    if (!why)
        return kt_ok();
    if (!created && errno == ENOENT && mkdir_errno != EEXIST)
        why = strerror(mkdir_errno); /* "Read-only file system" says more than "No such file" */
    return kt_fail(err, KT_ERR_IO, "the folder %.300s cannot be used: %s", copy, why);
}
