/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/audit_fds.h"

#include "shim/env.h"
#include "shim/guard.h"
#include "shim/own_fd.h"
#include "shim/plan_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES 4u

static struct {
    _Atomic int fd; /* and one; 0 = none */
    dev_t dev;
    ino_t ino;
} kept[FILES];
static atomic_bool tried;

static bool has_policy(void)
{
    const char *plan = kt_env_get("KT_PLAN"), *config = kt_env_get("KT_POLICY_CONFIG");
    return (plan && *plan) || (config && *config);
}

static void keep(unsigned which, int fd)
{
    struct stat st;
    if (fd < 0)
        return;
    fd = kt_shim_own_fd_raise(fd);
    if (fstat(fd, &st) != 0)
        return;
    kept[which].dev = st.st_dev;
    kept[which].ino = st.st_ino;
    atomic_store(&kept[which].fd, fd + 1);
}

/* Where only root can make something. All else is for the later user, whom a folder of root's would lock out:
 * `su` and its like become somebody else and make no call themselves. */
static bool is_roots(const char *folder)
{
    struct stat st;
    return stat(folder, &st) == 0 && st.st_uid == 0 && !(st.st_mode & (S_IWGRP | S_IWOTH));
}

/* As the engine would. True where it was not there. */
static bool make_folder(const char *path)
{
    char parent[PATH_MAX + 8];
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    while (len > 1 && path[len - 1] != '/')
        len--;
    memcpy(parent, path, len);
    parent[len] = '\0';
    return is_roots(parent) && mkdir(path, 0700) == 0;
}

static void open_all(void)
{
    static const char *const names[FILES] = {NULL, "lock", "head", "current.jsonl"};
    char dir[PATH_MAX], path[PATH_MAX + 8];
    if (!kt_state_dir(dir, sizeof dir) || snprintf(path, sizeof path, "%s/audit", dir) >= (int)sizeof path)
        return;
    make_folder(dir);
    int made = make_folder(path) ? O_CREAT : 0; /* else what is missing is for the engine to mend */
    int folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = 1; folder >= 0 && i < FILES; i++) {
        int append = i == FILES - 1 ? O_APPEND : 0;
        keep(i, openat(folder, names[i], O_RDWR | O_CLOEXEC | O_NOFOLLOW | made | append, 0600));
    }
    keep(0, folder);
}

void kt_audit_fds_keep(void)
{
    int saved = errno;
    if (geteuid() == 0 && has_policy() && !kt_memory_is_borrowed() && !atomic_exchange(&tried, true))
        open_all();
    errno = saved;
}

int kt_audit_fd(unsigned which)
{
    struct stat st;
    int fd = which < FILES ? atomic_load(&kept[which].fd) - 1 : -1;
    bool same =
        fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == kept[which].dev && st.st_ino == kept[which].ino;
    return same ? fd : -1;
}

void kt_audit_fds_mark(void)
{
    for (unsigned i = 0; i < FILES; i++)
        if (kt_audit_fd(i) >= 0)
            kt_shim_own_fd(kt_audit_fd(i), 1);
}
