/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/policies/kt_policy.h"

#include <string.h>

#define KT_POLICY(name) extern const struct kt_policy name;
#include "policyengine/policies/policies.def"
#undef KT_POLICY

static const struct kt_policy *const policies[] = {
#define KT_POLICY(name) &name,
#include "policyengine/policies/policies.def"
#undef KT_POLICY
};

const struct kt_policy *const *kt_policies(size_t *count)
{
    *count = KT_COUNT(policies);
    return policies;
}

const struct kt_policy *kt_policy_find(const char *kind)
{
    for (size_t i = 0; i < KT_COUNT(policies); i++)
        if (strcmp(policies[i]->kind, kind) == 0)
            return policies[i];
    return NULL;
}

const char *kt_verdict_name(enum kt_verdict v)
{
    static const char *const names[] = {"allow", "redact", "escalate", "block"};
    return (size_t)v < KT_COUNT(names) ? names[v] : "unknown";
}
