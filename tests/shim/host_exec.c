/* SPDX-License-Identifier: Apache-2.0 */
/* Executes argv[2] (a program that prints its environment) in the way argv[1] names, with an environment that
 * holds only KEEP=1. */
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char keep[] = "KEEP=1", preload[] = "LD_PRELOAD=/nonexistent-but-kept.so", mode[] = "KT_MODE=mine",
            name[] = "printenv";
static char *const clean[] = {keep, preload, mode, NULL};
static char *const empty[] = {NULL};

static int status_of(pid_t pid)
{
    int status = -1;
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}

static int spawned(int search, const char *path, char **argv, char *const *envp)
{
    pid_t pid;
    int rc = search ? posix_spawnp(&pid, path, NULL, NULL, argv, envp)
                    : posix_spawn(&pid, path, NULL, NULL, argv, envp);
    if (rc != 0)
        return rc;
    return status_of(pid);
}

static void *nothing(void *arg)
{
    return arg;
}

static int forked(pid_t pid, const char *path, char **args)
{
    if (pid == 0) {
        execve(path, args, clean);
        _exit(9);
    }
    return status_of(pid);
}

/* -1: it is none of those that are given an environment. */
static int with_environment(const char *how, const char *path, char **args)
{
    if (strcmp(how, "execve") == 0)
        return execve(path, args, clean);
    if (strcmp(how, "execve-empty") == 0)
        return execve(path, args, empty);
    if (strcmp(how, "execve-null") == 0)
        return execve(path, args, NULL);
    if (strcmp(how, "execvpe") == 0)
        return execvpe("printenv", args, clean);
    if (strcmp(how, "execle") == 0)
        return execle(path, "printenv", (char *)NULL, clean);
    if (strcmp(how, "fexecve") == 0)
        return fexecve(open(path, O_RDONLY), args, clean);
    if (strcmp(how, "execveat") == 0)
        return execveat(AT_FDCWD, path, args, clean, 0);
    if (strcmp(how, "posix_spawn") == 0)
        return spawned(0, path, args, clean);
    if (strcmp(how, "posix_spawnp") == 0)
        return spawned(1, "printenv", args, clean);
    if (strcmp(how, "thread-fork") == 0) {
        pthread_t t;
        pthread_create(&t, NULL, nothing, NULL);
        pthread_join(t, NULL);
        return forked(fork(), path, args);
    }
    return -1;
}

static void with_that_of_the_process(const char *how, const char *path, char **args)
{
    environ = (char **)(size_t)clean;
    if (strcmp(how, "execv") == 0)
        execv(path, args);
    else if (strcmp(how, "execvp") == 0)
        execvp("printenv", args);
    else if (strcmp(how, "execl") == 0)
        execl(path, "printenv", (char *)NULL);
    else if (strcmp(how, "execlp") == 0)
        execlp("printenv", "printenv", (char *)NULL);
    else if (strcmp(how, "huge") == 0) {
        char **big = calloc(5001, sizeof *big);
        for (int i = 0; i < 5000; i++)
            if (asprintf(&big[i], "V%d=1", i) < 0)
                return;
        execve(path, args, big);
    }
}

int main(int argc, char **argv)
{
    const char *how = argv[1], *path = argv[2];
    char *args[] = {name, NULL};
    (void)argc;
    if (strcmp(how, "vfork") == 0) {
        pid_t pid = vfork();
        if (pid == 0) { /* here, and not in a function that would return */
            execve(path, args, clean);
            _exit(9);
        }
        return status_of(pid);
    }
    int status = with_environment(how, path, args);
    if (status >= 0)
        return status;
    with_that_of_the_process(how, path, args);
    return 9;
}
