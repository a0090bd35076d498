/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The fds that belong to the engine inside a foreign program. Each is moved out of the numbers that the
 * program expects to get, protected from the program's close, and known, so that a fork child can close them
 * all. Any thread; one registry per process.
 */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_FDS_MAX (1u << 20) /* numbers beyond are refused with EMFILE */

/* Who protects fds from the program: kt_shim_host.own_fd. NULL = nobody (`kt`, tests). */
void kt_fds_set_protector(void (*own_fd)(int fd, int on));

/* Takes `fd` (also on failure; -1 is passed through, so that kt_own_fd(socket(...)) reads well). Returns the
 * fd to use from now on: a high number, CLOEXEC, registered and protected. The old number is closed. Where no
 * high number is free the old one is kept and registered. -1 with errno. Do it before the fd is put into an
 * epoll set. */
int kt_own_fd(int fd);
/* Closes an fd that kt_own_fd returned, and forgets it. Others are just closed; -1 is ignored. errno is
 * preserved. */
void kt_disown_close(int fd);
/* While on, in this thread: fds that libcurl makes for itself go up, too (kt_fds_raise). */
void kt_fds_raise_theirs(bool on);
/* Moves such an fd up, CLOEXEC; it is not registered, since nobody would tell when it is closed. Keeps errno.
 */
int kt_fds_raise(int fd);
/* Number of registered fds. */
size_t kt_fds_count(void);

/* fork: no other thread is inside the registry between prepare and parent/child. The child closes every
 * engine fd. */
void kt_fds_fork_prepare(void);
void kt_fds_fork_parent(void);
void kt_fds_fork_child(void);

#ifdef __cplusplus
}
#endif
