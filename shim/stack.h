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

/* Calls fn(arg): in a guarded thread with a stack of its own where this one's does not suffice, and where no
 * thread is to be had (no memory, too many of them, a filter) on a stack that is kept for that, one caller at
 * a time. The caller is guarded, and waits. False: nothing was called (that stack is taken, or a sanitizer
 * does not know it). */
__attribute__((warn_unused_result)) bool kt_stack_call(void (*fn)(void *arg), void *arg);

/* In the child of a fork. */
void kt_stack_forked(void);
