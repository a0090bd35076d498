/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The divert lane: a connect to an intercepted destination ends at the engine, on the program's own fd. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* Does connect(fd, sa, len) concern us? Cheap where it does not. */
bool kt_divert_wants(int fd, const struct sockaddr *sa, socklen_t len);
/* connect(2) for such an address. */
int kt_divert_connect(int fd, const struct sockaddr *sa, socklen_t len);
/* Puts the address that the program connected to where the kernel wrote ours. `size`: room at `sa`; *len as
 * getpeername left it. */
void kt_divert_fix_peer(int fd, struct sockaddr *sa, socklen_t size, socklen_t *len);
/* connect, as libc has it. Where a supervisor looks at connects, a signal may interrupt one before the kernel
 * has begun it, and EINTR would tell the program that it is under way: asked again. */
int kt_connect_through(int fd, const struct sockaddr *sa, socklen_t len);
