/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "policyengine/detect/kt_pii_text.h"

#include <stdatomic.h>

#define KT_PII_FORM_GROUPS 3u

/* Which of up to 64 entries have a form that begins like a number: most numbers are none's. */
struct kt_pii_form_index {
    _Atomic uint64_t run[KT_PII_DIGITS + 1];                       /* by digits, of forms of one group */
    _Atomic uint64_t group[KT_PII_FORM_GROUPS][KT_PII_DIGITS + 1]; /* of longer ones; 0 = no group */
    _Atomic uint64_t joined['/' + 1];                              /* by what stands behind the first */
};
/* Entry i has these forms, with these separators (NULL: any). Two threads that fill an index at once write
 * the same. */
void kt_pii_index_forms(struct kt_pii_form_index *x, unsigned i, const char *forms, const char *seps);
/* Entry i has any form. */
void kt_pii_index_any(struct kt_pii_form_index *x, unsigned i);
uint64_t kt_pii_of_form(const struct kt_pii_form_index *x, const struct kt_pii_number *n);
/* The same before the number is read: of its first group [at,end), and of the second where a space is between
 * them. */
uint64_t kt_pii_begins_form(const struct kt_pii_form_index *x, const struct kt_pii_view *v, size_t at,
                            size_t end);
