/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Many patterns over one text in one pass (Vectorscan, block mode). The sets are compiled when ktwrap is
 * built, for the baseline CPU, and only unpacked here: once per process, on first use, lock-free, so that a
 * fork in another thread leaves nothing locked.
 */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A compiled set as the build leaves it. */
struct kt_scan_image {
    const char *name;
    const unsigned char *bytes; /* aligned to 64 */
    size_t len;
    unsigned patterns; /* ids are 0..patterns-1 */
};
extern const struct kt_scan_image kt_scan_image_injection;
extern const struct kt_scan_image kt_scan_image_meta;
extern const struct kt_scan_image kt_scan_image_safety;

struct kt_scan; /* unpacked; lives as long as the process */

enum kt_scan_set { KT_SCAN_INJECTION, KT_SCAN_META, KT_SCAN_SAFETY, KT_SCAN_SETS };

/* Borrowed. KT_ERR_INTERNAL with `err` where the image does not fit this CPU or library, KT_ERR_MEMORY. Any
 * thread. */
kt_result kt_scan_get(enum kt_scan_set set, const struct kt_scan **out, struct kt_error *err) KT_MUST;
unsigned kt_scan_patterns(const struct kt_scan *s);

/* Called for every match: `end` is the offset behind its last byte. Returns true to stop. The same pattern
 * may be reported for several ends. */
typedef bool (*kt_scan_match_fn)(void *ctx, unsigned pattern, size_t end);

/* Any thread. Allocates only while more threads scan at once than ever before. */
kt_result kt_scan_run(const struct kt_scan *s, const char *text, size_t len, kt_scan_match_fn match,
                      void *ctx) KT_MUST;

#ifdef __cplusplus
}
#endif
