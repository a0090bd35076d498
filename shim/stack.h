/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How much of this thread's stack is left: the chain and libcurl work on the program's in the handoff lane.
 */
#include <stdbool.h>

/* What they need, measured with a full chain: 40 KiB, and as much again. */
#define KT_STACK_NEED (96u * 1024u)

/* True where KT_STACK_NEED is left here, and known to be: not on the stack of a coroutine or of a signal
 * handler. Asks libc once a thread. Keeps errno. */
bool kt_stack_suffices(void);

/* Calls fn(arg): in a guarded thread with a stack of its own where this one's does not suffice and a thread
 * can be had. The caller is guarded, and waits. */
void kt_stack_call(void (*fn)(void *arg), void *arg);
