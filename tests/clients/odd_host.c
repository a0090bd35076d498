/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that do odd things to themselves around their calls: odd_host STEP..., in that order; each prints
 * a line. call         one chat call over plain HTTP: its status, or the errno of connect cancelled    a
 * thread that was cancelled before its first call; then, whether it came back file-size    no file may grow
 * any more; `caught` counts SIGXFSZ with a handler before fds          the numbers that three opens get */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char body[] =
    "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"Mail alice.jones@example.org\"}]}";
static volatile int caught;

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
    if (write(1, line, (size_t)n) != n)
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

static const struct {
    const char *name;
    void (*fn)(void);
} steps[] = {{"call", step_call},   {"cancelled", step_cancelled}, {"file-size", step_file_size},
             {"catch", step_catch}, {"caught", step_caught},       {"fds", step_fds}};

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++)
            if (strcmp(argv[i], steps[s].name) == 0)
                steps[s].fn();
    return 0;
}
