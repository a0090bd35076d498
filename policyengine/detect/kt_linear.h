/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A linear model over hashed words, stems and classes of words (kt_classes.h) of folded text (kt_fold.h),
 * alone and in pairs, one signed byte per bucket. It looks at sentences and at rows of a few sentences, never
 * at a document alone, so that one hostile sentence is not outvoted by the page around it. The training
 * script takes its features from this code (tools/train_injection/features.c): there is no second
 * implementation that could differ.
 */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_LINEAR_BITS 19u
#define KT_LINEAR_BUCKETS (1u << KT_LINEAR_BITS)
#define KT_LINEAR_MAX 4096u  /* bytes of one text; callers work in blocks */
#define KT_LINEAR_SHORT 24u  /* bytes: a shorter sentence goes together with the next one */
#define KT_LINEAR_LONG 200u  /* bytes: a longer one is cut at a space */
#define KT_LINEAR_ROW 4u     /* sentences of one window ... */
#define KT_LINEAR_REACH 320u /* ... and their bytes */
#define KT_LINEAR_SMOOTH 32u /* features that say nothing, added to every window */

struct kt_linear {
    const int8_t *weights; /* KT_LINEAR_BUCKETS */
    double scale, bias;    /* log odds of a window: bias + scale * sum / sqrt(features + KT_LINEAR_SMOOTH) */
};
extern const struct kt_linear kt_linear_injection;

struct kt_linear_sentence {
    int32_t sum;
    uint32_t features;
    uint32_t end; /* offset in the text */
};

/* Working memory; no initialisation but of `dirty`, for who wants to wipe it. */
struct kt_linear_work {
    char text[KT_LINEAR_MAX + 16]; /* one space in front, room behind */
    size_t dirty;                  /* the most bytes of it that were used */
    struct kt_linear_sentence sentences[KT_LINEAR_MAX / KT_LINEAR_SHORT + 2];
};

struct kt_linear_score {
    double best;  /* log odds of the most suspicious window */
    double whole; /* log odds of the text as one window */
    size_t sentences;
};

/* Linear. `len` at most KT_LINEAR_MAX: the rest is not looked at. */
void kt_linear_run(const struct kt_linear *m, struct kt_linear_work *w, const char *text, size_t len,
                   struct kt_linear_score *out);

/* For the training script: the buckets of every feature, sentence by sentence; same rules as kt_linear_run.
 */
typedef void (*kt_linear_feature_fn)(void *ctx, unsigned bucket);
typedef void (*kt_linear_sentence_fn)(void *ctx, size_t bytes);
void kt_linear_features(struct kt_linear_work *w, const char *text, size_t len, kt_linear_feature_fn feature,
                        kt_linear_sentence_fn sentence, void *ctx);

#ifdef __cplusplus
}
#endif
