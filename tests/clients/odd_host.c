/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that do odd things to themselves around their calls: odd_host STEP..., in that order; each prints
 * what it found. The table at the end has the steps. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char body[] =
    "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"Mail alice.jones@example.org\"}]}";
static volatile int caught;
static int out = 1;

static void count(int sig)
{
    (void)sig;
    caught++;
}

/* Never by stdio: what stands in its buffer is copied by a fork. */
static void say(const char *what, long value)
{
    char line[64];
    int n = snprintf(line, sizeof line, "%s %ld\n", what, value);
    if (write(out, line, (size_t)n) != n)
        _exit(9);
}

static long call(void)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *a;
    char text[4096];
    if (getaddrinfo("api.openai.com", "80", &hints, &a) != 0)
        return -1;
    int fd = socket(a->ai_family, a->ai_socktype, 0), rc = connect(fd, a->ai_addr, a->ai_addrlen),
        why = errno;
    freeaddrinfo(a);
    if (rc != 0) {
        close(fd);
        return -why;
    }
    int n = snprintf(
        text, sizeof text,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: api.openai.com\r\nContent-Type: application/json\r\n"
        "Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
        sizeof body - 1, body);
    long status = write(fd, text, (size_t)n) == n ? 0 : -2;
    for (ssize_t got; (got = read(fd, text, sizeof text - 1)) > 0;) {
        text[got] = '\0';
        if (status == 0)
            sscanf(text, "HTTP/1.1 %ld", &status);
    }
    close(fd);
    return status;
}

static void *call_once(void *arg)
{
    *(long *)arg = call();
    return NULL;
}

static void *call_cancelled(void *arg)
{
    pthread_cancel(pthread_self());
    return call_once(arg);
}

/* 0 = it came back in time. */
static long in_thread(void *(*fn)(void *), long *result)
{
    pthread_t t;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    return pthread_create(&t, NULL, fn, result) ? -1 : pthread_timedjoin_np(t, NULL, &until);
}

static void step_call(void)
{
    long status = -3;
    long late = in_thread(call_once, &status); /* a call that hangs is seen, and the program ends */
    say("call", late ? -late : status);
}

static void step_cancelled(void)
{
    long status;
    say("cancelled", in_thread(call_cancelled, &status));
}

static void step_file_size(void)
{
    struct rlimit none = {0, 0};
    say("file-size", setrlimit(RLIMIT_FSIZE, &none));
}

static void step_catch(void)
{
    signal(SIGXFSZ, count);
    signal(SIGPIPE, count);
}

static void step_caught(void)
{
    say("caught", caught);
}

static void step_fds(void)
{
    int fd[3];
    for (int i = 0; i < 3; i++)
        say("fd", fd[i] = open("/dev/null", O_RDONLY | O_CLOEXEC));
    for (int i = 0; i < 3; i++)
        close(fd[i]);
}

/* Whatever becomes of 0 to 2 is not ours: nobody put anything there. */
static void step_std(void)
{
    for (int fd = 0; fd < 3; fd++)
        say("std", fcntl(fd, F_GETFD) == -1 ? -errno : fd);
}

static void step_no_std(void)
{
    out = fcntl(1, F_DUPFD_CLOEXEC, 64);
    for (int fd = 0; fd < 3; fd++)
        close(fd);
}

static void in_child(pid_t pid, long (*fn)(void))
{
    if (pid == 0) {
        say("child", fn());
        _exit(5);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    say("ended", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
}

static void step_fork_(void)
{
    in_child(_Fork(), call);
}

static void step_raw_fork(void)
{
    struct clone_args args = {.exit_signal = SIGCHLD};
    in_child((pid_t)syscall(SYS_clone3, &args, sizeof args), call);
}

static void step_unshare(void)
{
    say("unshare", unshare(CLONE_FILES));
}

static void step_raw_unshare(void)
{
    say("raw-unshare", syscall(SYS_unshare, CLONE_FILES));
}

static void step_close_range(void)
{
    say("close_range", close_range(700, 800, CLOSE_RANGE_UNSHARE));
}

static void *wait_for_ever(void *none)
{
    (void)none;
    for (;;)
        pause();
    return NULL;
}

static void step_thread(void)
{
    pthread_t t;
    say("thread", pthread_create(&t, NULL, wait_for_ever, NULL));
}

static void step_raw_exit(void)
{
    syscall(SYS_exit_group, 7);
}

static void step_no_fds(void)
{
    struct rlimit few = {5, 5};
    say("no-fds", setrlimit(RLIMIT_NOFILE, &few));
}

static void step_vfork(void)
{
    pid_t pid = vfork();
    if (pid == 0) {
        setuid(65534); /* whether it may or not */
        _exit(0);
    }
    say("vfork", waitpid(pid, NULL, 0) == pid ? 0 : -1);
}

static void step_high(void)
{
    int left = 0, fd[8];
    for (int i = 0; i < 8; i++)
        fd[i] = fcntl(0, F_DUPFD_CLOEXEC, 1536);
    for (int i = 0; i < 8; i++)
        close(fd[i]);
    for (int i = 0; i < 8; i++)
        left += fcntl(fd[i], F_GETFD) != -1;
    say("left", left);
}

/* The program calls itself, by a shell, without any environment. */
static void step_clear_system(void)
{
    char self[4096], command[4200];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    snprintf(command, sizeof command, "%.*s call", (int)n, self);
    clearenv();
    say("system", system(command));
}

/* The same by popen. */
static void step_clear_popen(void)
{
    char self[4096], command[4200], line[100] = "";
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    snprintf(command, sizeof command, "%.*s call", (int)n, self);
    clearenv();
    FILE *f = popen(command, "r");
    if (f && fgets(line, sizeof line, f))
        (void)!write(out, line, strlen(line));
    say("popen", f ? pclose(f) : -1);
}

static void step_quick(void)
{
    quick_exit(7);
}

static void step_user_ns(void)
{
    say("user-ns", unshare(CLONE_NEWUSER) == 0 ? 0 : errno);
}

static void step_set_ns(void)
{
    int fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    say("set-ns", setns(fd, 0) == 0 ? 0 : errno);
    close(fd);
}

static const struct {
    const char *name;
    void (*fn)(void);
} steps[] = {
    {"call", step_call},                 /* over plain HTTP: the status, or the errno of connect */
    {"cancelled", step_cancelled},       /* the same by a thread that was cancelled before: 0 = it ended */
    {"file-size", step_file_size},       /* no file may grow any more */
    {"catch", step_catch},               /* counts SIGXFSZ and SIGPIPE from here on */
    {"caught", step_caught},             /* how many */
    {"fds", step_fds},                   /* the numbers that three opens get */
    {"no-std", step_no_std},             /* closes the standard streams, and prints elsewhere */
    {"std", step_std},                   /* what stands there now */
    {"quick", step_quick},               /* quick_exit */
    {"raw-exit", step_raw_exit},         /* the system call alone */
    {"_Fork", step_fork_},               /* a child by _Fork makes a call */
    {"clone3", step_raw_fork},           /* one by the system call alone does */
    {"unshare", step_unshare},           /* a table of fds of its own */
    {"raw-unshare", step_raw_unshare},   /* the same by the system call alone */
    {"close_range", step_close_range},   /* with CLOSE_RANGE_UNSHARE: the same */
    {"thread", step_thread},             /* a second thread, till the end */
    {"clear-system", step_clear_system}, /* a call by a child of system(), behind clearenv */
    {"clear-popen", step_clear_popen},
    {"vfork", step_vfork},     /* a child by vfork, which gives up its rights */
    {"high", step_high},       /* how many of eight high fds of its own it could not close */
    {"no-fds", step_no_fds},   /* RLIMIT_NOFILE 5 */
    {"user-ns", step_user_ns}, /* the errno of going into a user namespace of its own */
    {"set-ns", step_set_ns},   /* of setns into its own mount namespace */
};

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++)
            if (strcmp(argv[i], steps[s].name) == 0)
                steps[s].fn();
    return 0;
}
