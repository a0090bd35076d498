/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quality-scorer: deterministic assertions on answers. Every choice is scored on its own when it has ended.
 * To be able to stop an answer it must not have left: with streaming_mode buffered a stream is kept back
 * until then.
 */
#include "policyengine/policies/quality_scorer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REASON "quality.failed"
#define CHOICES_MAX 128u
#define TOO_LONG "too_long"

struct choice {
    unsigned segment;
    struct kt_buf text;
    size_t seen; /* absolute */
    bool done, too_long;
};

struct state {
    struct choice choices[CHOICES_MAX];
    size_t count;
    double lowest; /* score; < 0 = none yet */
};

/* ---- scoring ---- */

struct tally {
    double sum, weight, low, high;
    unsigned counted, failed; /* that decide */
    bool critical;
};

static void count_in(struct tally *t, const struct quality_assertion *a, double score, bool failed)
{
    t->sum += a->weight * score;
    t->weight += a->weight;
    if (a->severity == QUALITY_INFO)
        return;
    t->low = t->counted == 0 || score < t->low ? score : t->low;
    t->high = score > t->high ? score : t->high;
    t->counted++;
    t->failed += failed;
    t->critical = t->critical || (failed && a->severity == QUALITY_CRITICAL);
}

static double total(const struct tally *t, int strategy)
{
    double average = t->weight > 0 ? t->sum / t->weight : 1;
    if (strategy == QUALITY_AVERAGE || t->counted == 0)
        return average;
    return strategy == QUALITY_ANY ? t->high : t->low;
}

static bool passes(const struct tally *t, int strategy, double score, double threshold)
{
    if (t->critical)
        return false;
    if (strategy == QUALITY_ALL)
        return t->failed == 0;
    if (strategy == QUALITY_ANY)
        return t->counted == 0 || t->failed < t->counted;
    return score >= threshold;
}

static kt_result score_answer(const struct quality_options *o, const struct quality_instance *in,
                              struct kt_span text, struct kt_sink *s, double *score, bool *pass)
{
    struct quality_answer answer;
    struct tally t = {0};
    kt_result r = kt_ok();
    quality_answer_init(&answer, text.data, text.len);
    for (size_t i = 0; i < in->count && r.code == KT_OK; i++) {
        const struct quality_assertion *a = &in->assertions[i];
        double one = 0;
        r = a->type->check(a, &answer, &one);
        one = a->negate ? 1 - one : one;
        bool failed = one < a->threshold;
        if (r.code == KT_OK && failed)
            s->match(s, a->label);
        if (a->mode == QUALITY_ENFORCE)
            count_in(&t, a, failed ? one : 1, failed);
    }
    quality_answer_free(&answer);
    *score = total(&t, o->pass_policy.strategy);
    *pass = passes(&t, o->pass_policy.strategy, *score, in->threshold);
    return r;
}

static bool stops(const struct quality_options *o)
{
    return o->failure_action.action == QUALITY_BLOCK || o->failure_action.action == QUALITY_ESCALATE;
}

static void fail(const struct quality_options *o, double score, struct kt_sink *s)
{
    static const char message[] =
        "Blocked by policy quality-scorer: the answer does not meet the rules for answers.";
    bool own = o->failure_action.message && *o->failure_action.message;
    if (o->failure_action.action == QUALITY_WARN)
        s->match(s, REASON);
    if (stops(o))
        s->stop(s, o->failure_action.action == QUALITY_BLOCK ? KT_VERDICT_BLOCK : KT_VERDICT_ESCALATE, REASON,
                score, own ? o->failure_action.message : message);
}

/* A choice has ended. The policy's score is that of its worst choice, so it is told last. */
static enum kt_step judge(const struct quality_options *o, const struct quality_instance *in,
                          struct state *st, struct choice *c, struct kt_span text, struct kt_sink *s)
{
    double score = 0;
    bool pass = false;
    c->done = true;
    if (c->too_long)
        s->match(s, TOO_LONG);
    else if (!kt_is_ok(score_answer(o, in, text, s, &score, &pass)))
        return KT_STEP_ERROR;
    kt_buf_free(&c->text);
    if (st->lowest < 0 || score < st->lowest)
        st->lowest = score;
    if (!pass)
        fail(o, st->lowest, s);
    return KT_STEP_DONE;
}

/* ---- slots ---- */

static kt_result quality_open(const void *opts, void *instance, enum kt_phase phase, void **state)
{
    (void)opts, (void)instance, (void)phase;
    struct state *st = calloc(1, sizeof *st);
    KT_ENSURE(st, KT_ERR_MEMORY);
    st->lowest = -1;
    *state = st;
    return kt_ok();
}

static void quality_close(void *state)
{
    struct state *st = state;
    for (size_t i = 0; i < st->count; i++)
        kt_buf_wipe_free(&st->choices[i].text);
    free(st);
}

static struct choice *choice_of(struct state *st, unsigned segment)
{
    for (size_t i = st->count; i-- > 0;)
        if (st->choices[i].segment == segment)
            return &st->choices[i];
    if (st->count == CHOICES_MAX)
        return NULL;
    st->choices[st->count] = (struct choice){.segment = segment, .text = KT_BUF_INIT(QUALITY_ANSWER_MAX)};
    return &st->choices[st->count++];
}

/* Takes what was not seen before. */
static kt_result gather(struct choice *c, const struct kt_text *t)
{
    size_t skip = c->seen > t->base ? c->seen - t->base : 0;
    if (skip >= t->len || c->too_long)
        return kt_ok();
    c->seen = t->base + t->len;
    kt_result r = kt_buf_append(&c->text, t->data + skip, t->len - skip);
    c->too_long = r.code == KT_ERR_LIMIT;
    return c->too_long ? kt_ok() : r;
}

static enum kt_step quality_text(const void *opts, void *instance, void *state, const struct kt_text *t,
                                 struct kt_sink *s)
{
    const struct quality_options *o = opts;
    struct state *st = state;
    if (t->from != KT_FROM_ASSISTANT)
        return KT_STEP_DONE;
    struct choice *c = choice_of(st, t->segment);
    if (!c || c->done)
        return c ? KT_STEP_DONE : KT_STEP_ERROR;
    if (t->final && t->base == 0) {
        c->too_long = t->len > QUALITY_ANSWER_MAX;
        return judge(o, instance, st, c, kt_span(t->data, t->len), s);
    }
    if (!kt_is_ok(gather(c, t)))
        return KT_STEP_ERROR;
    if (t->final)
        return judge(o, instance, st, c, kt_buf_span(&c->text), s);
    if (stops(o) && o->streaming_mode == QUALITY_BUFFERED)
        s->hold_from(s, 0);
    return KT_STEP_DONE;
}

/* An answer that broke off is judged as far as it came. */
static enum kt_step quality_end(const void *opts, void *instance, void *state, struct kt_sink *s)
{
    struct state *st = state;
    for (size_t i = 0; i < st->count; i++)
        if (!st->choices[i].done &&
            judge(opts, instance, st, &st->choices[i], kt_buf_span(&st->choices[i].text), s) == KT_STEP_ERROR)
            return KT_STEP_ERROR;
    if (st->lowest >= 0)
        s->score(s, st->lowest);
    return KT_STEP_DONE;
}

/* ---- options ---- */

#define ENTRY(name_, type_) .name = #name_, .type = type_, .offset = offsetof(struct quality_entry, name_)
#define OPTION(name_, type_) .name = #name_, .type = type_, .offset = offsetof(struct quality_options, name_)
#define MEMBER(of, name_, type_)                                                                             \
    .name = #name_, .type = type_, .offset = offsetof(struct quality_options, of.name_)

static const struct kt_option entry_table[] = {
    {ENTRY(type, KT_OPT_STRING), .required = true,
     .help =
         "contains, contains-any, contains-all, starts-with, ends-with, equals, regex, is-json, json-schema, "
         "[min-|max-]length, [min-|max-]words (word-count is words), [min-|max-]sentences, language, "
         "refusal, "
         "repetition (holds where the text does not repeat itself), not-empty, markdown; each with not- in "
         "front"},
    {ENTRY(name, KT_OPT_STRING), .help = "label of a failure in the event; default: the type"},
    {ENTRY(value, KT_OPT_JSON),
     .help = "a text, a list of texts, a number, {min, max} or a JSON schema (all but $ref, some formats and "
             "conditions), by type"},
    {ENTRY(threshold, KT_OPT_FLOAT), .def = "0", .max = 1,
     .help = "share from which on contains-all holds (0..1); 0 = all"},
    {ENTRY(weight, KT_OPT_FLOAT), .def = "1.0", .max = 10, .help = "in the average"},
    {ENTRY(enabled, KT_OPT_BOOL), .def = "true", .help = "false: as if it were not there"},
    {ENTRY(mode, KT_OPT_ENUM), .def = "enforce", .values = "enforce|audit|shadow",
     .help = "enforce: counts; audit: a failure shows in the event only; shadow: the same, marked shadow:"},
    {ENTRY(severity, KT_OPT_ENUM), .def = "warning", .values = "critical|warning|info",
     .help = "critical: its failure fails the answer; info: counts in the average, never in all, any or min"},
    {ENTRY(negate, KT_OPT_BOOL), .def = "false", .help = "holds where it would not"},
    {ENTRY(case_sensitive, KT_OPT_BOOL), .def = "true", .help = "of texts and expressions"},
    {.name = NULL},
};

static const struct kt_option pass_table[] = {
    {MEMBER(pass_policy, strategy, KT_OPT_ENUM), .def = "weighted_average",
     .values = "weighted_average|all|any|min",
     .help = "weighted_average and min: that score reaches the threshold; all, any: so many assertions hold"},
    {MEMBER(pass_policy, threshold, KT_OPT_FLOAT), .def = "0.7", .max = 1,
     .help = "score (0..1) that passes; ours"},
    {.name = NULL},
};

static const struct kt_option failure_table[] = {
    {MEMBER(failure_action, action, KT_OPT_ENUM), .def = "block", .values = "block|escalate|warn|log",
     .help = "block or hold the answer for a human; warn marks the event quality.failed, log shows failed "
             "labels only"},
    {MEMBER(failure_action, message, KT_OPT_STRING),
     .help = "what the client reads; default: a sentence of ours"},
    {.name = NULL},
};

static const struct kt_option option_table[] = {
    {OPTION(assertions, KT_OPT_TABLE_LIST), .table = entry_table, .item_size = sizeof(struct quality_entry),
     .help = "what answers must be like"},
    {OPTION(min_output_chars, KT_OPT_INT), .def = "0", .max = QUALITY_ANSWER_MAX,
     .help = "characters; critical"},
    {OPTION(min_sentences, KT_OPT_INT), .def = "0", .max = 1e6, .help = "sentences; critical"},
    {OPTION(thresholds, KT_OPT_FLOAT_MAP), .max = 1, .help = "min_aggregate: the score must reach that, too"},
    {OPTION(weights, KT_OPT_FLOAT_MAP), .max = 10,
     .help = "by name or type of an assertion; wins over its weight"},
    {.name = "pass_policy", .type = KT_OPT_TABLE, .table = pass_table, .help = "when an answer passes"},
    {.name = "failure_action",
     .type = KT_OPT_TABLE,
     .table = failure_table,
     .help = "what happens when it does not"},
    {OPTION(streaming_mode, KT_OPT_ENUM), .def = "buffered", .values = "buffered|realtime",
     .help = "buffered: a stream that may be stopped is kept back until its end; realtime: it leaves at "
             "once, and a "
             "failure ends it with an error"},
    {.name = NULL},
};

static const char *quality_idle(const void *opts, const void *instance)
{
    const struct quality_options *o = opts;
    const struct quality_instance *q = instance;
    return q->count || o->min_output_chars || o->min_sentences
               ? NULL
               : "set assertions that are enabled, min_output_chars or min_sentences";
}

static void quality_advise(const void *opts, const struct kt_advice *a)
{
    const struct quality_options *o = opts;
    bool counts = o->pass_policy.strategy == QUALITY_ALL || o->pass_policy.strategy == QUALITY_ANY;
    bool quiet = o->failure_action.action == QUALITY_WARN || o->failure_action.action == QUALITY_LOG;
    char option[64];
    if (counts && a->written(a, "pass_policy.threshold"))
        a->say(a, "pass_policy.threshold", "has no effect with this strategy; use weighted_average or min");
    if (counts && a->written(a, "thresholds.min_aggregate"))
        a->say(a, "thresholds.min_aggregate",
               "has no effect with this pass_policy.strategy; use weighted_average or min");
    if (quiet && o->failure_action.message)
        a->say(a, "failure_action.message",
               "no client reads it, since this action lets answers pass; leave it out");
    else if (o->failure_action.message && !*o->failure_action.message)
        a->say(a, "failure_action.message", "is empty, the usual sentence is said; leave it out");
    for (size_t i = 0; i < o->assertions.count; i++) {
        const struct quality_entry *e = &((const struct quality_entry *)o->assertions.items)[i];
        snprintf(option, sizeof option, "assertions[%zu].weight", i);
        if (e->enabled && e->mode == QUALITY_ENFORCE && !(e->weight > 0) && e->severity != QUALITY_CRITICAL)
            a->say(a, option, "with 0 it counts in no average; mode: audit says the same in plain words");
    }
}

const struct kt_policy kt_policy_quality_scorer = {
    .kind = "quality-scorer",
    .help = "checks answers by deterministic assertions: texts, expressions, JSON schema, lengths, refusal, "
            "repetition",
    .reason_code = REASON,
    .phases = KT_PHASE_RESPONSE,
    .options = option_table,
    .options_size = sizeof(struct quality_options),
    .init = quality_init,
    .fini = quality_fini,
    .open = quality_open,
    .close = quality_close,
    .text = quality_text,
    .end = quality_end,
    .idle = quality_idle,
    .advise = quality_advise,
};
