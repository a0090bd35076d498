/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Requests for help with harm, by category: intents and objects in one sentence (patterns/safety.def). Works
 * on a text as it comes in: the end of what was seen is kept in folded form, so that a phrase that two
 * windows share is found.
 */
#include "policyengine/base/kt_base.h"
#include "policyengine/detect/kt_pattern.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kt_safety; /* one text; one thread at a time */

/* new; NULL on OOM. */
struct kt_safety *kt_safety_new(void);
/* Wipes: it holds the end of the text. */
void kt_safety_free(struct kt_safety *s);
/* Starts over with a new text. */
void kt_safety_reset(struct kt_safety *s);

/* Feeds the next bytes; `final` = the text ends with them. *used receives the bytes that were taken: all but
 * a character or word that is cut at the end. *found is the first category with a sign of at least `weight`
 * percent, or KT_SAFE_CATEGORIES for none. A word counts when its end is known. */
kt_result kt_safety_feed(struct kt_safety *s, const char *text, size_t len, bool final, unsigned weight,
                         size_t *used, enum kt_safety_category *found) KT_MUST;

/* "weapons", "self_harm", ...; static. */
const char *kt_safety_category_name(enum kt_safety_category c);

#ifdef __cplusplus
}
#endif
