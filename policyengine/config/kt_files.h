/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Files that a config names. */
#include "policyengine/base/kt_buf.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Appends the whole regular file to `out`, up to its maximum. Never blocks on a FIFO or a device: these are
 * refused (EINVAL). KT_ERR_IO with errno, KT_ERR_LIMIT. */
kt_result kt_file_read(const char *path, struct kt_buf *out) KT_MUST;
/* new, absolute, because the program may change its folder later: `path` as it is when absolute, otherwise in
 * the folder that `beside` lies in. NULL on OOM. */
char *kt_file_beside(const char *beside, const char *path);

#ifdef __cplusplus
}
#endif
