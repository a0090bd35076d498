/* SPDX-License-Identifier: Apache-2.0 */
/* What a program does to itself around its calls: children, handlers, numbers of fds, beginnings and ends. */
#define _GNU_SOURCE
#include "odd_ssl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* With AROUND_MAIN in the environment: a call before main, and one behind it. */
static void last_call(void)
{
    printf("behind main %d\n", odd_call());
}

__attribute__((constructor)) static void first_call(void)
{
    if (!getenv("AROUND_MAIN"))
        return;
    printf("before main %d\n", odd_call());
    fflush(stdout);
    atexit(last_call);
}

/* No child but the program's own is ever found. */
static int waits(void)
{
    int rc = plain(), how;
    if (waitpid(-1, &how, WNOHANG) != -1 || errno != ECHILD || wait(&how) != -1 || errno != ECHILD)
        return -1;
    pid_t mine = fork();
    if (mine == 0)
        _exit(plain() == 200 ? 3 : 4);
    if (waitpid(-1, &how, 0) != mine || WEXITSTATUS(how) != 3 || waitpid(-1, &how, 0) != -1)
        return -2;
    return rc;
}

static volatile int caught;

static void count(int sig)
{
    (void)sig;
    caught++;
}

static int handlers(void)
{
    static const int signals[] = {SIGSYS,  SIGSEGV, SIGPIPE, SIGCHLD, SIGALRM, SIGURG, SIGIO,
                                  SIGUSR1, SIGUSR2, SIGABRT, SIGBUS,  SIGFPE,  SIGILL, SIGTRAP};
    struct sigaction sa = {.sa_handler = count, .sa_flags = SA_RESTART}, now;
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaction(signals[i], &sa, NULL);
    int rc = plain();
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        if (sigaction(signals[i], NULL, &now) != 0 || now.sa_handler != count)
            return -1;
    return caught == 0 ? rc : -caught;
}

/* Puts its own over 3 to 20, and finds them there behind a call. */
static int fixed_fds(void)
{
    for (int round = 0; round < 3; round++) {
        int null = open("/dev/null", O_RDWR);
        for (int fd = 3; fd <= 20; fd++)
            if (fd != null && dup2(null, fd) != fd)
                return -1;
        if (null > 20)
            close(null);
        if (plain() != 200)
            return -2;
        for (int fd = 3; fd <= 20; fd++)
            if (fcntl(fd, F_GETFD) < 0 || close(fd) != 0)
                return -3;
    }
    return plain();
}

static int close_loop(void)
{
    for (int round = 0; round < 3; round++) {
        if (plain() != 200)
            return -1;
        for (int fd = 3; fd < 1024; fd++)
            close(fd);
    }
    return plain();
}

/* The lowest free number is what it would be without us. */
static int numbers(void)
{
    int before = open("/dev/null", O_RDONLY), rc = plain(), behind = open("/dev/null", O_RDONLY);
    printf("fds: %d %d\n", before, behind);
    close(before);
    close(behind);
    return rc;
}

static int not_dumpable(void)
{
    prctl(PR_SET_DUMPABLE, 0);
    return plain();
}

/* Twice into the background; its call is told through a pipe. */
static int daemon_twice(void)
{
    int ends[2], rc = -1;
    if (plain() != 200 || pipe(ends) != 0)
        return -1;
    if (fork() == 0) {
        setsid();
        if (fork() == 0 && daemon(0, 1) == 0) {
            rc = plain();
            _exit(write(ends[1], &rc, sizeof rc) != sizeof rc);
        }
        _exit(0);
    }
    close(ends[1]);
    rc = read(ends[0], &rc, sizeof rc) == sizeof rc ? rc : -2;
    close(ends[0]);
    wait(NULL);
    return rc;
}

static void *starts(void *sum)
{
    for (int i = 0; i < 40; i++) {
        int how = -1;
        pid_t pid = vfork();
        if (pid == 0) {
            execl("/bin/true", "true", NULL);
            _exit(9);
        }
        waitpid(pid, &how, 0);
        __atomic_add_fetch((int *)sum, how == 0, __ATOMIC_RELAXED);
    }
    return NULL;
}

/* vfork and exec by three threads, while the first one calls. */
static int vforks(void)
{
    pthread_t t[3];
    int started = 0, good = 0;
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, starts, &started);
    for (int i = 0; i < 10; i++)
        good += plain() == 200;
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    return good == 10 && started == 120 ? 200 : -started - 1;
}

const struct step odd_hosts[] = {
    {"waits", waits},               /* for any child: 2 calls */
    {"handlers", handlers},         /* of its own, which nothing of ours calls or changes */
    {"fixed-fds", fixed_fds},       /* 4 calls */
    {"close-loop", close_loop},     /* all of 3 to 1023: 4 calls */
    {"numbers", numbers},           /* of fds, as it finds them */
    {"not-dumpable", not_dumpable}, /* PR_SET_DUMPABLE */
    {"daemon-twice", daemon_twice}, /* 2 calls */
    {"vforks", vforks},             /* 10 calls */
    {NULL, NULL},
};
