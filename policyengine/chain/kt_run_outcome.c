/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/chain/kt_run_internal.h"

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
        o->message = r->stop_message;
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

struct kt_outcome kt_chain_run_outcome(struct kt_chain_run *r)
{
    if (!r->dry && kt_redactions_merge(&r->redactions).code != KT_OK)
        r->internal_error = true;
    struct kt_outcome o = {
        .would = KT_VERDICT_ALLOW,
        .reason_code = "all_policies_passed",
        .internal_error = r->internal_error,
        .error_blocks = r->error_blocks,
        .policies = r->results,
        .policy_count = r->count,
        .immutable = r->chain->retention.immutable,
        .retention_days = r->chain->retention.retention_days,
        .log_all_access = r->chain->retention.log_all_access,
    };
    for (size_t i = 0; i < r->count; i++)
        o.failed_open |= r->results[i].failed && !o.internal_error && !o.error_blocks;
    decide(r, &o);
    o.verdict = r->dry ? KT_VERDICT_ALLOW : o.would;
    return o;
}
