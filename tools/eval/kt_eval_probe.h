/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One policy alone over one text, without a chain around it: what it says, unmerged, with labels. Makes no
 * I/O: a check that needs the world outside fails as it would where nobody answers.
 */
#include "policyengine/policies/kt_policy.h"

#ifdef __cplusplus
extern "C" {
#endif

struct eval_probe;

/* new. Borrows `opts`, which must outlive it. */
kt_result eval_probe_new(const struct kt_policy *policy, const void *opts, struct eval_probe **out,
                         struct kt_error *err) KT_MUST;
void eval_probe_free(struct eval_probe *p);

struct eval_hit {
    size_t start, end; /* bytes of the text */
    const char *label; /* static, as the policy calls it; never NULL */
};

struct eval_found {
    bool failed;  /* internal error of the policy: nothing else counts */
    bool outside; /* it asked for a check outside, which was not made */
    enum kt_verdict verdict;
    double score;          /* the policy's own; where it has none, 1 where it acts and 0 where it does not */
    struct eval_hit *hits; /* owned; redacted ranges, by start */
    size_t count, cap;
};
/* Fills `out`, which is zeroed or was used before (its memory is used again). Any thread. */
void eval_probe_text(const struct eval_probe *p, enum kt_origin_class from, const char *text, size_t len,
                     struct eval_found *out);
void eval_found_free(struct eval_found *f);

/* Sets an enum option of a policy by name, e.g. "action" to "redact". False where there is no such value. */
bool eval_set_enum(const struct kt_policy *policy, void *opts, const char *option, const char *value);
/* NULL where there is no such number or enum option. */
const double *eval_option_float(const struct kt_policy *policy, const void *opts, const char *option);
/* The value of an enum option in words, into `out`. False where there is none. */
bool eval_option_enum(const struct kt_policy *policy, const void *opts, const char *option, char out[32]);

#ifdef __cplusplus
}
#endif
