/* SPDX-License-Identifier: Apache-2.0 */
/* Where no engine can be loaded there is nobody else who could write the log. */
#include "shim/engine.h"
#include "shim/plan_path.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void make_folders(char *path)
{
    for (char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = '\0';
        mkdir(path, 0700);
        *at = '/';
    }
}

static int open_log(void)
{
    char path[PATH_MAX];
    size_t n;
    if (!kt_state_dir(path, sizeof path - sizeof "/kt.log") || path[0] != '/')
        return -1;
    n = strlen(path);
    memcpy(path + n, "/kt.log", sizeof "/kt.log");
    make_folders(path);
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

void kt_engine_missing(const char *why)
{
    char line[1024];
    struct timespec now;
    int fd = open_log();
    if (fd < 0)
        return;
    clock_gettime(CLOCK_REALTIME,
                  &now); /* as a number: gmtime_r takes a lock, which a fork child may find taken */
    int n = snprintf(line, sizeof line,
                     "%lld.%09ld [%d] the engine cannot be loaded: %.800s; LLM calls follow fail_mode\n",
                     (long long)now.tv_sec, now.tv_nsec, (int)getpid(), why);
    ssize_t wrote = write(fd, line, n < (int)sizeof line ? (size_t)n : sizeof line - 1);
    (void)wrote;
    close(fd);
}
