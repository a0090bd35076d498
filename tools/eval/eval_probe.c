/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/chain/kt_placeholders.h"
#include "tools/eval/kt_eval_probe.h"

#include <stdlib.h>
#include <string.h>

#define HITS_MAX ((size_t)1 << 22)
#define RESUMES_MAX 1000 /* a policy that asks for ever is broken */

struct eval_probe {
    const struct kt_policy *policy;
    const void *opts;
    void *instance;
};

kt_result eval_probe_new(const struct kt_policy *policy, const void *opts, struct eval_probe **out,
                         struct kt_error *err)
{
    *out = NULL;
    struct eval_probe *p = calloc(1, sizeof *p);
    if (!p)
        return kt_fail(err, KT_ERR_MEMORY, "out of memory");
    p->policy = policy;
    p->opts = opts;
    kt_result r = policy->init ? policy->init(opts, &p->instance, err) : kt_ok();
    if (r.code != KT_OK) {
        free(p);
        return r;
    }
    *out = p;
    return r;
}

void eval_probe_free(struct eval_probe *p)
{
    if (!p)
        return;
    if (p->policy->fini)
        p->policy->fini(p->instance);
    free(p);
}

/* ---- the sink ---- */

struct record {
    struct eval_found *found;
    struct kt_placeholders *names;
    const char *kind; /* label of what has none */
    const char *text;
    size_t len; /* of the text */
};

static void raise_verdict(struct eval_found *f, enum kt_verdict v)
{
    if (v > f->verdict)
        f->verdict = v;
}

static bool known(const struct eval_found *f, size_t start, size_t end)
{
    return f->count > 0 && f->hits[f->count - 1].start == start && f->hits[f->count - 1].end == end;
}

static void on_redact(struct kt_sink *s, size_t start, size_t end, const char *text, size_t len,
                      const char *label)
{
    struct record *r = s->chain;
    struct eval_found *f = r->found;
    (void)text, (void)len;
    if (start > end || end > r->len) {
        f->failed = true;
        return;
    }
    raise_verdict(f, KT_VERDICT_REDACT);
    if (start == end || known(f, start, end))
        return;
    if (f->count == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 16;
        struct eval_hit *grown = cap <= HITS_MAX ? realloc(f->hits, cap * sizeof *grown) : NULL;
        if (!grown) {
            f->failed = true;
            return;
        }
        f->hits = grown;
        f->cap = cap;
    }
    f->hits[f->count++] = (struct eval_hit){start, end, label ? label : r->kind};
}

static void on_match(struct kt_sink *s, const char *label)
{
    (void)s, (void)label; /* a finding alone changes nothing */
}

static void on_score(struct kt_sink *s, double score)
{
    struct record *r = s->chain;
    if (score > r->found->score)
        r->found->score = score;
}

static void on_stop(struct kt_sink *s, enum kt_verdict v, const char *reason_code, double score,
                    const char *message)
{
    struct record *r = s->chain;
    (void)reason_code, (void)message;
    on_score(s, score);
    raise_verdict(r->found, v);
}

static void on_hold(struct kt_sink *s, size_t offset)
{
    (void)s, (void)offset;
}

static kt_result on_leaves(struct kt_sink *s, size_t start, size_t end, struct kt_buf *out)
{
    const struct record *r = s->chain;
    return kt_buf_append(out, r->text + start, end - start); /* it goes nowhere */
}

static const char *on_placeholder(struct kt_sink *s, const char *kind, const char *value, size_t len,
                                  bool restore)
{
    struct record *r = s->chain;
    return kt_placeholders_name(r->names, kind, value, len, restore);
}

/* ---- one text ---- */

static enum kt_step settle(const struct eval_probe *p, void *state, enum kt_step step, struct kt_sink *s,
                           struct eval_found *f)
{
    for (int i = 0; step == KT_STEP_PENDING; i++) {
        f->outside = true;
        if (!p->policy->resume || i == RESUMES_MAX)
            return KT_STEP_ERROR;
        step = p->policy->resume(p->opts, p->instance, state, 0, kt_span("", 0), s);
    }
    return step;
}

static enum kt_step ask(const struct eval_probe *p, void *state, const struct kt_text *t, struct kt_sink *s,
                        struct eval_found *f)
{
    const struct kt_policy *policy = p->policy;
    enum kt_step step = KT_STEP_DONE;
    if (policy->text)
        step = settle(p, state, policy->text(p->opts, p->instance, state, t, s), s, f);
    if (step == KT_STEP_DONE && policy->leaving && f->verdict < KT_VERDICT_ESCALATE)
        step = settle(p, state, policy->leaving(p->opts, p->instance, state, t, t->len, s), s, f);
    if (step == KT_STEP_DONE && policy->end && f->verdict < KT_VERDICT_ESCALATE)
        step = settle(p, state, policy->end(p->opts, p->instance, state, s), s, f);
    return step;
}

static int by_place(const void *a, const void *b)
{
    const struct eval_hit *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

void eval_probe_text(const struct eval_probe *p, enum kt_origin_class from, const char *text, size_t len,
                     struct eval_found *out)
{
    out->count = 0;
    out->outside = false;
    out->verdict = KT_VERDICT_ALLOW;
    out->score = -1;
    struct record record = {out, kt_placeholders_new(), p->policy->kind, text, len};
    struct kt_sink sink = {.chain = &record,
                           .redact = on_redact,
                           .match = on_match,
                           .score = on_score,
                           .stop = on_stop,
                           .hold_from = on_hold,
                           .as_it_leaves = on_leaves,
                           .placeholder = on_placeholder};
    struct kt_text t = {.from = from, .data = text, .len = len, .final = true};
    void *state = NULL;
    out->failed = !record.names;
    if (p->policy->open && !out->failed)
        out->failed = p->policy->open(p->opts, p->instance, KT_PHASE_REQUEST, &state).code != KT_OK;
    if (!out->failed && ask(p, state, &t, &sink, out) == KT_STEP_ERROR)
        out->failed = true;
    if (state && p->policy->close)
        p->policy->close(state);
    kt_placeholders_free(record.names);
    if (!(out->score >= 0)) /* none, or not a number */
        out->score = out->verdict == KT_VERDICT_ALLOW ? 0 : 1;
    if (out->count > 1)
        qsort(out->hits, out->count, sizeof *out->hits, by_place);
}

void eval_found_free(struct eval_found *f)
{
    free(f->hits);
    *f = (struct eval_found){.hits = NULL};
}

/* ---- options ---- */

static const struct kt_option *option_of(const struct kt_policy *policy, const char *name,
                                         enum kt_opt_type type)
{
    for (const struct kt_option *o = policy->options; o && o->name; o++)
        if (o->type == type && strcmp(o->name, name) == 0)
            return o;
    return NULL;
}

/* The value with this index in "block|redact=mask|escalate", without its alias. */
static struct kt_span enum_value(const char *values, int index)
{
    for (; index > 0 && values; index--) {
        values = strchr(values, '|');
        values = values ? values + 1 : NULL;
    }
    return values ? kt_span(values, strcspn(values, "|=")) : kt_span("", 0);
}

bool eval_set_enum(const struct kt_policy *policy, void *opts, const char *option, const char *value)
{
    const struct kt_option *o = option_of(policy, option, KT_OPT_ENUM);
    for (int i = 0; o; i++) {
        struct kt_span one = enum_value(o->values, i);
        if (one.len == 0)
            return false;
        if (!kt_span_eq(one, value))
            continue;
        memcpy((char *)opts + o->offset, &i, sizeof i);
        return true;
    }
    return false;
}

const double *eval_option_float(const struct kt_policy *policy, const void *opts, const char *option)
{
    const struct kt_option *o = option_of(policy, option, KT_OPT_FLOAT);
    return o ? (const double *)(const void *)((const char *)opts + o->offset) : NULL;
}

bool eval_option_enum(const struct kt_policy *policy, const void *opts, const char *option, char out[32])
{
    const struct kt_option *o = option_of(policy, option, KT_OPT_ENUM);
    int index = 0;
    if (!o)
        return false;
    memcpy(&index, (const char *)opts + o->offset, sizeof index);
    struct kt_span one = enum_value(o->values, index);
    if (one.len == 0 || one.len >= 32)
        return false;
    memcpy(out, one.data, one.len);
    out[one.len] = '\0';
    return true;
}
