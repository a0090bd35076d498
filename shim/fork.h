/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdbool.h>

/* Registers what happens around fork; called before the shim takes its first lock, so that no child inherits
 * a held one. Cheap when done. */
void kt_fork_register(void);
/* The same, before the program registers this handler of its own. Those that were registered later run
 * outside of ours, where nothing is held: so ours are to be the first. Only an allocator's (jemalloc) belong
 * inside, since until ours have run our threads may be in it, and in the child we need it. */
void kt_fork_before(const void *handler);
/* This process begins a second thread. */
void kt_fork_threads(void);
/* 1 in a process that was forked from one with several threads (kt_shim_host.forked). */
int kt_fork_from_threads(void);
/* This thread is about to leave the table of fds that it shares with others (unshare), or is the last one of
 * the program: the engine's thread ends, and another begins with the next call. Keeps errno. */
void kt_before_split(void);
/* The same where that was noticed only behind it. */
void kt_after_split(void);
/* Is there another thread of this process, and none that ends, for which `matters`? True where nobody can
 * tell. */
bool kt_fork_any_other(bool (*matters)(long tid));
