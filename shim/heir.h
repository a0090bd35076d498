/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Diverted connections that outlive the process, or the program, that opened them: the engine's end is gone
 * then, and the heir finds them closed. That is reported. */
#include <stddef.h>
#include <sys/uio.h>

/* In a fork child, with the lock of fdtab.h: watches what was inherited. */
void kt_heirs_forked(void);
/* Before a write of these bytes (none: not known) to an fd with KT_TAP_HEIR. Keeps errno. */
void kt_heir_look(int fd, const struct iovec *iov, size_t count);
/* The process is about to become another program: connections that it opened and that go with it, before
 * anything was said on them. Those of another process are served by that one, or closed already. Where the
 * exec fails the engine is to be told (KT_ABI_EXEC_FAILED). */
void kt_heirs_before_exec(void);
