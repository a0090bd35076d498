/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which fds belong to the engine: the program's close, close_range, closefrom and dup2 must not hit them.
 * Lock-free. */
#include <stdbool.h>

#define KT_OWN_FD_MAX 65536

/* Marks (on != 0) or forgets a number; from KT_OWN_FD_MAX on nothing is marked. The fd stays the caller's. */
void kt_shim_own_fd(int fd, int on);
bool kt_fd_is_own(int fd);
/* The lowest own fd >= from, or -1. */
int kt_shim_own_fd_next(unsigned from);
void kt_shim_own_fd_forget_all(void);
/* Moves a new fd up, out of the way of programs that count on low numbers, and marks it. Returns the number
 * it has now. */
int kt_shim_own_fd_raise(int fd);
