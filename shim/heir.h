/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Diverted connections that outlive the process, or the program, that opened them: the engine's end is gone
 * then, and the heir finds them closed. That is reported. */

/* In a fork child, with the lock of fdtab.h: watches what was inherited. */
void kt_heirs_forked(void);
/* Before a write, beginning with `first` (-1: not known), to an fd with KT_TAP_HEIR. Keeps errno. */
void kt_heir_look(int fd, int first);
/* The process becomes another program: connections that go with it, before anything was said on them. */
void kt_heirs_before_exec(void);
