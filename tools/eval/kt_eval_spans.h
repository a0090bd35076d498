/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Figures of found spans against labelled ones. A found span is right where it overlaps, by a character or
 * more, a labelled span of a matching type (eval_types_match); a labelled span is found where some right span
 * overlaps it, and found exactly where one has its very ends. Of spans whose type the policy does not know
 * (not supported) the recall is reported, but they are no part of the total.
 */
#include "tools/eval/kt_eval_types.h"

#ifdef __cplusplus
extern "C" {
#endif

struct eval_typed {
    size_t start, end; /* characters */
    unsigned type;
};

struct eval_span_counts {
    size_t gold, found, exact; /* labelled; overlapped; hit to the character */
    size_t predicted, right;   /* found by the policy; of them right */
};

struct eval_spans {
    const struct eval_types *types; /* borrowed */
    bool supported[EVAL_TYPES_MAX];
    struct eval_span_counts by_type[EVAL_TYPES_MAX]; /* each type on its own, without what is a kind of it */
    struct eval_span_counts total;                   /* gold of supported types only */
    struct eval_span_counts untyped;                 /* the same with every type counting as every other */
    size_t unsupported;                              /* labelled spans of other types */
    size_t *reach;                                   /* owned scratch */
    size_t reach_cap;
};

/* Marks `type` and all that it can answer for as supported. */
void eval_spans_support(struct eval_spans *s, unsigned type);
bool eval_spans_supported(const struct eval_spans *s, unsigned type);
/* One row; both lists by start. */
kt_result eval_spans_add(struct eval_spans *s, const struct eval_typed *gold, size_t gold_count,
                         const struct eval_typed *found, size_t found_count) KT_MUST;
/* Type and all that is a kind of it. */
struct eval_span_counts eval_spans_of(const struct eval_spans *s, unsigned type);
void eval_spans_free(struct eval_spans *s);

#ifdef __cplusplus
}
#endif
