/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prompt-injection: scores every text of a request in 0..1 and stops the chain at `threshold`.
 *   user, assistant   threshold as configured
 *   tool results      85 % of it: foreign text has no business giving orders (indirect injection)
 *   system            never scored: the program's own words legitimately read like orders about rules and
 * roles tool calls        never scored: arguments that the model wrote, policed by agent-firewall
 */
#include "policyengine/detect/kt_injection.h"
#include "policyengine/detect/kt_scan.h"
#include "policyengine/policies/kt_policy.h"

#include <stdlib.h>

#define TOOL_STRICTER 0.85
#define WINDOW_WHOLE (64u << 10) /* a segment in windows is looked at whole up to here ... */
#define WINDOW_AGAIN (4u << 10)  /* ... and beyond it with this much shown again */

enum injection_action { INJECTION_BLOCK, INJECTION_ESCALATE };

struct injection_options {
    double threshold;
    int action;
};

static kt_result injection_init(const void *opts, void **instance, struct kt_error *err)
{
    const struct kt_scan *scan = NULL;
    (void)opts, (void)instance;
    return kt_scan_get(KT_SCAN_INJECTION, &scan, err); /* here, not in the middle of the first request */
}

static kt_result injection_open(const void *opts, void *instance, enum kt_phase phase, void **state)
{
    (void)opts, (void)instance, (void)phase;
    *state = kt_injection_new();
    return *state ? kt_ok() : kt_err(KT_ERR_MEMORY);
}

static void injection_close(void *state)
{
    kt_injection_free(state);
}

/* Windows are for answers; requests come whole. A segment that does come in windows waits until it is whole
 * or large. */
static bool wait_for_more(const struct kt_text *t, struct kt_sink *s)
{
    if (t->final)
        return false;
    bool wait = t->len < WINDOW_WHOLE;
    s->hold_from(s, wait ? t->base : t->base + t->len - WINDOW_AGAIN);
    return wait;
}

static void report(const struct injection_options *o, const struct kt_injection_result *found,
                   struct kt_sink *s)
{
    for (unsigned f = 0; f < KT_INJ_SCORED; f++)
        if (found->families & 1u << f)
            s->match(s, kt_injection_family_name((enum kt_injection_family)f));
    if (found->decoded)
        s->match(s, "decoded");
    s->stop(s, o->action == INJECTION_BLOCK ? KT_VERDICT_BLOCK : KT_VERDICT_ESCALATE,
            "prompt_injection.detected", found->score,
            "Blocked by policy prompt-injection: the text tries to override instructions.");
}

static enum kt_step injection_text(const void *opts, void *instance, void *state, const struct kt_text *t,
                                   struct kt_sink *s)
{
    (void)instance;
    const struct injection_options *o = opts;
    bool tool = t->from == KT_FROM_TOOL;
    if (t->from == KT_FROM_SYSTEM || t->from == KT_FROM_TOOL_CALL || wait_for_more(t, s))
        return KT_STEP_DONE;
    struct kt_injection_result found;
    if (kt_injection_score(state, t->data, t->len, tool, &found).code != KT_OK)
        return KT_STEP_ERROR;
    s->score(s, found.score);
    if (found.score > 0 && found.score >= o->threshold * (tool ? TOOL_STRICTER : 1))
        report(o, &found, s);
    return KT_STEP_DONE;
}

static const struct kt_option injection_options[] = {
    {.name = "threshold",
     .type = KT_OPT_FLOAT,
     .offset = offsetof(struct injection_options, threshold),
     .def = "0.8",
     .min = 0,
     .max = 1,
     .help = "score from which on a text is stopped; tool results are stopped from 85 % of it on"},
    {.name = "action",
     .type = KT_OPT_ENUM,
     .offset = offsetof(struct injection_options, action),
     .def = "block",
     .values = "block|escalate",
     .help = "block the request, or stop it for a human to decide"},
    {.name = NULL},
};

const struct kt_policy kt_policy_prompt_injection = {
    .kind = "prompt-injection",
    .help = "scores requests for attempts to override instructions, fake roles, extract prompts or jailbreak",
    .reason_code = "prompt_injection.detected",
    .phases = KT_PHASE_REQUEST,
    .options = injection_options,
    .options_size = sizeof(struct injection_options),
    .init = injection_init,
    .open = injection_open,
    .close = injection_close,
    .text = injection_text,
};
