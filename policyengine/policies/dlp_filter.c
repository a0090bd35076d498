/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dlp-filter: keeps secrets, a user's own terms and patterns, and classification marks in, by placeholders or
 * by a block. Several detectors look at the same windows, each with its own hold: what they find is dealt
 * with in the order of the text, once no detector can find anything in front of it.
 */
#include "policyengine/policies/dlp_filter.h"

#include "policyengine/detect/kt_pattern_cache.h"
#include "policyengine/detect/kt_pii_fold.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum dlp_action { DLP_REDACT, DLP_BLOCK };

#define STREAMS_MAX 4096u   /* segments in windows that go on */
#define PENDING_MAX 262144u /* finds in one window */

struct find {
    size_t start, end;
    const char *label;
    enum dlp_what what;
    double score;
};

struct segment {
    struct dlp_stream look;
    struct find *finds; /* owned; not yet dealt with */
    size_t count, cap;
    size_t done; /* end of the last one that was */
    /* Tool-call arguments are JSON source: what lies across its structure cannot be replaced. */
    size_t json_at;
    bool in_string, escaped;
};

struct dlp_state {
    struct segment **segments; /* owned */
    size_t count, cap;
};

struct window {
    const struct dlp_options *o;
    const struct kt_text *t;
    struct kt_sink *s;
    struct segment *g;
    bool failed, stopped;
};

static kt_result dlp_init(const void *opts, void **instance, struct kt_error *err)
{
    struct dlp_lists *l = NULL;
    KT_GUARD(dlp_lists_new(opts, &l, err));
    *instance = l;
    return kt_ok();
}

static void dlp_fini(void *instance)
{
    dlp_lists_free(instance);
}

static kt_result dlp_open(const void *opts, void *instance, enum kt_phase phase, void **state)
{
    (void)opts, (void)instance, (void)phase;
    *state = calloc(1, sizeof(struct dlp_state));
    return *state ? kt_ok() : kt_err(KT_ERR_MEMORY);
}

static void segment_free(struct segment *g)
{
    dlp_stream_free(&g->look);
    free(g->finds);
}

static void dlp_close(void *state)
{
    struct dlp_state *s = state;
    for (size_t i = 0; i < s->count; i++) {
        segment_free(s->segments[i]);
        free(s->segments[i]);
    }
    free(s->segments);
    free(s);
}

/* The segment, made where there is none. NULL on OOM or past the limit. */
static struct segment *segment_of(struct dlp_state *s, unsigned number)
{
    for (size_t i = s->count; i-- > 0;)
        if (s->segments[i]->look.segment == number)
            return s->segments[i];
    if (s->count == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 4;
        struct segment **grown = cap <= STREAMS_MAX ? realloc(s->segments, cap * sizeof(*grown)) : NULL;
        if (!grown)
            return NULL;
        s->segments = grown;
        s->cap = cap;
    }
    struct segment *one = calloc(1, sizeof *one);
    if (!one)
        return NULL;
    one->look.segment = number;
    s->segments[s->count++] = one;
    return one;
}

/* Nothing more comes of it. */
static void forget(struct dlp_state *s, const struct segment *g)
{
    for (size_t i = s->count; i-- > 0;)
        if (s->segments[i] == g) {
            segment_free(s->segments[i]);
            free(s->segments[i]);
            s->segments[i] = s->segments[--s->count];
            return;
        }
}

static void on_find(void *ctx, enum dlp_what what, const char *label, double score, size_t start, size_t end)
{
    struct window *w = ctx;
    struct segment *g = w->g;
    if (g->count == g->cap) {
        size_t cap = g->cap ? g->cap * 2 : 16;
        struct find *grown = cap <= PENDING_MAX ? realloc(g->finds, cap * sizeof *grown) : NULL;
        if (!grown) {
            w->failed = true;
            return;
        }
        g->finds = grown;
        g->cap = cap;
    }
    g->finds[g->count++] = (struct find){start, end, label, what, score};
}

static int by_place(const void *left, const void *right)
{
    const struct find *a = left, *b = right;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    if (a->end != b->end)
        return a->end > b->end ? -1 : 1;
    return (int)a->what - (int)b->what;
}

/* Follows the JSON strings of the text up to `to` (absolute). */
static void follow_json(struct segment *g, const struct kt_text *t, size_t to)
{
    if (g->json_at < t->base)
        g->json_at = t->base;
    for (; g->json_at < to; g->json_at++) {
        char c = t->data[g->json_at - t->base];
        if (g->escaped)
            g->escaped = false;
        else if (c == '\\')
            g->escaped = g->in_string;
        else if (c == '"')
            g->in_string = !g->in_string;
    }
}

/* The range of JSON source is not of one string, number or word. */
static bool across(struct window *w, size_t start, size_t end)
{
    const struct kt_text *t = w->t;
    follow_json(w->g, t, start);
    bool inside = w->g->in_string, escaped = w->g->escaped;
    for (size_t i = start - t->base; i < end - t->base; i++) {
        char c = t->data[i];
        if (!escaped && (c == '"' || (!inside && strchr("{}[],:", c))))
            return true;
        escaped = !escaped && inside && c == '\\';
    }
    return false;
}

static void stop(struct window *w, const struct find *f, const char *why)
{
    static const char *const whats[] = {"a secret", "a blocked term", "a classification mark",
                                        "a blocked pattern"};
    char message[160];
    snprintf(message, sizeof message, "Blocked by policy dlp-filter: the text holds %s%s.", whats[f->what],
             why);
    w->s->match(w->s, f->label);
    w->s->stop(w->s, KT_VERDICT_BLOCK, "dlp.detected", f->score, message);
    w->stopped = true;
}

/* With escapes in it or without, a value has one name. */
static const char *name_for(struct window *w, const char *kind, const char *value, size_t len)
{
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf plain = KT_BUF_INIT(SIZE_MAX / 4);
    if (!memchr(value, '\\', len))
        return w->s->placeholder(w->s, kind, value, len, false);
    if (kt_pii_decode_json(value, len, &plain).code != KT_OK)
        return NULL;
    return w->s->placeholder(w->s, kind, plain.data, plain.len, false);
}

static void redact(struct window *w, const struct find *f, size_t start)
{
    static const char *const kinds[] = {"SECRET", "TERM", "CLASSIFICATION", "PATTERN"};
    const struct kt_text *t = w->t;
    if (kt_text_is_json(t) && across(w, start, f->end)) {
        stop(w, f, " across the structure of a tool call's arguments, where it cannot be replaced");
        return;
    }
    const char *name = name_for(w, kinds[f->what], t->data + (start - t->base), f->end - start);
    if (!name) {
        w->failed = true;
        return;
    }
    w->s->redact(w->s, start, f->end, name, strlen(name), f->label);
    w->s->score(w->s, f->score);
}

static void deal_with(struct window *w, const struct find *f)
{
    size_t start = f->start > w->g->done ? f->start : w->g->done;
    if (start >= f->end)
        return; /* inside of one in front of it */
    w->g->done = f->end;
    if (w->o->action == DLP_BLOCK)
        stop(w, f, "");
    else
        redact(w, f, start);
}

/* Nothing can be found any more that starts in front of `sure`. */
static void settle(struct window *w, size_t sure)
{
    struct segment *g = w->g;
    size_t n = 0;
    if (g->count == 0)
        return;
    if (g->count > 1)
        qsort(g->finds, g->count, sizeof *g->finds, by_place);
    while (n < g->count && g->finds[n].start < sure && !w->stopped)
        deal_with(w, &g->finds[n++]);
    memmove(g->finds, g->finds + n, (g->count - n) * sizeof *g->finds);
    g->count -= n;
}

static enum kt_step dlp_text(const void *opts, void *instance, void *state, const struct kt_text *t,
                             struct kt_sink *s)
{
    struct segment whole = {.look = {.segment = t->segment}};
    bool windowed = !t->final || t->base > 0;
    struct segment *g = windowed ? segment_of(state, t->segment) : &whole;
    if (!g)
        return KT_STEP_ERROR;
    struct window w = {.o = opts, .t = t, .s = s, .g = g};
    size_t hold = t->base + t->len;
    kt_result r = dlp_look(opts, instance, &g->look, t, on_find, &w, &hold);
    if (r.code == KT_OK && !w.failed)
        settle(&w, t->final ? SIZE_MAX : hold);
    if (kt_text_is_json(t) && !t->final)
        follow_json(g, t, hold);
    if (!windowed)
        segment_free(&whole);
    else if (t->final)
        forget(state, g);
    s->hold_from(s, hold);
    return r.code == KT_OK && !w.failed ? KT_STEP_DONE : KT_STEP_ERROR;
}

#define OFFSET(member) offsetof(struct dlp_options, member)

static const struct kt_option dlp_option_table[] = {
    {.name = "secrets",
     .type = KT_OPT_BOOL,
     .offset = OFFSET(secrets),
     .def = "true",
     .help = "look for keys, tokens, passwords and private keys"},
    {.name = "detect_patterns",
     .type = KT_OPT_STRING_LIST,
     .offset = OFFSET(detect_patterns),
     .help = "regular expressions of your own (PCRE syntax without look-around and back-references; on "
             "characters, \\w \\d and \\b know ASCII; the longest match is taken, also of lazy repeats as in "
             "a.+?b: "
             "write a[^b]+b; in streams up to 512 bytes a match); found in JSON source as well"},
    {.name = "blocked_terms",
     .type = KT_OPT_STRING_LIST,
     .offset = OFFSET(blocked_terms),
     .help = "words and phrases of your own: whole words, without case, accents and look-alike letters, in "
             "JSON source as well"},
    {.name = "fuzzy_matching",
     .type = KT_OPT_BOOL,
     .offset = OFFSET(fuzzy_matching),
     .def = "false",
     .help = "blocked_terms also stand for words that differ by a few letters"},
    {.name = "max_distance",
     .type = KT_OPT_INT,
     .offset = OFFSET(max_distance),
     .def = "1",
     .min = 0,
     .max = KT_TERM_DISTANCE,
     .help = "by how many letters at most; never more than one for every four of a word"},
    {.name = "sensitivity_level",
     .type = KT_OPT_ENUM,
     .offset = OFFSET(sensitivity_level),
     .def = "standard",
     .values = "standard|high|restricted",
     .help = "high adds classification marks (en, fr, de, es, it) and the less certain secrets, restricted "
             "also single "
             "words such as CONFIDENTIAL"},
    {.name = "action",
     .type = KT_OPT_ENUM,
     .offset = OFFSET(action),
     .def = "redact",
     .values = "redact|block",
     .help = "replace what is found by a placeholder such as [SECRET_1], or block the text"},
    {.name = NULL},
};

static const char *dlp_idle(const void *opts, const void *instance)
{
    const struct dlp_options *o = opts;
    (void)instance;
    return o->secrets || o->blocked_terms.count || o->detect_patterns.count ||
                   o->sensitivity_level > DLP_STANDARD
               ? NULL
               : "set secrets: true, blocked_terms or detect_patterns";
}

static bool has_letter(const char *term)
{
    for (const unsigned char *c = (const unsigned char *)term; *c; c++)
        if (*c >= 0x80 || (*c >= '0' && *c <= '9') || ((*c | 0x20) >= 'a' && (*c | 0x20) <= 'z'))
            return true;
    return false;
}

static void dlp_advise(const void *opts, const struct kt_advice *a)
{
    const struct dlp_options *o = opts;
    char option[64];
    for (size_t i = 0; i < o->blocked_terms.count; i++) {
        snprintf(option, sizeof option, "blocked_terms[%zu]", i);
        if (!has_letter(o->blocked_terms.items[i]))
            a->say(a, option,
                   "is signs only, and that row of signs is what is found; letters or digits make a word");
    }
    for (size_t i = 0; i < o->detect_patterns.count; i++) {
        snprintf(option, sizeof option, "detect_patterns[%zu]", i);
        if (kt_pattern_lazy(o->detect_patterns.items[i]))
            a->say(
                a, option,
                "has a lazy repeat, as in .*?, and a match is the longest all the same: all of \"<b>x</b> y "
                "<b>z</b>\" for <b>.*?</b>; name what may stand there, as in <b>[^<]*</b>");
    }
    if (o->fuzzy_matching && o->blocked_terms.count == 0)
        a->say(a, "fuzzy_matching", "is for blocked_terms, and there are none; add some or leave it out");
    if (o->fuzzy_matching && o->max_distance == 0)
        a->say(a, "max_distance", "with 0 no letter may differ: fuzzy_matching has no effect; 1 or 2");
    if (!o->fuzzy_matching && a->written(a, "max_distance"))
        a->say(a, "max_distance", "has no effect without fuzzy_matching; fuzzy_matching: true");
}

const struct kt_policy kt_policy_dlp_filter = {
    .kind = "dlp-filter",
    .help = "keeps secrets, your own terms and patterns, and classified text in",
    .reason_code = "dlp.detected",
    .phases = KT_PHASE_REQUEST | KT_PHASE_RESPONSE,
    .options = dlp_option_table,
    .options_size = sizeof(struct dlp_options),
    .init = dlp_init,
    .fini = dlp_fini,
    .open = dlp_open,
    .close = dlp_close,
    .text = dlp_text,
    .idle = dlp_idle,
    .advise = dlp_advise,
};
