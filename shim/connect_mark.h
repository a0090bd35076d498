/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <sys/socket.h>

/* connect, as libc has it, that our supervisor must let through: one to an origin that the tap reads along,
 * or one that fail_mode lets go. Where nobody supervises us, just connect. */
int kt_connect_meant(int fd, const struct sockaddr *sa, socklen_t len);
/* The same for one of the engine's own. */
int kt_connect_engine(int fd, const struct sockaddr *sa, socklen_t len);
