/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * ClientHellos that leave by more than one call: what has left so far is kept per socket, in a few static
 * places (the oldest gives way). Every function keeps errno.
 */
#include "shim/client_hello.h"

#include <sys/uio.h>

/* What the socket `fd` has said and is about to say. KT_HELLO_MORE: now kt_hello_parts_said must be called.
 */
enum kt_hello kt_hello_parts_read(int fd, const struct iovec *iov, size_t count, struct kt_client_hello *out);
/* Has that socket begun one? */
bool kt_hello_parts_has(int fd);
/* False: no socket has. One load. */
bool kt_hello_parts_any(void);
/* What that socket has begun is of no more interest. */
void kt_hello_parts_drop(int fd);
/* Of what was about to be said `n` bytes have left; -1: none. */
void kt_hello_parts_said(int fd, ssize_t n);

/* Around fork. */
void kt_hello_parts_lock(void);
void kt_hello_parts_unlock(void);
