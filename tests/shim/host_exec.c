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

int main(int argc, char **argv)
{
    const char *how = argv[1], *path = argv[2];
    char *args[] = {name, NULL};
    (void)argc;
    if (strcmp(how, "execve") == 0)
        execve(path, args, clean);
    else if (strcmp(how, "execve-empty") == 0)
        execve(path, args, empty);
    else if (strcmp(how, "execve-null") == 0)
        execve(path, args, NULL);
    else if (strcmp(how, "execvpe") == 0)
        execvpe("printenv", args, clean);
    else if (strcmp(how, "execle") == 0)
        execle(path, "printenv", (char *)NULL, clean);
    else if (strcmp(how, "fexecve") == 0)
        fexecve(open(path, O_RDONLY), args, clean);
    else if (strcmp(how, "execveat") == 0)
        execveat(AT_FDCWD, path, args, clean, 0);
    else if (strcmp(how, "posix_spawn") == 0)
        return spawned(0, path, args, clean);
    else if (strcmp(how, "posix_spawnp") == 0)
        return spawned(1, "printenv", args, clean);
    else if (strcmp(how, "vfork") == 0) {
        pid_t pid = vfork();
        if (pid == 0) {
            execve(path, args, clean);
            _exit(9);
        }
        return status_of(pid);
    } else if (strcmp(how, "thread-fork") == 0) {
        pthread_t t;
        pthread_create(&t, NULL, nothing, NULL);
        pthread_join(t, NULL);
        pid_t pid = fork();
        if (pid == 0) {
            execve(path, args, clean);
            _exit(9);
        }
        return status_of(pid);
    }
    environ = (char **)(size_t)clean; /* the rest take the environment of the process */
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
                return 8;
        execve(path, args, big);
    }
    return 9;
}
