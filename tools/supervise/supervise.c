/* SPDX-License-Identifier: Apache-2.0 */
/* Birth and end of a supervisor; how the filter's fd gets from the child to us. */
#include "tools/supervise/private.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SETTLE_MS 2000
#define FDS_WANTED 8192

kt_result kt_supervise_new(const struct kt_supervise_options *o, struct kt_supervise **out)
{
    struct kt_supervise *s = calloc(1, sizeof *s);
    KT_ENSURE(s, KT_ERR_MEMORY);
    s->o = *o;
    s->listener = -1;
    pthread_mutex_init(&s->lock, NULL);
    names_init(&s->names, o->plan);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s->pair) != 0) {
        s->pair[0] = s->pair[1] = -1;
        kt_supervise_free(s);
        return kt_err(KT_ERR_IO);
    }
    /* Orphans stay below us: some kernels let a process look into nobody but its descendants. */
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    *out = s;
    return kt_ok();
}

static bool send_all(int fd, const void *data, size_t len)
{
    ssize_t n;
    while ((n = write(fd, data, len)) < 0 && errno == EINTR)
        ;
    return n == (ssize_t)len;
}

static bool receive(int fd, void *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = read(fd, (char *)data + at, len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

/* Nothing here may be a call that the filter notifies: nobody serves it yet. */
bool kt_supervise_child(struct kt_supervise *s)
{
    char word = 0;
    struct filter f;
    close(s->pair[0]);
    int fd = s->pair[1];
    if (!receive(fd, &word, 1))
        return false;
    if (word == 'G') {
        filter_build(s->o.strict, &f);
        int listener = filter_install(&f);
        int told = listener >= 0 ? listener : -errno;
        if (!send_all(fd, &told, sizeof told) || !receive(fd, &word, 1))
            return false;
        if (listener >= 0)
            close(listener);
    }
    close(fd);
    return word != 'X';
}

static const char *why_not(int error)
{
    switch (error) {
    case EBUSY:
        return "another supervisor has this process";
    case ENOSYS:
    case EINVAL:
        return "the kernel has no seccomp user notification (Linux 5.14 or later is needed)";
    case EPERM:
    case EACCES:
        return "this machine or container forbids it";
    default:
        return strerror(error);
    }
}

static void trouble(struct kt_supervise *s, const char *what, int error)
{
    snprintf(s->trouble, sizeof s->trouble, "%s: %s", what, why_not(error));
}

static bool start_thread(struct kt_supervise *s)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    s->serving = pthread_create(&s->thread, NULL, serve, s) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return s->serving;
}

/* A nested one joins the outer supervisor, which serves this tree already. */
static bool joined(const struct kt_supervise *s, int error)
{
    const char *outer = getenv("KT_SUPERVISED");
    return error == EBUSY && outer && (!s->o.strict || strcmp(outer, "strict") == 0);
}

/* Leaves the listener in s->listener, or a trouble. */
static void take_listener(struct kt_supervise *s, pid_t child)
{
    int told = 0, fd = s->pair[0];
    int probe = target_fd(child, s->pair[1]);
    if (probe < 0) {
        trouble(s, "kt may not look into its child", errno);
        send_all(fd, s->o.strict ? "X" : "N", 1);
        return;
    }
    close(probe);
    if (!send_all(fd, "G", 1) || !receive(fd, &told, sizeof told)) {
        trouble(s, "the child has ended", ECHILD);
        return;
    }
    if (told < 0 && joined(s, -told)) {
        send_all(fd, "A", 1);
        return;
    }
    if (told < 0)
        trouble(s, "no seccomp filter", -told);
    else if ((s->listener = target_fd(child, told)) < 0)
        trouble(s, "the filter's fd cannot be had", errno);
    else if (!start_thread(s))
        trouble(s, "no thread can be made", EAGAIN);
    /* A filter that nobody serves would break every connect. */
    bool broken = s->trouble[0] && (s->o.strict || told >= 0);
    send_all(fd, broken ? "X" : "A", 1);
}

/* A relayed connection takes two of ours, and the limit is often 1024. The child was forked before. */
static void allow_more_fds(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    files.rlim_cur = files.rlim_max < FDS_WANTED ? files.rlim_max : FDS_WANTED;
    setrlimit(RLIMIT_NOFILE, &files);
}

void kt_supervise_parent(struct kt_supervise *s, pid_t child)
{
    if (s->pair[1] >= 0 && child > 0)
        take_listener(s, child);
    if (s->serving && s->o.strict)
        allow_more_fds();
    for (int i = 0; i < 2; i++) {
        if (s->pair[i] >= 0)
            close(s->pair[i]);
        s->pair[i] = -1;
    }
}

const char *kt_supervise_trouble(const struct kt_supervise *s)
{
    return s->trouble[0] ? s->trouble : NULL;
}

bool kt_supervise_wait(struct kt_supervise *s, int timeout_ms)
{
    if (s->listener < 0)
        return true;
    uint64_t end = kt_now_mono_ns() + (uint64_t)(timeout_ms < 0 ? 0 : timeout_ms) * 1000000ull;
    for (;;) {
        struct pollfd p = {s->listener, 0, 0};
        if (poll(&p, 1, timeout_ms < 0 ? -1 : timeout_ms) > 0 && (p.revents & POLLHUP))
            return true;
        if (timeout_ms >= 0 && kt_now_mono_ns() >= end)
            return false;
    }
}

void kt_supervise_free(struct kt_supervise *s)
{
    if (!s)
        return;
    kt_supervise_parent(s, 0);
    if (s->serving)
        pthread_join(s->thread, NULL);
    if (!relay_settle(SETTLE_MS)) {
        /* A server that does not close; its thread still needs all this until we exit. */
        if (s->engine)
            (void)kt_engine_stop(s->engine, SETTLE_MS);
        return;
    }
    kt_engine_free(s->engine);
    if (s->listener >= 0)
        close(s->listener);
    names_free(&s->names);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

const char *kt_supervise_probe(void)
{
    static char text[200];
    struct kt_supervise *s = NULL;
    const struct kt_supervise_options o = {.plan = "/dev/null"};
    if (!kt_is_ok(kt_supervise_new(&o, &s)))
        return "no socket pair";
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(kt_supervise_child(s) ? 0 : 1);
    if (child < 0) {
        kt_supervise_free(s);
        return "cannot fork";
    }
    kt_supervise_parent(s, child);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
    snprintf(text, sizeof text, "%s", s->trouble);
    kt_supervise_free(s);
    return text[0] ? text : NULL;
}
