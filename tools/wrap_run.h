/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Runs a child as a transparent parent: its status and signals are ours. */
#include "policyengine/base/kt_base.h"

#include <sys/types.h>

struct kt_run {
    char **argv;
    bool (*setup)(void *arg);                /* in the child, before execvp; false ends it with 125 */
    void (*started)(void *arg, pid_t child); /* in the parent, after the fork; may be NULL */
    void (*stopped)(void *arg, int signal);  /* the child was stopped; NULL = kt_stop_like(signal) */
    void *arg;
};

/* Forks; in the child calls `setup(arg)` and then execvp(argv). Returns the exit status for env(1)-like use:
 * the child's own, 126 / 127 where it cannot be executed / found, 125 where fork or setup failed. *signal
 * receives the signal that killed the child, 0 otherwise. Signals that somebody sends to this process go on
 * to the child; those of the terminal reach it anyway. */
int kt_run_child(const struct kt_run *run, int *signal);

/* The signals that kt_run_child passes on, and SIGCHLD; blocked from now on. `before` receives the mask. */
void kt_run_block_signals(void *waited_sigset, void *before_sigset);

/* Stops this process by the signal that stopped its child: the shell waits for us, and its job control must
 * see us stop, too. Returns when it goes on. */
void kt_stop_like(int signal);

/* Ends this process by the same signal that killed the child, without a core file of our own. Returns only if
 * it cannot. */
void kt_die_by_signal(int signal);
