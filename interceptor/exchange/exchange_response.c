/* SPDX-License-Identifier: Apache-2.0 */
/* A whole answer on its way back: response chain, values for their placeholders, the shape that the client
 * knows. */
#include "interceptor/exchange/kt_exchange_private.h"

#include "policyengine/base/kt_log.h"

#include <string.h>

bool kt_x_response_wanted(const struct kt_exchange *x)
{
    return x->parsed && x->rt->chain && kt_answer_has_text(x->chat.endpoint) &&
           (x->restorer || kt_chain_has_phase(x->rt->chain, KT_PHASE_RESPONSE));
}

/* ---- edits ---- */

struct collect {
    struct kt_exchange *x;
    const struct kt_redaction *redactions;
    size_t count, next;
    size_t segment;
    uint64_t changed[KT_ANSWER_MAX_CHOICES / 64]; /* by policies; a bit for each */
};

static KT_MUST kt_result edit(struct collect *c, size_t start, size_t end, struct kt_span with)
{
    return kt_chat_redact(&c->x->reply, &c->x->res.edits, c->segment, start, end, with.data, with.len);
}

/* What a policy redacted goes before what may be restored. */
static kt_result on_restore(void *arg, size_t start, size_t end, struct kt_span with)
{
    struct collect *c = arg;
    for (size_t i = c->next; i < c->count && c->redactions[i].segment == c->segment; i++) {
        const struct kt_redaction *r = &c->redactions[i];
        if (r->start >= end)
            break;
        if (r->end > start)
            return kt_ok();
    }
    return edit(c, start, end, with);
}

static KT_MUST kt_result edit_segment(struct collect *c, const struct kt_segment *s)
{
    struct kt_restore_text t = {.json = s->json};
    size_t hold;
    if (c->x->restorer)
        KT_GUARD(kt_restorer_scan(c->x->restorer, &t, s->text, s->len, 0, true, on_restore, c, &hold));
    for (; c->next < c->count && c->redactions[c->next].segment == c->segment; c->next++) {
        const struct kt_redaction *r = &c->redactions[c->next];
        KT_GUARD(edit(c, r->start, r->end, kt_span(r->text, r->len)));
        c->changed[s->choice / 64] |= 1ull << s->choice % 64;
    }
    return kt_ok();
}

static KT_MUST kt_result collect_edits(struct kt_exchange *x)
{
    struct collect c = {.x = x};
    if (x->res.run)
        c.redactions = kt_chain_run_redactions(x->res.run, &c.count);
    for (c.segment = 0; c.segment < x->reply.segment_count; c.segment++)
        KT_GUARD(edit_segment(&c, &x->reply.segments[c.segment]));
    KT_GUARD(kt_answer_drop_logprobs(&x->reply, c.changed, KT_ANSWER_MAX_CHOICES, x->res.run != NULL,
                                     &x->res.edits));
    return kt_x_translate_answer(x, &x->reply, &x->res.edits);
}

/* ---- the end of it ---- */

static void give(struct kt_exchange *x)
{
    if (x->mode == KT_X_PASS) { /* it went through as it came: observe mode */
        kt_x_origin_finish(x);
        return;
    }
    struct kt_span body = kt_buf_span(&x->answer);
    if (!kt_x_observe(x) && x->replied) {
        kt_buf_clear(&x->out_body);
        if (!kt_is_ok(collect_edits(x)) ||
            !kt_is_ok(kt_edits_apply(&x->res.edits, body.data, body.len, &x->out_body))) {
            /* What was to be taken out is never sent, whatever fail_mode says. */
            x->verdict = "error";
            x->reason_code = "policy_error";
            kt_x_refuse(x, 503, "policy_error", "policy_failed",
                        "ktwrap: the redacted answer could not be written");
            kt_x_reply_refusal(x);
            return;
        }
        body = kt_buf_span(&x->out_body);
    }
    if (kt_x_attempt_now(x) && kt_x_attempt_now(x)->target)
        kt_x_add_route_fields(x);
    kt_x_reply_kept(x, x->status, body);
}

static void give_or_refuse(struct kt_exchange *x)
{
    if (x->plan == KT_X_REFUSE)
        kt_x_reply_refusal(x);
    else
        give(x);
}

/* Of two outcomes with the same verdict: a finding weighs more than a failure, and that more than nothing. */
static int weight(const struct kt_outcome *o)
{
    return o->would > KT_VERDICT_ALLOW ? 3 : o->warned ? 2 : o->failed_open ? 1 : 0;
}

void kt_x_response_verdict(struct kt_exchange *x)
{
    if (!x->res.run)
        return;
    struct kt_outcome o = kt_chain_run_outcome(x->res.run), first = {.would = KT_VERDICT_ALLOW};
    if (x->req.run)
        first = kt_chain_run_outcome(x->req.run);
    if ((o.failed_open || o.internal_error || o.error_blocks) && !x->error)
        x->error = "policy_error";
    if (o.would < first.would || !weight(&o) || (o.would == first.would && weight(&o) <= weight(&first)))
        return;
    x->reason_code = o.reason_code;
    x->verdict = kt_verdict_name(o.verdict);
}

void kt_x_response_done(struct kt_exchange *x)
{
    struct kt_outcome o = kt_chain_run_outcome(x->res.run);
    kt_x_response_verdict(x);
    kt_x_phase_judge(x, &o, KT_PHASE_RESPONSE);
    give_or_refuse(x);
}

void kt_x_response_unreadable(struct kt_exchange *x, const char *why)
{
    x->error = "unreadable_answer";
    if (kt_x_unseen_passes(x, KT_PHASE_RESPONSE)) {
        kt_warn("an answer passes unchecked (fail_mode: allow, or mode: observe): %s", why);
        return;
    }
    x->verdict = "error";
    x->reason_code = "unreadable_answer";
    kt_x_refuse(x, 502, "policy_error", "unreadable_answer",
                "ktwrap: the policies cannot check the answer (%s), and %s is block", why,
                kt_x_fail_open(x) ? "on_internal_error" : "fail_mode");
}

void kt_x_respond(struct kt_exchange *x, struct kt_json *parsed)
{
    struct kt_error err = {KT_OK, ""};
    struct kt_span body = kt_buf_span(&x->answer);
    bool wanted = kt_x_response_wanted(x);
    if (wanted || (x->parsed && kt_x_answer_translated(x)))
        x->replied =
            kt_is_ok(parsed ? kt_answer_take(&x->reply, x->chat.endpoint, parsed, &err)
                            : kt_answer_parse(&x->reply, x->chat.endpoint, body.data, body.len, &err));
    if (wanted && !x->replied) {
        kt_x_response_unreadable(x, *err.text ? err.text : "out of memory");
        give_or_refuse(x);
        return;
    }
    if (!wanted || !kt_chain_has_phase(x->rt->chain, KT_PHASE_RESPONSE)) {
        give(x);
        return;
    }
    if (!kt_is_ok(kt_x_phase_begin(x, &x->res, KT_PHASE_RESPONSE, &x->reply))) {
        kt_x_chain_failed(x, KT_PHASE_RESPONSE);
        give_or_refuse(x);
        return;
    }
    if (kt_x_phase_run(x, &x->res, KT_STEP_DONE))
        kt_x_response_done(x);
    else
        kt_x_external_start(x);
}
