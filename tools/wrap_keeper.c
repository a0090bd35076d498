/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/wrap_keeper.h"

#include "tools/wrap_cut.h"
#include "tools/wrap_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAILED 125
#define LAST_LOOK_MS 50

struct news { /* from the keeper */
    enum { NEWS_STOPPED, NEWS_ENDED } kind;
    int status, signal;
};

struct keeper {
    const struct wrap_guard *guard;
    const struct wrap_program *program;
    struct kt_supervise *supervise;
    int to_kt;
};

bool wrap_guard_option(struct wrap_guard *g, const char *option)
{
    bool *flag = strcmp(option, "--strict") == 0         ? &g->strict
                 : strcmp(option, "--no-supervise") == 0 ? &g->off
                                                         : NULL;
    if (flag)
        *flag = true;
    return flag != NULL;
}

bool wrap_guard_setenv(const struct wrap_guard *g)
{
    const char *outer = getenv("KT_SUPERVISED");
    if (g->off || (outer && strcmp(outer, "strict") == 0))
        return true;
    return setenv("KT_SUPERVISED", g->strict ? "strict" : "yes", 1) == 0;
}

static void tell(const struct keeper *k, struct news n)
{
    while (send(k->to_kt, &n, sizeof n, MSG_NOSIGNAL) < 0 && errno == EINTR)
        ;
}

static void on_stopped(void *arg, int sig)
{
    tell(arg, (struct news){NEWS_STOPPED, 0, sig});
}

static bool in_child(void *arg)
{
    struct keeper *k = arg;
    return k->program->setup(k->program->arg) && kt_supervise_child(k->supervise);
}

static void on_started(void *arg, pid_t child)
{
    struct keeper *k = arg;
    kt_supervise_parent(k->supervise, child);
    const char *trouble = kt_supervise_trouble(k->supervise);
    if (trouble && k->guard->strict)
        fprintf(stderr, "kt wrap: --strict is not possible here: %s; nothing was started\n", trouble);
    else if (trouble)
        fprintf(stderr,
                "kt wrap: static programs and lost preloads will not be seen (%s); --no-supervise says that "
                "this is wanted\n",
                trouble);
}

/* What others may wait for the end of must not stay open in a keeper of orphans. */
static void let_go(void)
{
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3 && null >= 0; fd++)
        dup2(null, fd);
    for (int fd = 3; fd < 1024; fd++) {
        int flags = fcntl(fd, F_GETFD);
        if (flags >= 0 && !(flags & FD_CLOEXEC))
            close(fd);
    }
    if (chdir("/") != 0)
        return; /* a folder that stays busy, no more */
}

static _Noreturn void keep(struct keeper *k)
{
    const struct kt_supervise_options o = {
        .engine = k->program->engine, .plan = k->program->engine.plan, .strict = k->guard->strict};
    const struct kt_run run = {k->program->argv, in_child, on_started, on_stopped, k};
    struct news n = {NEWS_ENDED, FAILED, 0};
    if (!kt_is_ok(kt_supervise_new(&o, &k->supervise))) {
        fputs("kt wrap: no memory or no sockets for the supervisor\n", stderr);
        _exit(FAILED);
    }
    n.status = kt_run_child(&run, &n.signal);
    bool alone = kt_supervise_wait(k->supervise, LAST_LOOK_MS);
    if (!alone) {
        tell(k, n);
        signal(SIGCHLD, SIG_IGN);
        let_go();
        setsid();
        kt_supervise_wait(k->supervise, -1);
    }
    kt_supervise_free(k->supervise);
    if (!alone)
        wrap_cut_late(&k->program->engine);
    k->program->ended(k->program->arg);
    if (alone)
        tell(k, n);
    _exit(0);
}

/* The keeper has ended without a word. */
static int bury(pid_t keeper, int *sig)
{
    int ws = 0;
    while (waitpid(keeper, &ws, 0) < 0 && errno == EINTR)
        ;
    fputs("kt wrap: the supervisor has ended; programs that it left cannot connect any more\n", stderr);
    *sig = 0;
    return FAILED;
}

/* Signals go to the keeper, which passes them on; its news come back. */
static int attend(pid_t keeper, int news_fd, int signals, int *sig)
{
    for (;;) {
        struct pollfd p[2] = {{news_fd, POLLIN, 0}, {signals, POLLIN, 0}};
        if (poll(p, 2, -1) < 0)
            continue;
        struct signalfd_siginfo si;
        if (p[1].revents && read(signals, &si, sizeof si) == (ssize_t)sizeof si && si.ssi_signo != SIGCHLD &&
            (si.ssi_code <= 0 || si.ssi_signo == SIGCONT))
            kill(keeper, (int)si.ssi_signo);
        if (!p[0].revents)
            continue;
        struct news n;
        if (read(news_fd, &n, sizeof n) != (ssize_t)sizeof n)
            return bury(keeper, sig);
        if (n.kind == NEWS_ENDED) {
            *sig = n.signal;
            return n.status;
        }
        kt_stop_like(n.signal);
    }
}

static int run_kept(struct keeper *k, int *sig)
{
    int pair[2];
    sigset_t waited, before;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        fprintf(stderr, "kt wrap: no socket pair: %s\n", strerror(errno));
        return FAILED;
    }
    signal(SIGCHLD, SIG_DFL);
    fflush(NULL);
    kt_run_block_signals(&waited, &before);
    pid_t keeper = fork();
    if (keeper == 0) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        close(pair[0]);
        k->to_kt = pair[1];
        keep(k);
    }
    close(pair[1]);
    KT_CLEANUP(kt_cleanup_fd) int signals = signalfd(-1, &waited, SFD_CLOEXEC);
    KT_CLEANUP(kt_cleanup_fd) int news = pair[0];
    if (keeper < 0 || signals < 0) {
        fprintf(stderr, "kt wrap: cannot start the supervisor: %s\n", strerror(errno));
        return FAILED;
    }
    int status = attend(keeper, news, signals, sig);
    waitpid(keeper, NULL, WNOHANG);
    return status;
}

int wrap_guard_run(const struct wrap_guard *g, const struct wrap_program *p, int *sig)
{
    struct keeper k = {g, p, NULL, -1};
    *sig = 0;
    if (g->off) {
        const struct kt_run run = {p->argv, p->setup, NULL, NULL, p->arg};
        int status = kt_run_child(&run, sig);
        p->ended(p->arg);
        return status;
    }
    return run_kept(&k, sig);
}
