/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Secrets of a known form inside of a run of base64 (either alphabet) or hex. */
#include "policyengine/detect/kt_secret_folded.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_SECRET_ENCODED_MIN 24u  /* letters of a run; shorter ones hold no token */
#define KT_SECRET_ENCODED_LOOK 96u /* letters by which it shows whether a run is text */
/* Letters that are decoded at once: whole groups of four, which give no more than kt_decode does. */
#define KT_SECRET_ENCODED_PIECE 5460u

/* Windows of one segment; zero-initialised = at its start. Holds none of the text. */
struct kt_secret_encoded {
    size_t at; /* absolute: all in front of it is dealt with */
    enum {
        KT_ENCODED_BETWEEN, /* `at` is in no run, or begins one */
        KT_ENCODED_INSIDE,  /* in the middle of one, between two pieces */
        KT_ENCODED_OTHER,   /* in the middle of one that is no text */
        KT_ENCODED_FOUND    /* in the middle of one with a secret in front of `at` */
    } run;
    const char *label;
    double score;
};

/* Each run whose beginning decodes to readable text is decoded once, piece by piece; the piece with a secret
 * that its form leaves no doubt of is a hit, and so are all behind it, the padding with the last. A stream
 * cut anywhere gives what the whole gives: *hold (absolute) is where the run, or the piece, begins that is
 * not over. Needs kt_secret_prepare. */
kt_result kt_secret_encoded_window(struct kt_secret_encoded *s, const struct kt_secret_window *w,
                                   kt_secret_hit_fn hit, void *ctx, size_t *hold) KT_MUST;

#ifdef __cplusplus
}
#endif
