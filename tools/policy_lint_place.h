/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "policyengine/config/kt_diag.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where `file` has the option that `message` of the policy `kind` begins with ("assertions[2]: ..."). True:
 * *at is filled (file borrowed) and `path` holds what was found below the block (".assertions[2]"), cut to
 * `size` (> 160). */
bool policy_lint_place(const char *file, const char *kind, const char *message, struct kt_at *at, char *path,
                       size_t size);

#ifdef __cplusplus
}
#endif
