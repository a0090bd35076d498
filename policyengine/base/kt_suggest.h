/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* "Did you mean": the known word that is nearest to an unknown one, where one is near enough to be worth a
 * line. */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kt_suggest {
    const char *word; /* borrowed */
    size_t len;
    unsigned best_distance;
    char best[64]; /* "" = none near enough */
};

/* `word`, the misspelt one, stays borrowed. */
void kt_suggest_begin(struct kt_suggest *s, const char *word);
/* Longer candidates than 63 bytes are never suggested. */
void kt_suggest_try(struct kt_suggest *s, const char *candidate, size_t len);
/* Writes "did you mean 'x'?" or returns NULL; `out` is the storage of what is returned. */
const char *kt_suggest_text(const struct kt_suggest *s, char out[96]);

#ifdef __cplusplus
}
#endif
