/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Types of spans. Data sets and tools spell them differently ("EMAIL", "EMAIL_ADDRESS", "e-mail"): a table
 * (eval_types.def) brings the common spellings to one name, every other spelling is a type of its own. A type
 * may be a kind of another: US_SSN answers NATIONAL_ID, and the other way round.
 */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EVAL_TYPES_MAX 512u /* past it every new type is "OTHER" */

struct eval_types;

/* new; NULL on OOM. */
struct eval_types *eval_types_new(void);
void eval_types_free(struct eval_types *t);
/* Any case, any separator. The number of the type, < EVAL_TYPES_MAX. */
unsigned eval_types_find(struct eval_types *t, const char *name);
unsigned eval_types_count(const struct eval_types *t);
const char *eval_types_name(const struct eval_types *t, unsigned type); /* borrowed */
/* True where one of the two is the other, or a kind of it. */
bool eval_types_match(const struct eval_types *t, unsigned a, unsigned b);
/* True where `type` is `family` or a kind of it. */
bool eval_types_within(const struct eval_types *t, unsigned type, unsigned family);
/* The public name of one of our labels ("email" is "EMAIL_ADDRESS"); `label` itself where the table has none.
 * Thread-safe, borrowed from the table or the argument. */
const char *eval_type_public(const char *label);

#ifdef __cplusplus
}
#endif
