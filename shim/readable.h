/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Memory that the program names to the kernel: where it cannot be read the kernel is to say so (EFAULT), not
 * a signal in our code. All keep errno. */
#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

/* `len` bytes. One system call for up to 17 pages. */
bool kt_readable(const void *at, size_t len);
/* How many of these pieces can be read, from the first one on; of no more than 64 KiB of them it is asked. */
size_t kt_readable_pieces(const struct iovec *iov, size_t count);
