/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How much a text looks like prompt injection: 0..1. Signs come from words and rules (kt_lexicon.h) and
 * phrases (kt_scan.h) over folded text, block by block, so that a long document neither drowns a sign nor
 * adds up small ones; then the same over what was decoded from base64, hex, percent escapes, rot13, reversed,
 * spaced and leet text and from invisible tag characters.
 */
#include "policyengine/detect/kt_pattern.h"
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kt_injection; /* working memory; one thread at a time */

struct kt_injection_result {
    double score;      /* 0..1, highest of all blocks */
    unsigned families; /* bits 1 << enum kt_injection_family that took part in it */
    bool decoded;      /* found in decoded text */
};

/* new; NULL on OOM. */
struct kt_injection *kt_injection_new(void);
/* Wipes. */
void kt_injection_free(struct kt_injection *w);

/* `tool`: the text is a tool's, where words to an AI count as well. Linear in `len`. */
kt_result kt_injection_score(struct kt_injection *w, const char *text, size_t len, bool tool,
                             struct kt_injection_result *out) KT_MUST;

/* "override", "persona", ...; static. */
const char *kt_injection_family_name(enum kt_injection_family f);

#ifdef __cplusplus
}
#endif
