/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Figures of a classification. A positive row is one that should be flagged.
 *   precision tp / (tp + fp), recall tp / (tp + fn), fpr fp / (fp + tn), f1 2 tp / (2 tp + fp + fn)
 *   auc       share of pairs of a positive and a negative row in which the positive has the higher score, a
 * tie counting half recall_at_fpr_1pct  the largest recall over all thresholds (flagged: score >= threshold)
 * that flag at most 1 % of the negative rows A figure whose divisor is zero is not defined (NaN).
 */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct eval_figures {
    size_t n, tp, fp, tn, fn;
    double precision, recall, f1, fpr, auc, recall_at_fpr_1pct;
};

struct eval_measure;

/* new; NULL on OOM. */
struct eval_measure *eval_measure_new(void);
void eval_measure_free(struct eval_measure *m);
/* One row. `lang` and `source`: "" = in no group; the first 65535 distinct names are kept apart, later ones
 * are
 * "(other)". */
kt_result eval_measure_add(struct eval_measure *m, const char *lang, const char *source, double score,
                           bool positive, bool flagged) KT_MUST;
/* Computes all figures; to be called once, after the last row. */
kt_result eval_measure_finish(struct eval_measure *m) KT_MUST;

const struct eval_figures *eval_measure_all(const struct eval_measure *m);
enum eval_by { EVAL_BY_LANG, EVAL_BY_SOURCE };
struct eval_group {
    char *name; /* owned by the measure */
    struct eval_figures figures;
};
/* By name. Borrowed. */
const struct eval_group *eval_measure_groups(const struct eval_measure *m, enum eval_by by, size_t *count);

#ifdef __cplusplus
}
#endif
