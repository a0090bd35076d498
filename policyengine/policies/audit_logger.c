/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit-logger allows everything: it says how the event is kept. It has no `text` slot on purpose, so that a
 * chain of it alone costs nothing and a block in front of it does not lose the mark.
 */
#include "policyengine/policies/kt_policy.h"

struct audit_options {
    bool immutable;
    int64_t retention_days;
    bool log_all_access;
};

static void audit_retain(const void *opts, struct kt_retention *r)
{
    const struct audit_options *o = opts;
    r->immutable = o->immutable;
    r->retention_days = (int)o->retention_days;
    r->log_all_access = o->log_all_access;
}

static const struct kt_option audit_options[] = {
    {.name = "immutable",
     .type = KT_OPT_BOOL,
     .offset = offsetof(struct audit_options, immutable),
     .def = "true",
     .help = "chain each event to the one before by SHA-256"},
    {.name = "retention_days",
     .type = KT_OPT_INT,
     .offset = offsetof(struct audit_options, retention_days),
     .def = "365",
     .min = 1,
     .max = 36500,
     .help = "days that events are to be kept"},
    {.name = "log_all_access",
     .type = KT_OPT_BOOL,
     .offset = offsetof(struct audit_options, log_all_access),
     .def = "true",
     .help = "false: exchanges in which no policy found anything, and nothing failed, leave no event"},
    {.name = NULL},
};

const struct kt_policy kt_policy_audit_logger = {
    .kind = "audit-logger",
    .help = "marks how the audit event is kept",
    .phases = KT_PHASE_REQUEST,
    .options = audit_options,
    .options_size = sizeof(struct audit_options),
    .retain = audit_retain,
};
