/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What dlp-filter looks for in one segment: secrets, terms, classification marks, the user's patterns. */
#include "policyengine/detect/kt_pattern_cache.h"
#include "policyengine/detect/kt_secret_folded.h"
#include "policyengine/detect/kt_terms.h"
#include "policyengine/policies/kt_policy.h"

#ifdef __cplusplus
extern "C" {
#endif

enum dlp_level { DLP_STANDARD, DLP_HIGH, DLP_RESTRICTED };

struct dlp_options {
    struct kt_strings detect_patterns, blocked_terms;
    bool fuzzy_matching, secrets;
    int64_t max_distance;
    int sensitivity_level, action;
};

struct dlp_lists {                  /* the instance */
    struct kt_terms *terms, *marks; /* NULL = none */
    struct kt_patterns *patterns;   /* NULL = none */
};

kt_result dlp_lists_new(const struct dlp_options *o, struct dlp_lists **out, struct kt_error *err) KT_MUST;
void dlp_lists_free(struct dlp_lists *l);

enum dlp_what { DLP_SECRET, DLP_TERM, DLP_MARK, DLP_PATTERN };
typedef void (*dlp_hit_fn)(void *ctx, enum dlp_what what, const char *label, double score, size_t start,
                           size_t end);

/* One segment in windows; zero-initialised = at its start. Wipe with dlp_stream_free. */
struct dlp_stream {
    unsigned segment;
    struct kt_secret_stream secrets;
    struct kt_secret_folded folded;
    struct kt_terms_stream terms, marks;
    struct kt_buf behind; /* the bytes in front of `pattern_at`, for anchors */
    size_t pattern_at, pattern_floor;
};
void dlp_stream_free(struct dlp_stream *s);

/* *hold receives the first byte that may still be part of something (absolute). */
kt_result dlp_look(const struct dlp_options *o, const struct dlp_lists *l, struct dlp_stream *s,
                   const struct kt_text *t, dlp_hit_fn hit, void *ctx, size_t *hold) KT_MUST;

#ifdef __cplusplus
}
#endif
