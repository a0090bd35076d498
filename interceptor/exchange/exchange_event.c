/* SPDX-License-Identifier: Apache-2.0 */
/* The exchange's one audit event. */
#include "interceptor/exchange/kt_exchange_draft.h"
#include "interceptor/exchange/kt_exchange_trace.h"

#include "policyengine/base/kt_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void copy_span(char *out, size_t size, struct kt_span s)
{
    size_t n = s.len < size - 1 ? s.len : size - 1;
    memcpy(out, s.data ? s.data : "", n);
    out[n] = '\0';
}

/* Without the query: keys have been seen there. */
static void fill_request(const struct kt_exchange *x, struct kt_event *e, struct kt_x_draft *m)
{
    struct kt_span path = kt_x_path(x);
    const char *query = path.len ? memchr(path.data, '?', path.len) : NULL;
    if (query)
        path.len = (size_t)(query - path.data);
    copy_span(m->method, sizeof m->method, x->request.method);
    copy_span(m->path, sizeof m->path, path);
    bool v6 = strchr(x->host, ':') != NULL;
    snprintf(m->origin, sizeof m->origin, v6 ? "[%s]:%u" : "%s:%u", x->host, x->port);
    e->origin = m->origin;
    e->method = m->method;
    e->path = m->path;
    e->model = x->parsed ? x->chat.model : NULL;
    e->stream = x->parsed && x->chat.stream;
    e->lane = x->lane;
}

/* Made only where somebody asks: randomness costs a system call. */
static void fill_trace(struct kt_exchange *x, struct kt_event *e)
{
    const struct kt_config *c = x->rt->config;
    bool ours = c && (c->telemetry.otlp_endpoint || c->telemetry.propagate);
    if (!ours && !kt_request_header(&x->request, "traceparent").data)
        return;
    const struct kt_trace_ids *t = kt_x_trace(x);
    if (*t->parent_id || ours)
        e->trace_id = t->trace_id;
}

static void fill_labels(struct kt_event_policy *out, const struct kt_policy_result *in,
                        struct kt_event_label *labels)
{
    for (unsigned i = 0; i < in->labels_used; i++)
        labels[i] = (struct kt_event_label){in->labels[i], in->label_count[i]};
    out->labels = labels;
    out->label_count = in->labels_used;
}

/* Events of calls that no policy saw belong into the hash chain as well, or they could be taken out
 * unnoticed. */
static void keep_without_run(const struct kt_exchange *x, struct kt_event *e)
{
    struct kt_chain_run *run = NULL;
    if (!x->rt->chain || !kt_is_ok(kt_chain_run_new(x->rt->chain, KT_PHASE_REQUEST, true, NULL, &run)))
        return;
    struct kt_outcome o = kt_chain_run_outcome(run);
    e->immutable = o.immutable;
    e->retention_days = o.retention_days;
    kt_chain_run_free(run);
}

/* What a policy of data routing decided is known after its run only. */
static const char *verdict_of(const struct kt_exchange *x, const struct kt_policy_result *p)
{
    if (x->excluded_by && strcmp(x->excluded_by, p->kind) == 0)
        return x->excluded_warns ? "warn" : "block";
    return kt_policy_result_word(p);
}

/* A policy of data routing sees no text: its finding is the target that it does not admit. */
static void fill_excluded(struct kt_event_policy *out, const char *why, struct kt_event_label *label)
{
    *label = (struct kt_event_label){why, 1};
    out->labels = label;
    out->label_count = 1;
    out->matches = 1;
}

static void fill_run(const struct kt_exchange *x, const struct kt_outcome *o, const char *phase,
                     struct kt_event *e, struct kt_x_draft *m)
{
    const size_t per_policy = KT_COUNT(o->policies->labels);
    for (size_t i = 0; i < o->policy_count; i++) {
        const struct kt_policy_result *p = &o->policies[i];
        size_t at = e->policy_count++;
        m->policies[at] = (struct kt_event_policy){.kind = p->kind,
                                                   .phase = phase,
                                                   .verdict = verdict_of(x, p),
                                                   .score = p->score,
                                                   .matches = p->matches,
                                                   .time_us = p->time_ns / 1000,
                                                   .bytes = p->bytes};
        fill_labels(&m->policies[at], p, m->labels + at * per_policy);
        if (x->excluded_by && strcmp(x->excluded_by, p->kind) == 0)
            fill_excluded(&m->policies[at], x->excluded_why, m->labels + at * per_policy);
    }
}

static void fill_policies(struct kt_exchange *x, struct kt_event *e, struct kt_x_draft *m)
{
    if (!x->req.run) {
        keep_without_run(x, e);
        return;
    }
    struct kt_outcome req = kt_chain_run_outcome(x->req.run), res = {.would = KT_VERDICT_ALLOW};
    if (x->res.run)
        res = kt_chain_run_outcome(x->res.run);
    e->immutable = req.immutable;
    e->retention_days = req.retention_days;
    if (kt_x_observe(x))
        e->would_verdict = kt_verdict_name(res.would > req.would ? res.would : req.would);
    size_t n = req.policy_count + res.policy_count;
    m->policies = calloc(n + 1, sizeof *m->policies);
    m->labels = calloc(n * KT_COUNT(req.policies->labels) + 1, sizeof *m->labels);
    if (!m->policies || !m->labels)
        return;
    fill_run(x, &req, "request", e, m);
    fill_run(x, &res, "response", e, m);
    e->policies = m->policies;
}

static void fill_attempts(const struct kt_exchange *x, struct kt_event *e, struct kt_x_draft *m)
{
    for (size_t i = 0; i < x->attempt_count; i++) {
        const struct kt_x_attempt *a = &x->attempts[i];
        uint64_t end = a->end_ns ? a->end_ns : kt_now_mono_ns();
        const char *detail = a->library ? a->library : a->detail;
        m->attempts[i] = (struct kt_event_attempt){.target = a->target ? a->target->id : "origin",
                                                   .provider = a->target ? a->target->provider : NULL,
                                                   .model = a->model,
                                                   .status = a->status,
                                                   .outcome = a->outcome,
                                                   .detail = *detail ? detail : NULL,
                                                   .latency_ms = (end - a->start_ns) / 1000000u};
    }
    e->attempts = m->attempts;
    e->attempt_count = x->attempt_count;
    if (!x->attempt_count || !x->tries)
        return;
    const struct kt_event_attempt *last = &m->attempts[x->attempt_count - 1];
    e->target = last->target;
    e->provider = last->provider;
    e->upstream_model = last->model;
}

static void fill_usage(const struct kt_exchange *x, struct kt_event *e)
{
    e->cost_usd = -1;
    if (!x->usage.known)
        return;
    e->usage.known = true;
    e->usage.prompt_tokens = x->usage.prompt_tokens;
    e->usage.completion_tokens = x->usage.completion_tokens;
    e->usage.total_tokens = x->usage.total_tokens;
    e->usage.cached_tokens = x->usage.cached_tokens;
    int64_t money = kt_x_money(x);
    if (money >= 0)
        e->cost_usd = (double)money / KT_MONEY_PER_USD;
}

static void fill_stream(const struct kt_exchange *x, struct kt_event *e)
{
    const struct kt_x_stream *s = &x->stream;
    struct kt_x_count delivered = kt_x_delivered(x);
    e->streamed.known = (s->open && x->status == 200) || x->early;
    e->streamed.chunks = s->counts.read;
    e->streamed.delivered_chunks = delivered.chunks;
    e->streamed.delivered_bytes = delivered.bytes;
    e->streamed.held_bytes_max = s->held_max;
    e->streamed.tokens_per_s = kt_x_tokens_per_s(x);
    e->streamed.interruption = s->interruption;
}

static void fill_times(const struct kt_exchange *x, struct kt_event *e)
{
    uint64_t now = kt_now_mono_ns();
    e->timestamp_ns = x->real_ns;
    e->latency_ms = (now - x->mono_ns) / 1000000u;
    e->overhead_us = (x->overhead_ns + (x->depth ? now - x->entered_ns : 0)) / 1000u;
    e->has_ttft = x->first_byte_ns != 0;
    e->ttft_ms = e->has_ttft ? (x->first_byte_ns - x->mono_ns) / 1000000u : 0;
}

/* A blocked request was not redacted to its end, a dry run redacts nothing, and a policy that failed did not
 * look: then there is no redacted text to keep. */
static void fill_capture(struct kt_exchange *x, struct kt_event *e, struct kt_x_draft *m)
{
    int capture = x->rt->config ? x->rt->config->audit.capture : 0;
    if (!capture || !x->parsed || !x->req.run)
        return;
    struct kt_span body = kt_buf_span(&x->request.body);
    if (capture == 2) {
        e->capture_request = body.data;
        return;
    }
    struct kt_outcome o = kt_chain_run_outcome(x->req.run);
    bool seen = !o.failed_open && !o.internal_error && !o.error_blocks;
    bool redacted =
        seen && (o.would == KT_VERDICT_ALLOW || (o.would == KT_VERDICT_REDACT && !kt_x_observe(x)));
    if (redacted && x->reason_code && strcmp(x->reason_code, "policy_error") != 0 &&
        kt_is_ok(kt_edits_apply(&x->req.edits, body.data, body.len, &m->capture)))
        e->capture_request = m->capture.data;
}

static void fill(struct kt_exchange *x, struct kt_x_draft *m)
{
    struct kt_event *e = &m->e;
    memcpy(e->id, x->id, sizeof e->id);
    e->event_type = x->event_type;
    e->mode = kt_x_observe(x) ? "observe" : "enforce";
    e->verdict = x->verdict;
    e->reason_code = x->reason_code;
    e->message = x->message && *x->message ? x->message : NULL;
    e->status = x->status;
    e->error = x->error;
    if (x->rt->config) {
        e->config.name = x->rt->config->pack.name;
        e->config.version = x->rt->config->pack.version;
        e->config.sha256 = x->rt->config->sha256;
    }
    fill_request(x, e, m);
    fill_trace(x, e);
    fill_policies(x, e, m);
    fill_attempts(x, e, m);
    fill_usage(x, e);
    fill_times(x, e);
    fill_stream(x, e);
    fill_capture(x, e, m);
    kt_event_fill_app(e);
    kt_event_fill_program(e, x->program);
}

/* audit-logger's log_all_access: false. Only what no policy found anything in and went well may leave no
 * trace. */
static bool is_unwanted(struct kt_exchange *x)
{
    return x->req.run && !kt_chain_run_outcome(x->req.run).log_all_access &&
           strcmp(x->verdict, "allow") == 0 && strcmp(x->reason_code, "all_policies_passed") == 0 &&
           strcmp(x->event_type, "decision") == 0 && !x->error && x->status >= 200 && x->status < 300 &&
           !kt_x_observe(x);
}

static void tell(const struct kt_exchange *x, const struct kt_witness *w, const struct kt_event *e,
                 bool wanted, bool written)
{
    const struct kt_config *c = x->rt->config;
    const struct kt_seen seen = {.event = e,
                                 .latency_ns = kt_now_mono_ns() - x->mono_ns,
                                 .ttft_ns = x->first_byte_ns ? x->first_byte_ns - x->mono_ns : 0,
                                 .trace = &x->trace,
                                 .otlp_endpoint = c ? c->telemetry.otlp_endpoint : NULL,
                                 .service_name = c ? c->telemetry.service_name : NULL,
                                 .written = wanted && written,
                                 .lost = wanted && !written};
    w->exchange(w->arg, &seen);
}

bool kt_x_draft_begin(struct kt_exchange *x, struct kt_x_draft *d)
{
    d->x = x;
    d->wanted = !is_unwanted(x);
    if (!d->wanted && !x->ctx->witness.exchange)
        return false;
    d->policies = NULL;
    d->labels = NULL;
    d->capture = (struct kt_buf)KT_BUF_INIT(KT_X_MAX_RESPONSE * 2u);
    memset(&d->e, 0, sizeof d->e);
    fill(x, d);
    return true;
}

void kt_x_draft_end(struct kt_x_draft *d, kt_result written)
{
    const struct kt_witness *w = &d->x->ctx->witness;
    if (w->exchange)
        tell(d->x, w, &d->e, d->wanted, written.code == KT_OK);
    free(d->policies);
    free(d->labels);
    kt_buf_free(&d->capture);
}

void kt_x_recorded(struct kt_exchange *x, kt_result written, const struct kt_error *err)
{
    x->recorded = true;
    x->record_ok = kt_is_ok(written);
    kt_mark_clear(&x->mark);
    if (x->record_ok)
        return;
    kt_warn("an audit event was lost: %s", err->text);
    kt_state_event_lost(x->ctx->state);
    x->record_ok = kt_x_fail_open(x);
}

static kt_result append(struct kt_engine_ctx *ctx, struct kt_x_draft *d, struct kt_error *err)
{
    if (!d->wanted)
        return kt_ok();
    return ctx->audit ? kt_audit_append(ctx->audit, &d->e, err)
                      : kt_fail(err, KT_ERR_STATE, "%s", ctx->audit_error);
}

bool kt_x_record(struct kt_exchange *x)
{
    struct kt_error err = {KT_OK, ""};
    struct kt_x_draft d;
    kt_result r = kt_ok();
    if (x->recorded)
        return x->record_ok;
    if (kt_x_draft_begin(x, &d)) {
        r = append(x->ctx, &d, &err);
        kt_x_draft_end(&d, r);
    }
    kt_x_recorded(x, r, &err);
    return x->record_ok;
}
