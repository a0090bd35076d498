/* SPDX-License-Identifier: Apache-2.0 */
/*
 * safety-filter: a high-precision lexicon of requests for help with harm. Not a classifier: what it does not
 * know passes; engine mistral-moderation asks one as well. System texts are not looked at (they are where
 * programs write what must not be done).
 */
#include "policyengine/policies/safety_filter.h"

#include "policyengine/base/kt_suggest.h"
#include "policyengine/config/kt_config.h"
#include "policyengine/detect/kt_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REASON "safety.detected"
#define MINOR 18u /* years */
#define CHILD 13u
#define CHILD_WEIGHT 45u

static bool is_category(const char *term)
{
    return safety_category_find(term) < KT_SAFE_CATEGORIES;
}

/* block_if adds to the mode: a category's name switches it on, everything else is a term. */
static kt_result read_block_if(const struct safety_options *o, struct safety_instance *in,
                               struct kt_error *err)
{
    size_t n = 0, bad = 0;
    KT_CLEANUP(kt_cleanup_free) char **terms = calloc(o->block_if.count + 1, sizeof *terms);
    KT_CLEANUP(kt_cleanup_free) size_t *index = calloc(o->block_if.count + 1, sizeof *index);
    KT_ENSURE(terms && index, KT_ERR_MEMORY);
    for (size_t i = 0; i < o->block_if.count; i++) {
        if (is_category(o->block_if.items[i]))
            in->rules.categories |= 1u << safety_category_find(o->block_if.items[i]);
        else {
            index[n] = i;
            terms[n++] = o->block_if.items[i]; /* borrowed */
        }
    }
    if (n == 0)
        return kt_ok();
    struct kt_error why = {0};
    unsigned distance = o->fuzzy_matching ? (unsigned)o->max_distance : 0;
    kt_result r = kt_wordlist_new(terms, n, distance, &in->terms, &why);
    if (!kt_is_ok(r) && sscanf(why.text, "term %zu", &bad) == 1 && bad >= 1 && bad <= n)
        return kt_fail(err, r.code, "safety-filter: block_if[%zu]: %s", index[bad - 1],
                       why.text + strcspn(why.text, " ") + 1 +
                           strspn(strchr(why.text, ' ') + 1, "0123456789: "));
    if (!kt_is_ok(r))
        return kt_fail(err, r.code, "safety-filter: block_if: %s", why.text[0] ? why.text : "out of memory");
    in->rules.terms = in->terms;
    return kt_ok();
}

/* The reader's age only means something where the reader is a pupil. */
static kt_result read_age(const struct safety_options *o, struct safety_instance *in, struct kt_error *err)
{
    if (o->max_age == 0)
        return kt_ok();
    if (o->mode != SAFETY_EDUCATION)
        return kt_fail(err, KT_ERR_USAGE,
                       "safety-filter: max_age works with mode: education only; set mode, or leave it out");
    if (o->max_age >= MINOR)
        in->rules.categories &= ~(1u << KT_SAFE_MATURE);
    if (o->max_age < CHILD)
        in->rules.weight = CHILD_WEIGHT;
    return kt_ok();
}

static kt_result check_moderation(const struct safety_options *o, struct kt_error *err)
{
    if (o->engine == SAFETY_LOCAL && (o->moderation_categories.count > 0 || o->moderation_target))
        return kt_fail(err, KT_ERR_USAGE,
                       "safety-filter: %s is for engine: mistral-moderation; set engine, or leave it out",
                       o->moderation_target ? "moderation_target" : "moderation_categories");
    for (size_t i = 0; i < o->moderation_categories.count; i++)
        if (!safety_moderation_knows(o->moderation_categories.items[i]))
            return kt_fail(err, KT_ERR_USAGE,
                           "safety-filter: moderation_categories: no category '%.40s'; one of %s",
                           o->moderation_categories.items[i], safety_moderation_categories);
    return kt_ok();
}

/* A check that can ask nobody would fail every call. */
static kt_result safety_check(const void *opts, const struct kt_config *config, struct kt_error *err)
{
    const struct safety_options *o = opts;
    struct kt_suggest near;
    char text[96];
    if (o->engine == SAFETY_LOCAL)
        return kt_ok();
    if (config->providers.target_count == 0)
        return kt_fail(
            err, KT_ERR_USAGE,
            "safety-filter: engine: mistral-moderation asks the API of a target, and there is none; "
            "add providers.targets, or use engine: local");
    if (!o->moderation_target)
        return kt_ok();
    kt_suggest_begin(&near, o->moderation_target);
    for (size_t i = 0; i < config->providers.target_count; i++) {
        const char *id = config->providers.targets[i].id;
        if (id && strcmp(id, o->moderation_target) == 0)
            return kt_ok();
        if (id)
            kt_suggest_try(&near, id, strlen(id));
    }
    const char *hint = kt_suggest_text(&near, text);
    return kt_fail(err, KT_ERR_USAGE, "safety-filter: moderation_target: no target has the id '%.60s'; %s",
                   o->moderation_target, hint ? hint : "it must be one of providers.targets");
}

static void safety_fini(void *instance)
{
    struct safety_instance *in = instance;
    if (in)
        kt_wordlist_free(in->terms);
    free(in);
}

static void instance_cleanup(struct safety_instance **in)
{
    safety_fini(*in);
}

static kt_result safety_init(const void *opts, void **instance, struct kt_error *err)
{
    const struct safety_options *o = opts;
    const struct kt_scan *scan = NULL;
    KT_GUARD(kt_scan_get(KT_SCAN_SAFETY, &scan, err));
    KT_CLEANUP(instance_cleanup) struct safety_instance *in = calloc(1, sizeof *in);
    if (!in)
        return kt_fail(err, KT_ERR_MEMORY, "out of memory");
    const struct safety_mode_def *mode = safety_mode_get(o->mode);
    in->rules = (struct kt_safety_rules){.categories = mode->categories, .weight = mode->weight};
    KT_GUARD(read_age(o, in, err));
    KT_GUARD(read_block_if(o, in, err));
    KT_GUARD(check_moderation(o, err));
    if (o->threshold > 0)
        in->rules.weight = (unsigned)(o->threshold * 100 + 0.999); /* a weight below is below the threshold */
    in->moderation = (struct safety_moderation_rules){&o->moderation_categories, o->threshold};
    *instance = KT_TAKE(in);
    return kt_ok();
}

static void safety_close(void *state)
{
    struct safety_state *s = state;
    safety_streams_close(s);
    safety_look_close(&s->whole);
    safety_moderation_free(&s->moderation);
    free(s);
}

static kt_result safety_open(const void *opts, void *instance, enum kt_phase phase, void **state)
{
    (void)opts, (void)instance, (void)phase;
    struct safety_state *s = calloc(1, sizeof *s);
    KT_ENSURE(s, KT_ERR_MEMORY);
    safety_moderation_init(&s->moderation);
    *state = s;
    return kt_ok();
}

static void stop(const struct safety_options *o, struct kt_sink *s, const char *label, double score)
{
    s->match(s, label);
    s->stop(s, o->action == SAFETY_BLOCK ? KT_VERDICT_BLOCK : KT_VERDICT_ESCALATE, REASON, score,
            "Blocked by policy safety-filter: the text asks for help with something harmful.");
}

/* True where the lexicon stopped the text. */
static bool report(const struct safety_options *o, const struct kt_safety_result *r, struct kt_sink *s)
{
    s->score(s, r->score);
    if (r->found == KT_SAFE_NONE)
        return false;
    stop(o, s, kt_safety_category_name(r->found), r->score);
    return true;
}

/* The provider gets what the rest of the chain lets out, never what it takes out. */
static bool put(struct safety_state *st, size_t start, size_t end, struct kt_sink *s)
{
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf text = KT_BUF_INIT(SAFETY_TEXT_MAX);
    return kt_is_ok(s->as_it_leaves(s, start, end, &text)) &&
           kt_is_ok(safety_moderation_add(&st->moderation, text.data, text.len));
}

static enum kt_step ask(const struct safety_options *o, struct safety_state *st, struct kt_sink *s)
{
    bool own = o->moderation_model && *o->moderation_model;
    const char *model = own ? o->moderation_model : SAFETY_MODERATION_MODEL;
    if (!kt_is_ok(safety_moderation_ask(&st->moderation, model)))
        return KT_STEP_ERROR;
    st->asks++;
    st->moderation.external.target = o->moderation_target;
    s->external = &st->moderation.external;
    return KT_STEP_PENDING;
}

/* A stream is asked about in growing pieces: an exchange has a maximum of outside checks. Nothing leaves
 * before it was asked about. */
static enum kt_step moderate_window(const struct safety_options *o, struct safety_state *st,
                                    const struct kt_text *t, size_t settled, struct kt_sink *s)
{
    struct safety_stream *p = safety_stream_of(st, t->segment);
    if (!p)
        return KT_STEP_ERROR;
    size_t from = p->asked > t->base ? p->asked : t->base;
    size_t step = (size_t)SAFETY_STREAM_STEP << (st->asks / 4 < 6 ? st->asks / 4 : 6);
    if (from >= settled || (!t->final && settled - from < step)) {
        s->hold_from(s, from);
        return KT_STEP_DONE;
    }
    p->asked = settled;
    return put(st, from, settled, s) ? ask(o, st, s) : KT_STEP_ERROR;
}

static bool is_looked_at(const struct kt_text *t)
{
    return t->from != KT_FROM_SYSTEM && t->from != KT_FROM_OFFER && t->from != KT_FROM_LABEL &&
           t->from != KT_FROM_NAME;
}

static enum kt_step safety_text(const void *opts, void *instance, void *state, const struct kt_text *t,
                                struct kt_sink *s)
{
    const struct safety_options *o = opts;
    const struct safety_instance *in = instance;
    struct safety_state *st = state;
    if (!is_looked_at(t))
        return KT_STEP_DONE;
    bool windowed = !t->final || t->base > 0;
    struct safety_stream *p = windowed ? safety_stream_of(st, t->segment) : NULL;
    struct safety_look *look = p ? &p->look : &st->whole;
    if (windowed && !p)
        return KT_STEP_ERROR;
    if (!windowed && !look->text && !kt_is_ok(safety_look_open(look)))
        return KT_STEP_ERROR;
    if (!windowed)
        safety_look_reset(look);
    const struct kt_unescape_window w = {t->data, t->len, t->base, t->final};
    struct kt_safety_result r;
    if (!kt_is_ok(safety_look_feed(look, &w, &in->rules, &r)))
        return KT_STEP_ERROR;
    if (!report(o, &r, s) && windowed)
        s->hold_from(s, look->held);
    if (p)
        p->over = t->final; /* `leaving` finds it still */
    return KT_STEP_DONE;
}

static enum kt_step safety_leaving(const void *opts, void *instance, void *state, const struct kt_text *t,
                                   size_t settled, struct kt_sink *s)
{
    const struct safety_options *o = opts;
    struct safety_state *st = state;
    (void)instance;
    if (o->engine == SAFETY_LOCAL || !is_looked_at(t))
        return KT_STEP_DONE;
    if (!t->leaves) /* all texts in one call, at the phase's end */
        return put(st, 0, t->len, s) ? KT_STEP_DONE : KT_STEP_ERROR;
    return moderate_window(o, st, t, settled, s);
}

static enum kt_step safety_end(const void *opts, void *instance, void *state, struct kt_sink *s)
{
    struct safety_state *st = state;
    (void)instance;
    return st->moderation.count > 0 ? ask(opts, st, s) : KT_STEP_DONE;
}

/* The provider's flags are its own thresholds: the score that is reported stands on the side of ours where
 * the verdict is. */
static double fitted(const struct safety_instance *in, const struct safety_moderation_finding *f)
{
    double bar = in->rules.weight / 100.0;
    if (in->moderation.threshold > 0)
        return f->score;
    return f->flagged ? (f->score > bar ? f->score : bar) : (f->score < bar ? f->score : bar - 0.01);
}

static enum kt_step safety_resume(const void *opts, void *instance, void *state, int status,
                                  struct kt_span body, struct kt_sink *s)
{
    const struct safety_options *o = opts;
    const struct safety_instance *in = instance;
    struct safety_state *st = state;
    struct safety_moderation_finding f;
    if (status != 200 || !kt_is_ok(safety_moderation_read(body, st->moderation.asked, &in->moderation, &f)))
        return KT_STEP_ERROR;
    s->score(s, fitted(in, &f));
    if (f.flagged)
        stop(o, s, f.category, fitted(in, &f));
    return f.flagged ? KT_STEP_DONE : safety_end(opts, instance, state, s);
}

#define OPTION(name_, type_) .name = #name_, .type = type_, .offset = offsetof(struct safety_options, name_)

static const struct kt_option safety_option_table[] = {
    {OPTION(mode, KT_OPT_ENUM), .def = "strict",
     .values = "standard|strict|critical_infrastructure|automotive|education|law_enforcement",
     .help = "standard: certain phrases only; strict: also less certain ones; critical_infrastructure, "
             "automotive and "
             "education: strict and their own categories; law_enforcement: standard and policing"},
    {OPTION(block_if, KT_OPT_STRING_LIST), .help = "adds to the mode: names of categories (weapons, malware, "
                                                   "self_harm, csam, violence, drugs, fraud, hate, "
                                                   "illegal, harassment, misinformation, infrastructure, "
                                                   "vehicles, academic, mature, policing) and terms of "
                                                   "your own, found as whole words in any case"},
    {OPTION(action, KT_OPT_ENUM), .def = "block", .values = "block|escalate",
     .help = "block the text, or stop it for a human to decide"},
    {OPTION(threshold, KT_OPT_FLOAT), .def = "0", .max = 1,
     .help =
         "stops from this score (0..1) on; 0 = the mode's own: 0.6, and 0.8 in standard and law_enforcement"},
    {OPTION(fuzzy_matching, KT_OPT_BOOL), .def = "false",
     .help = "terms of block_if are also found misspelt, one letter for every four of a word at most"},
    {OPTION(max_distance, KT_OPT_INT), .def = "1", .max = KT_WORDLIST_DISTANCE,
     .help = "letters of a word that may differ with fuzzy_matching"},
    {OPTION(max_age, KT_OPT_INT), .def = "0", .max = 120,
     .help =
         "mode education: age of the readers; from 18 on mature is allowed, below 13 also vague signs count "
         "(threshold 0.45); 0 = not said"},
    {OPTION(engine, KT_OPT_ENUM), .def = "local", .values = "local|mistral-moderation",
     .help = "mistral-moderation asks the target's /v1/moderations too, about what the local lexicon passes"},
    {OPTION(moderation_model, KT_OPT_STRING), .def = SAFETY_MODERATION_MODEL,
     .help = "model of /v1/moderations"},
    {OPTION(moderation_target, KT_OPT_STRING),
     .help = "id of the target whose API is asked; not set = the first target"},
    {OPTION(moderation_categories, KT_OPT_STRING_LIST),
     .help = "categories of the provider that stop a text; not set = all but pii, health, law and financial"},
    {.name = NULL},
};

/* A term that is nearly the name of a category was meant to be one. */
static void advise_category(const struct kt_advice *a, const char *term, size_t index)
{
    char option[32], near[96];
    struct kt_suggest s;
    kt_suggest_begin(&s, term);
    for (unsigned c = 0; c < KT_SAFE_CATEGORIES; c++)
        kt_suggest_try(&s, kt_safety_category_name(c), strlen(kt_safety_category_name(c)));
    const char *meant = kt_suggest_text(&s, near);
    snprintf(option, sizeof option, "block_if[%zu]", index);
    if (meant && s.best_distance <= 2)
        a->say(a, option, "is no category and taken as a word of your own; %s", meant);
}

static void safety_advise(const void *opts, const struct kt_advice *a)
{
    const struct safety_options *o = opts;
    bool terms = false;
    for (size_t i = 0; i < o->block_if.count; i++) {
        if (is_category(o->block_if.items[i]))
            continue;
        terms = true;
        advise_category(a, o->block_if.items[i], i);
    }
    if (o->fuzzy_matching && !terms)
        a->say(a, "fuzzy_matching", "is for terms of your own in block_if, and there are none; leave it out");
    if (!o->fuzzy_matching && a->written(a, "max_distance"))
        a->say(a, "max_distance", "has no effect without fuzzy_matching; fuzzy_matching: true");
    if (o->engine == SAFETY_LOCAL && a->written(a, "moderation_model"))
        a->say(a, "moderation_model", "has no effect with engine: local; engine: mistral-moderation");
    else if (o->moderation_model && !*o->moderation_model)
        a->say(a, "moderation_model", "is empty, " SAFETY_MODERATION_MODEL " is asked; leave it out");
}

const struct kt_policy kt_policy_safety_filter = {
    .kind = "safety-filter",
    .help =
        "stops plain requests for help with weapons, malware, violence, drugs, fraud, self-harm and abuse",
    .reason_code = REASON,
    .phases = KT_PHASE_REQUEST | KT_PHASE_RESPONSE,
    .options = safety_option_table,
    .options_size = sizeof(struct safety_options),
    .init = safety_init,
    .fini = safety_fini,
    .check = safety_check,
    .open = safety_open,
    .close = safety_close,
    .text = safety_text,
    .leaving = safety_leaving,
    .end = safety_end,
    .resume = safety_resume,
    .advise = safety_advise,
};
