/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What dlp-filter looks for in one segment: secrets, terms, classification marks, the user's patterns. */
#include "policyengine/detect/kt_pattern_window.h"
#include "policyengine/detect/kt_secret_encoded.h"
#include "policyengine/detect/kt_terms.h"
#include "policyengine/detect/kt_unescape.h"
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

/* The state of the lists over one text: the segment as it stands, or one level of the source in it. */
struct dlp_own_level {
    struct kt_terms_stream terms, marks;
    struct kt_pattern_stream patterns;
    size_t settled; /* absolute: all in front of it was dealt with */
};

struct dlp_own {
    struct dlp_own_level level[KT_UNESCAPE_LEVELS + 1]; /* the first one is the text as it stands */
    struct kt_unescape source[KT_UNESCAPE_LEVELS];      /* from one level to the next */
};

/* Terms, marks and patterns, also behind the escapes of JSON source; hits and *hold are absolute. */
kt_result dlp_own_look(const struct dlp_lists *l, struct dlp_own *s, const struct kt_unescape_window *w,
                       dlp_hit_fn hit, void *ctx, size_t *hold) KT_MUST;
void dlp_own_free(struct dlp_own *s);

/* One segment in windows; zero-initialised = at its start. Wipe with dlp_stream_free. */
struct dlp_stream {
    unsigned segment;
    struct kt_secret_stream secrets;
    struct kt_secret_folded folded;
    struct kt_secret_encoded encoded;
    struct dlp_own own;
};
void dlp_stream_free(struct dlp_stream *s);

/* *hold receives the first byte that may still be part of something (absolute). */
kt_result dlp_look(const struct dlp_options *o, const struct dlp_lists *l, struct dlp_stream *s,
                   const struct kt_text *t, dlp_hit_fn hit, void *ctx, size_t *hold) KT_MUST;

#ifdef __cplusplus
}
#endif
