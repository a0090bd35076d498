/* SPDX-License-Identifier: Apache-2.0 */
/* data-routing-policy: only providers whose data policy is good enough get the call. Looks at no text. */
#include "policyengine/base/kt_log.h"
#include "policyengine/config/kt_config.h"
#include "policyengine/policies/kt_policy.h"

enum routing_otherwise { ROUTING_BLOCK, ROUTING_WARN };

#define NO_LIMIT (-1)

struct routing_options {
    bool require_zero_data_retention, require_no_training, log_provider_selection;
    int64_t max_retention_days;
    int on_no_compliant_provider;
};

/* What a target's own entry does not promise, it does not do. */
static const char *objection(const struct routing_options *o, const struct kt_target *t)
{
    int64_t days = t->data_policy.retention_days; /* below zero: not known */
    bool none_kept = t->data_policy.zero_data_retention && days <= 0;
    if (o->require_zero_data_retention && !none_kept)
        return "data_routing.zero_data_retention";
    if (o->require_no_training && !t->data_policy.training_opt_out)
        return "data_routing.training";
    if (o->max_retention_days != NO_LIMIT && !none_kept && (days < 0 || days > o->max_retention_days))
        return "data_routing.retention";
    return NULL;
}

static bool routing_admits(const void *opts, void *instance, const struct kt_target *t, const char **reason)
{
    (void)instance;
    const struct routing_options *o = opts;
    const char *no = objection(o, t);
    if (no)
        *reason = no;
    if (o->log_provider_selection)
        kt_warn("data-routing-policy: target '%s' %s%s", t->id ? t->id : "?",
                no ? "is left out: " : "may get the call", no ? no : "");
    return !no;
}

static bool routing_warns(const void *opts)
{
    const struct routing_options *o = opts;
    return o->on_no_compliant_provider == ROUTING_WARN;
}

static const struct kt_option routing_option_table[] = {
    {.name = "require_zero_data_retention",
     .type = KT_OPT_BOOL,
     .offset = offsetof(struct routing_options, require_zero_data_retention),
     .def = "false",
     .help = "only targets with data_policy.zero_data_retention"},
    {.name = "require_no_training",
     .type = KT_OPT_BOOL,
     .offset = offsetof(struct routing_options, require_no_training),
     .def = "false",
     .help = "only targets with data_policy.training_opt_out"},
    {.name = "max_retention_days",
     .type = KT_OPT_INT,
     .offset = offsetof(struct routing_options, max_retention_days),
     .def = "-1",
     .min = -1,
     .max = 36500,
     .help = "only targets whose data_policy.retention_days is known and no longer; -1 = any"},
    {.name = "on_no_compliant_provider",
     .type = KT_OPT_ENUM,
     .offset = offsetof(struct routing_options, on_no_compliant_provider),
     .def = "block",
     .values = "block|warn",
     .help = "where no target is good enough: block the call, or send it all the same and warn"},
    {.name = "log_provider_selection",
     .type = KT_OPT_BOOL,
     .offset = offsetof(struct routing_options, log_provider_selection),
     .def = "false",
     .help = "write to kt.log which target may get the call and which may not"},
    {.name = NULL},
};

static const char *routing_idle(const void *opts, const void *instance)
{
    const struct routing_options *o = opts;
    (void)instance;
    return o->require_zero_data_retention || o->require_no_training || o->log_provider_selection ||
                   o->max_retention_days != NO_LIMIT
               ? NULL
               : "set require_zero_data_retention, require_no_training or max_retention_days";
}

/* One rule alone. */
static struct routing_options only(const struct routing_options *o, unsigned rule)
{
    struct routing_options one = {.max_retention_days = NO_LIMIT};
    one.require_zero_data_retention = rule == 0 && o->require_zero_data_retention;
    one.require_no_training = rule == 1 && o->require_no_training;
    if (rule == 2)
        one.max_retention_days = o->max_retention_days;
    return one;
}

static bool met(const struct routing_options *o, const struct kt_config *config)
{
    for (size_t i = 0; i < config->providers.target_count; i++)
        if (!objection(o, &config->providers.targets[i]))
            return true;
    /* The host that the program means promises nothing. */
    static const struct kt_target origin = {.data_policy = {.retention_days = -1}};
    return config->providers.target_count == 0 && !objection(o, &origin);
}

/* Rules that no target meets: a call that always ends in the same way. */
static void routing_advise(const void *opts, const struct kt_advice *a)
{
    static const struct {
        const char *option, *promise;
    } rules[] = {{"require_zero_data_retention", "zero_data_retention: true"},
                 {"require_no_training", "training_opt_out: true"},
                 {"max_retention_days", "retention_days: <days>"}};
    const struct routing_options *o = opts;
    const char *end = o->on_no_compliant_provider == ROUTING_BLOCK ? "every call is blocked"
                                                                   : "every call goes out all the same";
    bool said = false;
    if (met(o, a->config))
        return;
    for (unsigned i = 0; i < KT_COUNT(rules); i++) {
        struct routing_options one = only(o, i);
        if (met(&one, a->config))
            continue;
        a->say(a, rules[i].option,
               "no target says that it does so, and %s; data_policy: {%s} at the targets that do", end,
               rules[i].promise);
        said = true;
    }
    if (!said)
        a->say(a, NULL, "no target meets all of these rules at once, and %s; see data_policy of each target",
               end);
}

const struct kt_policy kt_policy_data_routing = {
    .kind = "data-routing-policy",
    .help = "sends calls only to providers whose data policy is good enough",
    .reason_code = "data_routing.no_compliant_provider",
    .phases = KT_PHASE_REQUEST,
    .options = routing_option_table,
    .options_size = sizeof(struct routing_options),
    .admits = routing_admits,
    .admits_none_warns = routing_warns,
    .idle = routing_idle,
    .advise = routing_advise,
};
