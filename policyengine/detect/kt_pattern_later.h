/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Compiling beside the calls. A thread that serves calls says so around making a chain; patterns that are not
 * in the cache are then compiled by a thread of their own, and kt_patterns_new fails with KT_ERR_STATE until
 * they are there. One such thread at a time. It takes no lock of ours, so that a fork needs no care: the
 * child starts again.
 */
#include "policyengine/detect/kt_pattern_image.h"

#ifdef __cplusplus
extern "C" {
#endif

/* From here to the end in this thread, nothing is compiled in it. Between forks, as all of the engine. */
void kt_pattern_later_begin(void);
/* True where something is being compiled that was asked for since the beginning: try again once it is not
 * busy. False drops what earlier tries have left. */
bool kt_pattern_later_end(void);
/* Any thread. */
bool kt_pattern_later_busy(void);

/* For kt_patterns_new. False: this thread compiles itself. True: *r is the result; with KT_OK, *image is
 * borrowed until the end. KT_ERR_STATE: not yet. `folder`: where to keep it, "" = nowhere. */
bool kt_pattern_later(char *const *expressions, size_t n, const char *key, const char *folder,
                      const struct kt_pattern_image **image, kt_result *r, struct kt_error *err);

#ifdef __cplusplus
}
#endif
