/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Requests for help with harm, by category: intents and objects in one sentence (patterns/safety.def). Works
 * on a text as it comes in: the end of what was seen is kept in folded form, so that a phrase that two
 * windows share is found, and a sign is judged only when what may make it harmless has been seen too. What is
 * found and how it is scored does not depend on how the text was cut.
 */
#include "policyengine/base/kt_base.h"
#include "policyengine/detect/kt_pattern.h"
#include "policyengine/detect/kt_wordlist.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_SAFE_NONE KT_SAFE_CATEGORIES
#define KT_SAFE_TERM (KT_SAFE_CATEGORIES + 1) /* a term of the user's own */

/* What counts. Borrowed for the time of a call. */
struct kt_safety_rules {
    unsigned categories;             /* 1 << KT_SAFE_x or-ed; signs of others do not exist */
    unsigned weight;                 /* percent from which on a sign is a finding */
    const struct kt_wordlist *terms; /* NULL = none; a term is always a finding */
};

struct kt_safety_result {
    unsigned found; /* the first category with a finding, KT_SAFE_TERM, or KT_SAFE_NONE */
    double score;   /* 0..1, highest so far: strongest sign; findings have weight / 100 or more */
    size_t used;    /* bytes that need not be fed again: all but a character or word that is cut at the end */
    size_t back;    /* bytes in front of that place that a sign which is not judged yet may cover, at least */
};

struct kt_safety; /* one text; one thread at a time */

/* new; NULL on OOM. */
struct kt_safety *kt_safety_new(void);
/* new; goes on where `s` is. NULL on OOM. */
struct kt_safety *kt_safety_copy(const struct kt_safety *s);
/* Wipes: it holds the end of the text. */
void kt_safety_free(struct kt_safety *s);
/* Starts over with a new text. */
void kt_safety_reset(struct kt_safety *s);

/* Feeds the next bytes; `final` = the text ends with them. A word counts when its end is known. After a
 * finding the text needs no more feeding. */
kt_result kt_safety_feed(struct kt_safety *s, const char *text, size_t len, bool final,
                         const struct kt_safety_rules *rules, struct kt_safety_result *out) KT_MUST;

/* "weapons", "self_harm", ...; "term", "none"; static. */
const char *kt_safety_category_name(unsigned category);

#ifdef __cplusplus
}
#endif
