/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What stands in a text where a value was taken out. One table of options for every policy that redacts:
 *   label      [EMAIL_1]: stable within the conversation, different values never share one. Without
 *              include_metadata the name does not say what it was: [REDACTED_1].
 *   asterisks  ********, or as many as the value has characters (preserve_length)
 *   partial    j***@example.org, ****1881: what is shown identifies nobody alone. With preserve_length every
 *              hidden letter or digit is one asterisk and punctuation stays.
 * custom_markers give a kind a text of its own. restore needs labels: nothing else can be turned back.
 */
#include "policyengine/policies/kt_policy.h"

#ifdef __cplusplus
extern "C" {
#endif

enum kt_marker_format { KT_MARKER_LABEL, KT_MARKER_ASTERISKS, KT_MARKER_PARTIAL };

struct kt_marker_options {
    int format; /* enum kt_marker_format */
    bool include_metadata, preserve_length, restore;
    struct kt_string_map custom; /* keys are the policy's to check */
};
extern const struct kt_option kt_marker_option_table[];

/* What a partial marker shows of a value. */
enum kt_marker_show {
    KT_MARKER_SHOW_TAIL, /* the last four of ten letters and digits or more, two of six, nothing of fewer */
    KT_MARKER_SHOW_MAIL, /* the first letter and the domain */
    KT_MARKER_SHOW_NOTHING
};

struct kt_marker {
    const char *name;   /* of the kind, in capitals: "EMAIL" */
    const char *custom; /* text of its own; NULL = none */
    enum kt_marker_show show;
};

/* Options that contradict each other: KT_ERR_USAGE, and what to change. */
kt_result kt_marker_check(const struct kt_marker_options *o, struct kt_error *err) KT_MUST;

/* Appends the marker for `value` (UTF-8, or any bytes) to `out`. Labels come from sink->placeholder. */
kt_result kt_marker_put(const struct kt_marker_options *o, const struct kt_marker *m, struct kt_sink *sink,
                        const char *value, size_t len, struct kt_buf *out) KT_MUST;

#ifdef __cplusplus
}
#endif
