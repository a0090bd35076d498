/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside interceptor/plan: small files, read with suspicion and written all or nothing. */
#include "policyengine/base/kt_buf.h"

#include <sys/types.h>

/* Formats a path; KT_ERR_LIMIT where it does not fit. */
kt_result kt_path_format(char *out, size_t size, const char *fmt, ...) KT_MUST KT_PRINTF(3, 4);

/* Appends the whole regular file to `out`, bounded by out->max (KT_ERR_LIMIT). `ours`: no symbolic link,
 * owned by us or root, and writable by its owner only, else KT_ERR_IO. */
kt_result kt_plan_file_read(const char *path, bool ours, struct kt_buf *out) KT_MUST;

/* Writes dir/name through a temporary file and rename: a reader sees the old file, the new one or none.
 * `durable`: also after a power cut. */
kt_result kt_file_write(const char *dir, const char *name, struct kt_span data, mode_t mode, bool durable,
                        struct kt_error *err) KT_MUST;
#define KT_FILE_TEMP_PREFIX ".tmp-"

/* Takes dir/.lock for this process. Returns -1 where that is not possible (a file system without locks, a
 * holder that hangs for a second): the caller goes on without, every write is atomic by itself. */
int kt_file_lock(const char *dir);
void kt_file_unlock(const int *fd); /* also the cleanup function */
