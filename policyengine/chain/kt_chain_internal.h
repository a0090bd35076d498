/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the two halves of the chain share, and the way in for tests with policies of their own. */
#include "policyengine/chain/kt_chain.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kt_chain_link {
    const struct kt_policy *policy;
    const void *opts; /* borrowed */
    void *instance;   /* owned, through policy->fini */
    int on_error;     /* enum kt_on_internal_error */
};

struct kt_chain {
    struct kt_chain_link *links; /* owned */
    size_t count;
    struct kt_retention retention;
};

/* new. As kt_chain_new, from `n` policies and their options (borrowed; `opts` may be NULL for none). */
kt_result kt_chain_new_from(const struct kt_policy *const *policies, const void *const *opts, size_t n,
                            struct kt_chain **out, struct kt_error *err) KT_MUST;
/* `on_error` is an enum kt_on_internal_error; before any run. */
void kt_chain_on_error(struct kt_chain *c, size_t link, int on_error);

#ifdef __cplusplus
}
#endif
