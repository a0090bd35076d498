/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A config's own expressions over a text that comes in windows. */
#include "policyengine/base/kt_buf.h"
#include "policyengine/detect/kt_pattern_cache.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One segment; zero-initialised = at its start. Holds text: wipe with kt_pattern_stream_free. */
struct kt_pattern_stream {
    struct kt_buf behind; /* the bytes in front of `at`, for anchors */
    size_t at;            /* absolute: matches that start in front of it are known */
    size_t floor;         /* end of the last match */
};

/* `base`: absolute offset of data[0]; at most the *hold that the window before returned. Offsets of hits and
 * *hold are absolute. */
kt_result kt_pattern_window(const struct kt_patterns *p, struct kt_pattern_stream *s, const char *data,
                            size_t len, size_t base, bool final, kt_patterns_hit_fn hit, void *ctx,
                            size_t *hold) KT_MUST;
/* `to` becomes what `from` is; KT_ERR_MEMORY leaves it empty. */
kt_result kt_pattern_stream_copy(struct kt_pattern_stream *to, const struct kt_pattern_stream *from) KT_MUST;
void kt_pattern_stream_free(struct kt_pattern_stream *s);

#ifdef __cplusplus
}
#endif
