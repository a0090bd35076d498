/* SPDX-License-Identifier: Apache-2.0 */
/* One phase of the chain over a whole body: its tools, its texts, the end. */
#include "interceptor/exchange/kt_exchange_private.h"

#include "policyengine/base/kt_log.h"

kt_result kt_x_phase_begin(struct kt_exchange *x, struct kt_x_phase *p, enum kt_phase phase,
                           const struct kt_chat *body)
{
    p->body = body;
    x->external_count = 0;
    KT_GUARD(kt_chain_run_new(x->rt->chain, phase, kt_x_observe(x), x->names, &p->run));
    kt_x_said_begin(x);
    return kt_ok();
}

void kt_x_phase_free(struct kt_x_phase *p)
{
    kt_chain_run_free(p->run);
    kt_edits_free(&p->edits);
    *p = (struct kt_x_phase){.run = NULL};
}

/* Where the call passes in spite of a policy that failed, the others have still to see the rest of it. */
static bool goes_on(const struct kt_exchange *x, const struct kt_x_phase *p, enum kt_step step)
{
    if (step != KT_STEP_ERROR)
        return step == KT_STEP_DONE;
    return kt_x_observe(x) || (kt_x_fail_open(x) && !kt_chain_run_outcome(p->run).error_blocks);
}

/* The texts of the body, and behind them those of an answer's choices that hold none. */
static struct kt_text next_text(struct kt_x_phase *p)
{
    unsigned at = (unsigned)p->next_segment++;
    if (at >= p->body->segment_count)
        return kt_answer_silence(at);
    at = (unsigned)kt_chat_nth(p->body, at);
    p->reached = at >= p->reached ? at + 1u : p->reached;
    const struct kt_segment *s = &p->body->segments[at];
    return (struct kt_text){
        .segment = at, .from = s->from, .plain = !s->json, .data = s->text, .len = s->len, .final = true};
}

static enum kt_step next_step(struct kt_x_phase *p)
{
    bool stopped = kt_chain_run_stopped(p->run);
    if (p->next_tool < p->body->tool_count && !stopped) {
        const struct kt_tool_name *n = &p->body->tools[p->next_tool++];
        struct kt_tool t = {.role = n->role, .choice = n->choice, .name = kt_span(n->name, n->len)};
        return kt_chain_run_tool(p->run, &t);
    }
    if (p->next_segment < p->body->segment_count + p->body->silent && !stopped) {
        struct kt_text t = next_text(p);
        return kt_chain_run_text(p->run, &t);
    }
    p->ended = true;
    return kt_chain_run_end(p->run);
}

bool kt_x_phase_run(struct kt_exchange *x, struct kt_x_phase *p, enum kt_step step)
{
    while (goes_on(x, p, step) && !p->ended)
        step = next_step(p);
    x->asking = step == KT_STEP_PENDING ? p : NULL;
    return !x->asking;
}

/* ---- what came out of it ---- */

static bool found_something(const struct kt_exchange *x)
{
    return (x->req.run && kt_chain_run_outcome(x->req.run).would > KT_VERDICT_ALLOW) ||
           (x->res.run && kt_chain_run_outcome(x->res.run).would > KT_VERDICT_ALLOW);
}

void kt_x_policy_failed(struct kt_exchange *x, const char *policy, enum kt_failed_by by)
{
    char message[256];
    x->error = "policy_error";
    if ((kt_x_fail_open(x) && by == KT_FAILED_BY_MODE) || kt_x_observe(x)) {
        if (!found_something(x)) /* which says more than who failed beside it */
            x->reason_code = "policy_error";
        kt_warn("%s%s failed; the call goes on (fail_mode: allow, or mode: observe)",
                policy ? "policy " : "the policy chain", policy ? policy : "");
        return;
    }
    x->verdict = "error";
    x->reason_code = "policy_error";
    kt_policy_failed_message(message, sizeof message, policy, by);
    kt_x_refuse_failed(x, policy, message);
}

bool kt_x_unseen_passes(const struct kt_exchange *x, enum kt_phase phase)
{
    return kt_x_observe(x) || (kt_x_fail_open(x) && !kt_chain_unseen_blocks(x->rt->chain, phase));
}

void kt_x_chain_failed(struct kt_exchange *x, enum kt_phase phase)
{
    bool blocks = kt_chain_error_blocks(x->rt->chain, phase);
    kt_x_policy_failed(x, NULL, blocks ? KT_FAILED_BY_ON_ERROR : KT_FAILED_BY_MODE);
}

void kt_x_phase_judge(struct kt_exchange *x, const struct kt_outcome *o, enum kt_phase phase)
{
    bool request = phase == KT_PHASE_REQUEST;
    if (o->verdict == KT_VERDICT_BLOCK || o->verdict == KT_VERDICT_ESCALATE) {
        const char *code = o->verdict == KT_VERDICT_ESCALATE ? "escalation_required"
                           : request                         ? "input_blocked"
                                                             : "output_blocked";
        const char *message = o->message && *o->message ? o->message
                              : request                 ? "the request was stopped by a policy"
                                                        : "the answer was stopped by a policy";
        kt_x_refuse_by_policy(x, (int)x->rt->config->block_status, code, o->policy, message);
    } else if (o->error_blocks || o->internal_error) {
        kt_x_policy_failed(x, o->failed, kt_outcome_failed_by(o));
    }
}
