/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Runs a child as a transparent parent: its status and signals are ours. */
#include "policyengine/base/kt_base.h"

/* Forks; in the child calls `setup(arg)` and then execvp(argv). Returns the exit status for env(1)-like use:
 * the child's own, 126 / 127 where it cannot be executed / found, 125 where fork or setup failed. *signal
 * receives the signal that killed the child, 0 otherwise. Signals that somebody sends to this process go on
 * to the child; those of the terminal reach it anyway. */
int kt_run_child(char **argv, bool (*setup)(void *arg), void *arg, int *signal);

/* Ends this process by the same signal that killed the child, without a core file of our own. Returns only if
 * it cannot. */
void kt_die_by_signal(int signal);
