/* SPDX-License-Identifier: Apache-2.0 */
/* What a wrapped program needs from the file system: the library and the configs. */
#include "tools/wrap_env.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Beside us in a build tree, or in the folder of an installed package, wherever that was moved to. */
static void look_around(char out[PATH_MAX])
{
    static const char *const places[] = {"../lib/libkt.so", "../lib/ktwrap/libkt.so"};
    char exe[PATH_MAX], path[PATH_MAX + 32];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(exe, '/');
    if (slash)
        *slash = '\0';
    for (size_t i = 0; i < KT_COUNT(places); i++) {
        snprintf(path, sizeof path, "%s/%s", exe, places[i]);
        if (realpath(path, out))
            return;
    }
    snprintf(out, PATH_MAX, "%.*s", PATH_MAX - 1, path);
}

bool kt_find_libkt(const char *command, char out[PATH_MAX])
{
    const char *env = getenv("KT_LIB");
    if (env && *env)
        snprintf(out, PATH_MAX, "%s", env);
    else
        look_around(out);
    if (access(out, R_OK) == 0)
        return true;
    fprintf(stderr, "kt %s: cannot read %s: %s (KT_LIB names another place)\n", command, out,
            strerror(errno));
    return false;
}

/* Whatever lies there is meant: what cannot be read is the reader's to say, not "no config". */
static bool lies_here(const char *name)
{
    struct stat st;
    return lstat(name, &st) == 0 || errno != ENOENT;
}

/* Absolute, because the program may change its folder. Links stay: relative paths inside a config count from
 * the link. */
static kt_result add_absolute(const char *command, const char *file, struct kt_buf *paths)
{
    KT_CLEANUP(kt_cleanup_free) char *cwd = file[0] == '/' ? NULL : getcwd(NULL, 0);
    if (strchr(file, ':') || (cwd && strchr(cwd, ':'))) {
        fprintf(stderr,
                "kt %s: KT_POLICY_CONFIG cannot name '%s%s%s', it separates files by colons: rename it, or "
                "give a "
                "path without a colon by --policy-config\n",
                command, cwd ? cwd : "", cwd ? "/" : "", file);
        return kt_err(KT_ERR_USAGE);
    }
    return kt_buf_printf(paths, "%s%s%s%s", paths->len ? ":" : "", cwd ? cwd : "", cwd ? "/" : "", file);
}

kt_result kt_find_configs(const char *command, struct kt_strings *files, struct kt_buf *paths)
{
    const char *env = getenv("KT_POLICY_CONFIG");
    if (files->count == 0 && env && *env)
        KT_GUARD(kt_config_split_paths(env, files));
    if (files->count == 0 && lies_here("policy-config.yaml"))
        KT_GUARD(kt_strings_add(files, "policy-config.yaml"));
    for (size_t i = 0; i < files->count; i++)
        KT_GUARD(add_absolute(command, files->items[i], paths));
    return kt_ok();
}
