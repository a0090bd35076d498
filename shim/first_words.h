/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The last tripwire: a connection that the program made by itself, whatever TLS library speaks on it. Its
 * ClientHello says whom it means; an intercepted host there is a call that went past us (another resolver, a
 * literal address, a proxy).
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* connect(fd, sa) returned `rc`, and nobody of ours has the socket: its first words will be looked at. Keeps
 * errno. */
void kt_first_words_await(int fd, const struct sockaddr *sa, socklen_t len, int rc);
/* The same, and it is ours. Keeps errno. */
void kt_first_words_ours(int fd, int rc);
/* Can what begins at `at` be a piece of a handshake? False for most that is said, by one system call. Keeps
 * errno. */
bool kt_first_words_may_begin(int fd, const void *at);
/* `fd` is one of these and is about to say `iov`. True: it must not, and is refused from now on. Keeps
 * errno. */
bool kt_first_words_forbid(int fd, const struct iovec *iov, size_t count);
