/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a name is given: password = "...", "token": "...", --api-key ..., <secret>...</secret>, NAME value,
 * "... is ...". */
#include "policyengine/detect/kt_secret_rule.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kt_secret_assign {
    size_t name_start, name_end; /* the whole name around the word, as far as it is seen */
    size_t start, end;           /* of the value */
    bool quoted;
    bool said; /* "the password is ..." */
    bool call; /* the value is followed by what makes it code: "get(", "list[" */
};

/* `loose`: words may stand between the name and the sign ("Twilio auth token: ..."). `alone`: the value may
 * follow after a space only ("Bearer ..."). */
enum kt_secret_answer kt_secret_assigned(const struct kt_secret_view *v, const struct kt_secret_anchor *a,
                                         bool loose, bool alone, size_t most, struct kt_secret_assign *out);

#ifdef __cplusplus
}
#endif
