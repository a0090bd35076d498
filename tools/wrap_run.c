/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/wrap_run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* A terminal's stop reaches the child as it reaches us: we stop once the child has, and only if it has. */
static const int forwarded[] = {SIGHUP,   SIGINT,  SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2,
                                SIGWINCH, SIGCONT, SIGALRM, SIGTSTP, SIGTTIN, SIGTTOU};

void kt_run_block_signals(void *waited_sigset, void *before_sigset)
{
    sigset_t *waited = waited_sigset, *before = before_sigset;
    sigemptyset(waited);
    for (size_t i = 0; i < KT_COUNT(forwarded); i++)
        sigaddset(waited, forwarded[i]);
    sigaddset(waited, SIGCHLD);
    sigprocmask(SIG_BLOCK, waited, before);
}

static _Noreturn void exec_child(const struct kt_run *run, const sigset_t *mask)
{
    sigprocmask(SIG_SETMASK, mask, NULL);
    if (!run->setup(run->arg))
        _exit(125);
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
    if (stop && run->stopped)
        run->stopped(run->arg, stop);
    else if (stop)
        kt_stop_like(stop);
    return false;
}

int kt_run_child(const struct kt_run *run, int *sig)
{
    sigset_t waited, before;
    *sig = 0;
    /* An ignored SIGCHLD, inherited from whoever started us, would make the child's status vanish. */
    signal(SIGCHLD, SIG_DFL);
    kt_run_block_signals(&waited, &before);
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        fprintf(stderr, "kt wrap: cannot fork: %s\n", strerror(errno));
        return 125;
    }
    if (child == 0)
        exec_child(run, &before);
    if (run->started)
        run->started(run->arg, child);
    int status = 125;
    for (;;) {
        siginfo_t si;
        if (sigwaitinfo(&waited, &si) < 0)
            continue;
        if (si.si_signo == SIGCHLD || si.si_signo == SIGCONT) {
            if (reap(run, child, &status, sig))
                return status;
            reap_orphans(child);
            if (si.si_signo == SIGCONT)
                kill(child, SIGCONT);
        } else if (si.si_code <= 0) {
            kill(child, si.si_signo); /* from a process; the terminal signals the whole group itself */
        }
    }
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
