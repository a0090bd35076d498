/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/chain/kt_run_internal.h"
#include "policyengine/config/kt_config.h"

#include <stdio.h>

static bool is_warning(const struct kt_policy_result *p)
{
    return p->verdict == KT_VERDICT_ALLOW && p->matches > 0;
}

/* What was let pass with a finding, or by a policy that failed, did not pass all policies. */
static void find(const struct kt_chain_run *r, struct kt_outcome *o)
{
    for (size_t i = 0; i < r->count && !o->warned; i++) {
        if (!is_warning(&r->results[i]))
            continue;
        const char *reason = r->links[i]->policy->reason_code;
        o->warned = true;
        o->reason_code = reason ? reason : "warned";
    }
    if (!o->warned && o->failed_open)
        o->reason_code = "policy_error";
}

static void decide(const struct kt_chain_run *r, struct kt_outcome *o)
{
    if (r->stopped) {
        o->would = r->stop_verdict;
        o->policy = r->results[r->stop_link].kind;
        o->reason_code = r->stop_reason;
        o->message = r->stop_message ? r->stop_message : "";
        return;
    }
    for (size_t i = 0; i < r->count; i++) {
        if (r->results[i].verdict != KT_VERDICT_REDACT)
            continue;
        const char *reason = r->links[i]->policy->reason_code;
        o->would = KT_VERDICT_REDACT;
        o->policy = r->results[i].kind;
        o->reason_code = reason ? reason : "redacted";
        return;
    }
    find(r, o);
}

const char *kt_policy_result_word(const struct kt_policy_result *p)
{
    return p->failed       ? "error"
           : p->skipped    ? "skipped"
           : is_warning(p) ? "warn"
                           : kt_verdict_name(p->verdict);
}

enum kt_failed_by kt_outcome_failed_by(const struct kt_outcome *o)
{
    return o->lost && !o->failed ? KT_FAILED_BY_LOSS
           : o->error_blocks     ? KT_FAILED_BY_ON_ERROR
                                 : KT_FAILED_BY_MODE;
}

void kt_policy_failed_message(char *out, size_t cap, const char *policy, enum kt_failed_by by)
{
    if (by == KT_FAILED_BY_LOSS)
        snprintf(out, cap, "ktwrap: the policy chain failed, and what it was to take out would have passed");
    else
        snprintf(out, cap, "ktwrap: %s%s failed, and %s%s is block", policy ? "policy " : "the policy chain",
                 policy ? policy : "", policy && by == KT_FAILED_BY_ON_ERROR ? "its " : "",
                 by == KT_FAILED_BY_ON_ERROR ? "on_internal_error" : "fail_mode");
}

/* Of several that failed, the first of those with the strictest setting. */
static void find_failed(const struct kt_chain_run *r, struct kt_outcome *o)
{
    int setting = o->error_blocks     ? KT_ON_ERROR_BLOCK
                  : o->internal_error ? KT_ON_ERROR_FAIL_MODE
                                      : KT_ON_ERROR_ALLOW;
    for (size_t i = 0; i < r->count && !o->failed; i++)
        if (r->results[i].failed && r->links[i]->on_error == setting)
            o->failed = r->results[i].kind;
    o->failed_open = setting == KT_ON_ERROR_ALLOW && o->failed;
}

struct kt_outcome kt_chain_run_outcome(struct kt_chain_run *r)
{
    if (!r->dry && kt_redactions_merge(&r->redactions).code != KT_OK)
        r->error_blocks = r->lost = true;
    struct kt_outcome o = {
        .would = KT_VERDICT_ALLOW,
        .reason_code = "all_policies_passed",
        .internal_error = r->internal_error,
        .error_blocks = r->error_blocks,
        .lost = r->lost,
        .policies = r->results,
        .policy_count = r->count,
        .immutable = r->chain->retention.immutable,
        .retention_days = r->chain->retention.retention_days,
        .log_all_access = r->chain->retention.log_all_access,
    };
    find_failed(r, &o);
    decide(r, &o);
    o.verdict = r->dry ? KT_VERDICT_ALLOW : o.would;
    return o;
}
