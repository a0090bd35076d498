/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/wrap_run.h"

#include "tools/wrap_signals.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* A terminal's stop reaches the child as it reaches us: we stop once the child has, and only if it has. */
static const int forwarded[] = {SIGHUP,   SIGINT,  SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2,
                                SIGWINCH, SIGCONT, SIGALRM, SIGTSTP, SIGTTIN, SIGTTOU};

void kt_run_block_signals(sigset_t *waited, sigset_t *before)
{
    sigemptyset(waited);
    for (size_t i = 0; i < KT_COUNT(forwarded); i++)
        sigaddset(waited, forwarded[i]);
    sigaddset(waited, SIGCHLD);
    sigprocmask(SIG_BLOCK, waited, before);
}

static _Noreturn void exec_child(const struct kt_run *run)
{
    if (!run->setup(run->arg))
        _exit(125);
    sigprocmask(SIG_SETMASK, run->mask, NULL);
    execvp(run->argv[0], run->argv);
    int status = errno == ENOENT ? 127 : 126;
    fprintf(stderr, "kt wrap: %s: %s\n", run->argv[0], strerror(errno));
    _exit(status);
}

/* An orphan that the kernel gave to us as its subreaper: it runs under a filter, as no child of our own
 * engine does. */
static bool is_orphan(pid_t pid)
{
    char path[64], line[256];
    bool filtered = false;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "re");
    while (f && !filtered && fgets(line, sizeof line, f))
        filtered = strncmp(line, "Seccomp:", 8) == 0 && strchr(line, '2');
    if (f)
        fclose(f);
    return filtered;
}

static void reap_orphans(pid_t child)
{
    siginfo_t si;
    for (;;) {
        memset(&si, 0, sizeof si);
        if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) != 0 || si.si_pid == 0 || si.si_pid == child ||
            !is_orphan(si.si_pid))
            return;
        waitpid(si.si_pid, NULL, WNOHANG);
    }
}

void kt_stop_like(int sig)
{
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, sig);
    kill(getpid(), sig); /* one with the terminal's, if that waits; raise() would be a second */
    sigprocmask(SIG_UNBLOCK, &one, NULL);
    sigprocmask(SIG_BLOCK, &one, NULL);
}

/* True once the child ended; *status is then the exit status. */
static bool reap(const struct kt_run *run, pid_t child, int *status, int *sig)
{
    int ws, stop = 0;
    pid_t got;
    while ((got = waitpid(child, &ws, WNOHANG | WUNTRACED | WCONTINUED)) == child) {
        if (WIFEXITED(ws)) {
            *status = WEXITSTATUS(ws);
            return true;
        }
        if (WIFSIGNALED(ws)) {
            *sig = WTERMSIG(ws);
            *status = 128 + *sig;
            return true;
        }
        stop = WIFSTOPPED(ws) ? WSTOPSIG(ws) : 0; /* a stop that is over by now is nobody's */
    }
    if (got < 0 && errno == ECHILD) {
        *status = 125;
        return true;
    }
    if (stop)
        run->stopped(run->arg, stop);
    return false;
}

/* What came to us and not to a child that was not there yet. It has them blocked: one that it has, too, is
 * one. */
static void pass_earlier(pid_t child)
{
    sigset_t pending;
    if (sigpending(&pending) != 0)
        return;
    for (size_t i = 0; i < KT_COUNT(forwarded); i++)
        if (sigismember(&pending, forwarded[i]) == 1)
            kill(child, forwarded[i]);
}

struct waiting {
    const struct kt_run *run;
    pid_t child;
    int signals, words; /* fds; words = -1 once kt is gone */
    struct kt_signals known;
};

/* Ours before kt's: what has come to both is then seen to have. */
static void read_signals(struct waiting *w)
{
    struct signalfd_siginfo si;
    while (read(w->signals, &si, sizeof si) == (ssize_t)sizeof si)
        if (si.ssi_signo != SIGCHLD)
            kt_signals_own(&w->known, (int)si.ssi_signo, kt_now_mono_ns());
}

static void read_word(struct waiting *w)
{
    struct kt_signal_word word;
    ssize_t n = read(w->words, &word, sizeof word);
    if (n == (ssize_t)sizeof word) {
        bool left = getpgid(w->child) != getpgrp();
        if (kt_signals_asked(&w->known, word, left, kt_now_mono_ns()))
            kill(w->child, word.signal);
    } else if (n == 0 || errno != EINTR) {
        w->words = -1;
    }
}

static int wait_for_end(struct waiting *w, int *sig)
{
    for (int status = 125;;) {
        struct pollfd p[2] = {{w->signals, POLLIN, 0}, {w->words, POLLIN, 0}};
        poll(p, 2, kt_signals_wait_ms(&w->known, kt_now_mono_ns()));
        read_signals(w);
        if (p[1].revents)
            read_word(w);
        if (reap(w->run, w->child, &status, sig))
            return status;
        reap_orphans(w->child);
        for (int due; (due = kt_signals_due(&w->known, kt_now_mono_ns())) != 0;)
            kill(w->child, due);
    }
}

int kt_run_child(const struct kt_run *run, int *sig)
{
    struct waiting w = {.run = run, .words = run->words};
    *sig = 0;
    KT_CLEANUP(kt_cleanup_fd) int signals = w.signals = signalfd(-1, run->waited, SFD_CLOEXEC | SFD_NONBLOCK);
    w.child = signals < 0 ? -1 : fork();
    if (w.child < 0) {
        fprintf(stderr, "kt wrap: cannot fork: %s\n", strerror(errno));
        return 125;
    }
    if (w.child == 0)
        exec_child(run);
    pass_earlier(w.child);
    if (run->started)
        run->started(run->arg, w.child);
    return wait_for_end(&w, sig);
}

void kt_die_by_signal(int sig)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    signal(sig, SIG_DFL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, sig);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    raise(sig);
}
