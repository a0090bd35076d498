/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/chain/kt_boundary.h"
#include "policyengine/chain/kt_run_internal.h"

#include <stdlib.h>
#include <string.h>

/* What cannot start has failed like what fails later: the first call tells. */
static void open_policies(struct kt_chain_run *r)
{
    for (size_t i = 0; i < r->chain->count; i++) {
        const struct kt_chain_link *l = &r->chain->links[i];
        if (!(l->policy->phases & (unsigned)r->phase))
            continue;
        size_t at = r->at = r->count++;
        r->links[at] = l;
        r->results[at].kind = l->policy->kind;
        r->results[at].score = -1;
        r->policies[at].hold_from = SIZE_MAX; /* what looks at no text holds none back */
        r->results[at].skipped = l->policy->text || l->policy->tool || l->policy->end;
        if (l->policy->open &&
            l->policy->open(l->opts, l->instance, r->phase, &r->policies[at].state).code != KT_OK)
            kt_run_fail(r);
    }
    r->failed_before = r->failed_now;
}

static void run_cleanup(struct kt_chain_run **r)
{
    kt_chain_run_free(*r);
}

kt_result kt_chain_run_new(const struct kt_chain *c, enum kt_phase phase, bool dry,
                           struct kt_placeholders *names, struct kt_chain_run **out)
{
    *out = NULL;
    KT_CLEANUP(run_cleanup) struct kt_chain_run *r = calloc(1, sizeof *r);
    KT_ENSURE(r, KT_ERR_MEMORY);
    r->chain = c;
    r->phase = phase;
    r->dry = dry;
    r->names = names;
    if (!names)
        r->names = r->own_names = kt_placeholders_new();
    size_t n = c->count ? c->count : 1;
    r->links = calloc(n, sizeof(*r->links));
    r->policies = calloc(n, sizeof *r->policies);
    r->results = calloc(n, sizeof *r->results);
    KT_ENSURE(r->names && r->links && r->policies && r->results, KT_ERR_MEMORY);
    kt_run_sink_init(r);
    open_policies(r);
    *out = KT_TAKE(r);
    return kt_ok();
}

static void close_policies(struct kt_chain_run *r)
{
    for (size_t i = 0; i < r->count; i++) {
        if (r->policies[i].state && r->links[i]->policy->close)
            r->links[i]->policy->close(r->policies[i].state);
        r->policies[i].state = NULL;
        r->policies[i].out = true;
    }
}

void kt_chain_run_free(struct kt_chain_run *r)
{
    if (!r)
        return;
    close_policies(r);
    kt_placeholders_free(r->own_names);
    kt_redactions_free(&r->redactions);
    for (size_t i = 0; i < r->segment_count; i++)
        free(r->segments[i].json);
    free(r->segments);
    free(r->stop_message);
    free(r->results);
    free(r->policies);
    free(r->links);
    free(r);
}

static kt_result segment_ready(struct kt_chain_run *r, unsigned segment)
{
    KT_ENSURE(segment < KT_RUN_SEGMENTS_MAX, KT_ERR_LIMIT);
    if (segment >= r->segment_cap) {
        size_t cap = r->segment_cap ? r->segment_cap * 2 : 2;
        while (cap <= segment)
            cap *= 2;
        struct kt_run_segment *s = realloc(r->segments, cap * sizeof *s);
        KT_ENSURE(s, KT_ERR_MEMORY);
        r->segments = s;
        r->segment_cap = cap;
    }
    for (; r->segment_count <= segment; r->segment_count++)
        r->segments[r->segment_count] = (struct kt_run_segment){0};
    return kt_ok();
}

static bool halted(const struct kt_chain_run *r)
{
    return r->stopped && !r->dry;
}

/* The largest place <= `hold` that no redaction lies across, and no character: some policies count in bytes,
 * and half of a character in a piece of a stream is lost. */
static size_t uncut(const struct kt_chain_run *r, size_t hold)
{
    const struct kt_text *t = &r->text;
    for (size_t before = SIZE_MAX; hold < before && hold > t->base;) {
        before = hold = kt_redactions_cut(&r->redactions, r->segments[t->segment].first, t->segment, hold);
        if (hold > t->base)
            hold = t->base + kt_boundary_before(t->data, t->len, hold - t->base, kt_text_is_json(t));
    }
    return hold;
}

/* Where the part of the window ends that no policy holds and no redaction lies across. */
static size_t settled_to(struct kt_chain_run *r)
{
    size_t hold = r->text.base + r->text.len;
    if (r->text.final)
        return hold;
    for (size_t i = 0; i < r->count; i++)
        if (!r->policies[i].out && r->policies[i].hold_from < hold)
            hold = r->policies[i].hold_from;
    return uncut(r, kt_run_json_hold(r, uncut(r, hold)));
}

/* The chain itself failed: no policy saw what it should have, nor one with `on_internal_error: block`. */
static enum kt_step internal_error(struct kt_chain_run *r)
{
    r->internal_error = true;
    r->error_blocks |= kt_chain_error_blocks(r->chain, r->phase);
    return KT_STEP_ERROR;
}

/* What the caller may send on after a whole pass over the window. */
static void release(struct kt_chain_run *r)
{
    struct kt_run_segment *g = &r->segments[r->text.segment];
    if (r->redactions.count)
        kt_redactions_whole_numbers(&r->redactions, g->first, r->text.segment, g->released, r->text.data,
                                    r->text.len, r->text.base);
    size_t end = r->text.base + r->text.len, hold = settled_to(r);
    if (end > g->seen)
        g->seen = end;
    if (hold > g->released)
        g->released = hold;
    g->first = kt_redactions_live(&r->redactions, g->first, r->text.segment, g->released);
    if (!r->text.final && kt_run_json_keep(r).code != KT_OK)
        r->failed_now = internal_error(r) == KT_STEP_ERROR;
    if (r->text.final) { /* a stream may have any number of texts, one behind the other */
        free(g->json);
        g->json = NULL;
    }
}

/* Books what one slot of the policy at r->at took and answered. */
static void settle(struct kt_chain_run *r, uint64_t started, enum kt_step step)
{
    r->clock_ns = kt_now_mono_ns();
    r->results[r->at].time_ns += r->clock_ns - started;
    if (step == KT_STEP_ERROR)
        kt_run_fail(r);
    r->pending = step == KT_STEP_PENDING && !r->policies[r->at].out;
}

static enum kt_step ask_text(struct kt_chain_run *r, const struct kt_chain_link *l, struct kt_run_policy *p)
{
    size_t end = r->text.base + r->text.len, seen = r->segments[r->text.segment].seen;
    r->results[r->at].bytes += end > seen ? end - (seen > r->text.base ? seen : r->text.base) : 0;
    p->hold_from = SIZE_MAX;
    return l->policy->text(l->opts, l->instance, p->state, &r->text, &r->sink);
}

static bool has_slot(const struct kt_policy *p, enum kt_run_call call)
{
    return call == KT_RUN_TOOL      ? p->tool != NULL
           : call == KT_RUN_TEXT    ? p->text != NULL
           : call == KT_RUN_LEAVING ? p->leaving != NULL
                                    : p->end != NULL;
}

/* The clock is read once between two policies: what ends one begins the next. */
static void ask(struct kt_chain_run *r)
{
    const struct kt_chain_link *l = r->links[r->at];
    struct kt_run_policy *p = &r->policies[r->at];
    if (r->call == KT_RUN_TOOL && !l->policy->tool)
        return; /* it has seen nothing yet */
    r->results[r->at].skipped = false;
    if (!has_slot(l->policy, r->call)) {
        r->pending = false;
        return;
    }
    uint64_t started = r->clock_ns;
    enum kt_step step = KT_STEP_DONE;
    if (r->call == KT_RUN_TOOL)
        step = l->policy->tool(l->opts, l->instance, p->state, &r->tool, &r->sink);
    else if (r->call == KT_RUN_TEXT)
        step = ask_text(r, l, p);
    else if (r->call == KT_RUN_LEAVING)
        step = l->policy->leaving(l->opts, l->instance, p->state, &r->text, settled_to(r), &r->sink);
    else
        step = l->policy->end(l->opts, l->instance, p->state, &r->sink);
    settle(r, started, step);
}

/* Merging needs memory: where it fails, the caller has to hear it before it asks for the redactions, and then
 * nothing leaves: what was to be taken out never goes, whatever a setting says. A request of many whole
 * segments merges once, in `end`. */
static void merge(struct kt_chain_run *r)
{
    bool text = r->call == KT_RUN_TEXT || r->call == KT_RUN_LEAVING;
    bool whole = text && r->text.final && r->text.base == 0;
    if (whole || r->call == KT_RUN_TOOL || r->dry)
        return;
    struct kt_run_segment *g = text ? &r->segments[r->text.segment] : NULL;
    bool stream = g && r->phase == KT_PHASE_RESPONSE;
    kt_result done =
        stream ? kt_redactions_merge_from(&r->redactions, g->merged_first, r->text.segment, g->merged_from)
               : kt_redactions_merge(&r->redactions);
    if (done.code != KT_OK)
        r->error_blocks = r->lost = r->failed_now = true;
    else if (stream && !halted(r)) {
        g->merged_first = g->first;
        g->merged_from = g->released;
    }
}

/* From r->at to the end of the chain, a stop or a PENDING; false for the last. */
static bool pass(struct kt_chain_run *r)
{
    for (; r->at < r->count && !halted(r); r->at++) {
        if (r->policies[r->at].out)
            continue;
        ask(r);
        if (r->pending)
            return false;
    }
    return true;
}

/* What does not leave, or in a dry run would not, is not shown to the world outside. Where a policy has
 * failed, fail_mode decides behind us whether anything leaves: a request is shown at the phase's end, which
 * then does not come; an answer has the outside's own words. */
static bool may_be_shown(const struct kt_chain_run *r)
{
    return !r->stopped && !r->error_blocks && !(r->dry && r->internal_error);
}

/* Goes on from r->at to the end of the call. */
static enum kt_step proceed(struct kt_chain_run *r)
{
    r->clock_ns = kt_now_mono_ns();
    if (!pass(r))
        return KT_STEP_PENDING;
    if (r->call == KT_RUN_TEXT && r->phase == KT_PHASE_REQUEST && !halted(r) && kt_run_unite(r).code != KT_OK)
        r->failed_now = internal_error(r) == KT_STEP_ERROR;
    if (r->call == KT_RUN_TEXT && may_be_shown(r)) {
        r->call = KT_RUN_LEAVING;
        r->at = 0;
        if (!pass(r))
            return KT_STEP_PENDING;
    }
    if ((r->call == KT_RUN_TEXT || r->call == KT_RUN_LEAVING) && !halted(r))
        release(r);
    merge(r);
    /* Results and redactions outlive the end, until the answer is out; the policies' working memory need not.
     */
    if (r->call == KT_RUN_END)
        close_policies(r);
    return r->failed_now ? KT_STEP_ERROR : KT_STEP_DONE;
}

static enum kt_step begin(struct kt_chain_run *r, enum kt_run_call call)
{
    r->call = call;
    r->failed_now = r->failed_before;
    r->failed_before = false;
    r->at = 0;
    return proceed(r);
}

enum kt_step kt_chain_run_text(struct kt_chain_run *r, const struct kt_text *t)
{
    if (r->pending || segment_ready(r, t->segment).code != KT_OK)
        return internal_error(r);
    if (halted(r))
        return KT_STEP_DONE;
    r->text = *t;
    r->json_read = false;
    if (!r->segments[t->segment].seen)
        r->segments[t->segment].first = r->segments[t->segment].merged_first = r->redactions.count;
    return begin(r, KT_RUN_TEXT);
}

enum kt_step kt_chain_run_tool(struct kt_chain_run *r, const struct kt_tool *t)
{
    if (r->pending)
        return internal_error(r);
    if (halted(r))
        return KT_STEP_DONE;
    r->tool = *t;
    return begin(r, KT_RUN_TOOL);
}

enum kt_step kt_chain_run_end(struct kt_chain_run *r)
{
    return r->pending ? internal_error(r) : begin(r, KT_RUN_END);
}

const struct kt_external *kt_chain_run_external(const struct kt_chain_run *r)
{
    return r->pending ? r->sink.external : NULL;
}

/* The policy at r->at, which asked, comes to `step`. */
static enum kt_step go_on(struct kt_chain_run *r, uint64_t started, enum kt_step step)
{
    settle(r, started, step);
    if (r->pending)
        return KT_STEP_PENDING;
    r->at++;
    return proceed(r);
}

enum kt_step kt_chain_run_resume(struct kt_chain_run *r, int status, struct kt_span body)
{
    if (!r->pending)
        return internal_error(r);
    const struct kt_chain_link *l = r->links[r->at];
    uint64_t started = kt_now_mono_ns();
    enum kt_step step = KT_STEP_ERROR; /* a policy that asks must be able to take the answer */
    if (l->policy->resume)
        step = l->policy->resume(l->opts, l->instance, r->policies[r->at].state, status, body, &r->sink);
    return go_on(r, started, step);
}

enum kt_step kt_chain_run_give_up(struct kt_chain_run *r)
{
    return r->pending ? go_on(r, kt_now_mono_ns(), KT_STEP_ERROR) : internal_error(r);
}

enum kt_step kt_chain_run_pass_over(struct kt_chain_run *r)
{
    if (!r->pending)
        return internal_error(r);
    r->policies[r->at].out = r->results[r->at].skipped = true;
    r->pending = false;
    r->at++;
    return proceed(r);
}

bool kt_chain_run_stopped(const struct kt_chain_run *r)
{
    return halted(r);
}

size_t kt_chain_run_hold_from(const struct kt_chain_run *r, unsigned segment)
{
    return segment < r->segment_count ? r->segments[segment].released : 0;
}

const struct kt_redaction *kt_chain_run_redactions(struct kt_chain_run *r, size_t *count)
{
    *count = 0;
    if (r->dry)
        return NULL;
    if (kt_redactions_merge(&r->redactions).code != KT_OK) {
        r->error_blocks = r->lost = true;
        return NULL;
    }
    *count = r->redactions.merged_count;
    return r->redactions.merged;
}
