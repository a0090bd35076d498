/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How much a text looks like prompt injection: 0..1. Signs come from words and rules (kt_lexicon.h) and
 * phrases (kt_scan.h) over folded text, block by block, so that a long document neither drowns a sign nor
 * adds up small ones; then the same over what kt_decode.h finds and over the disguises that it takes off.
 */
#include "policyengine/detect/kt_pattern.h"
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kt_injection; /* working memory; one thread at a time */

/* What is looked for; all on by default. */
struct kt_injection_scope {
    bool whole_unicode; /* full-width, mathematical and circled letters, zero-width signs, tag characters */
    bool lookalikes;    /* Cyrillic and Greek letters that stand for Latin ones */
    bool decode;        /* escapes, and what kt_decode.h reads */
    bool fake_roles;    /* rules for fake roles and system messages */
    bool delimiters;    /* rules for broken delimiters */
    bool tool;          /* the text is a tool's, where words to an AI count as well */
    bool orders; /* orders are what such a text is made of (what a tool is for, what it is asked to do): it
                    takes worse ones */
};
#define KT_INJECTION_SCOPE_ALL                                                                               \
    (struct kt_injection_scope)                                                                              \
    {                                                                                                        \
        true, true, true, true, true, false, false                                                           \
    }

struct kt_injection_result {
    double score;      /* 0..1, highest of all blocks */
    unsigned families; /* bits 1 << enum kt_injection_family that took part in it */
    bool decoded;      /* found in decoded text */
    double rules;      /* what made the score: evidence of the rules, 0 = none, ... */
    double best;       /* ... log odds of the model for its worst window, ... */
    double length;     /* ... log2 of the sentences of that block, or of a long text, ... */
    double whole;      /* ... and log odds of the block as one window */
    double calm;       /* log odds taken off for what the block is (code, a template) */
};

/* Working memory out of a pool of a few idle ones that all threads share without a lock (so a fork leaves
 * nothing locked); new where none is idle. NULL on OOM. No text stays in it. */
struct kt_injection *kt_injection_take(void);
void kt_injection_give(struct kt_injection *w);
/* Who may take: the pool is freed when the last of them leaves. */
void kt_injection_join(void);
void kt_injection_leave(void);

/* Linear in `len`. */
kt_result kt_injection_score(struct kt_injection *w, const char *text, size_t len,
                             struct kt_injection_scope scope, struct kt_injection_result *out) KT_MUST;

/* "override", "persona", ...; static. */
const char *kt_injection_family_name(enum kt_injection_family f);

#ifdef __cplusplus
}
#endif
