/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/wrap_run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const int forwarded[] = {SIGHUP,  SIGINT,   SIGQUIT, SIGTERM, SIGUSR1,
                                SIGUSR2, SIGWINCH, SIGCONT, SIGALRM};

static void block_signals(sigset_t *waited, sigset_t *before)
{
    sigemptyset(waited);
    for (size_t i = 0; i < KT_COUNT(forwarded); i++)
        sigaddset(waited, forwarded[i]);
    sigaddset(waited, SIGCHLD);
    sigprocmask(SIG_BLOCK, waited, before);
}

static _Noreturn void exec_child(char **argv, const sigset_t *mask, bool (*setup)(void *), void *arg)
{
    sigprocmask(SIG_SETMASK, mask, NULL);
    if (!setup(arg))
        _exit(125);
    execvp(argv[0], argv);
    int status = errno == ENOENT ? 127 : 126;
    fprintf(stderr, "kt wrap: %s: %s\n", argv[0], strerror(errno));
    _exit(status);
}

/* True once the child ended; *status is then the exit status. */
static bool reap(pid_t child, int *status, int *sig)
{
    int ws;
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
        if (WIFSTOPPED(ws))
            raise(SIGSTOP); /* the shell waits for us: job control must see us stop too */
    }
    if (got < 0 && errno == ECHILD) {
        *status = 125;
        return true;
    }
    return false;
}

int kt_run_child(char **argv, bool (*setup)(void *arg), void *arg, int *sig)
{
    sigset_t waited, before;
    *sig = 0;
    /* An ignored SIGCHLD, inherited from whoever started us, would make the child's status vanish. */
    signal(SIGCHLD, SIG_DFL);
    block_signals(&waited, &before);
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        fprintf(stderr, "kt wrap: cannot fork: %s\n", strerror(errno));
        return 125;
    }
    if (child == 0)
        exec_child(argv, &before, setup, arg);
    int status = 125;
    for (;;) {
        siginfo_t si;
        if (sigwaitinfo(&waited, &si) < 0)
            continue;
        if (si.si_signo == SIGCHLD || si.si_signo == SIGCONT) {
            if (reap(child, &status, sig))
                return status;
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
