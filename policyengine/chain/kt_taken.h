/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The placeholder names of one exchange that cannot be given again, by their keys (kt_shape.h). */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_TAKEN_SEEN_MAX 65536u /* look-alikes in the texts of an exchange */

/* Start with {0}. */
struct kt_taken {
    uint64_t *hashes; /* owned; open addressing, 0 = free; a power of two, at most half full */
    size_t size, used;
    bool full; /* not all that kt_taken_scan saw is in it */
};

void kt_taken_free(struct kt_taken *t);
/* `name` with its brackets. A collision of hashes takes a number that was free, nothing more. */
bool kt_taken_has(const struct kt_taken *t, const char *name, size_t len);
/* False on OOM. */
bool kt_taken_add(struct kt_taken *t, const char *name, size_t len);
/* Adds all that reads as a placeholder in `text`; sets `full` where that is too much. */
void kt_taken_scan(struct kt_taken *t, const char *text, size_t len);

#ifdef __cplusplus
}
#endif
