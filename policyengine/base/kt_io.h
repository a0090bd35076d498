/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Reading and writing all of it, whatever signals come in between. Take no lock of the C library. */
#include "policyengine/base/kt_buf.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Takes a new fd and gives it, or one above the standard streams, at once: a program that has closed these
 * may still write to their numbers. -1 is passed through. Keeps errno. */
int kt_off_std(int fd);
/* KT_ERR_IO with errno. */
kt_result kt_write_all(int fd, const void *data, size_t len) KT_MUST;
/* Exactly `len` bytes; KT_ERR_IO where there are fewer. */
kt_result kt_read_exact(int fd, void *to, size_t len) KT_MUST;
/* Appends up to the end of the file. Keeps no copy outside of `out`: it may be a key. KT_ERR_IO with errno,
 * KT_ERR_LIMIT past out->max. */
kt_result kt_read_to_end(int fd, struct kt_buf *out) KT_MUST;

#ifdef __cplusplus
}
#endif
