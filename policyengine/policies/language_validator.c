/* SPDX-License-Identifier: Apache-2.0 */
/*
 * language-validator: stops texts in languages that are not wanted. What is short, mixed or code has no
 * language and passes. Of an answer that comes in windows the first bytes decide, so that it does not matter
 * how it was cut.
 */
#include "policyengine/detect/kt_lang.h"
#include "policyengine/policies/kt_policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum language_action { LANGUAGE_BLOCK, LANGUAGE_ESCALATE };

/* Bytes of an answer: where the first ones tell no language, the second number is the last that counts. */
#define DECIDED_EARLY 256u
#define DECIDED_BY 1024u
#define STREAMS_MAX 256u

struct language_options {
    struct kt_strings allowed_languages, blocked_languages;
    int64_t min_chars;
    double min_confidence;
    bool check_responses;
    int action;
};

struct language_stream {
    unsigned segment;
    size_t seen; /* absolute */
    bool decided;
    unsigned looks; /* taken at its beginning */
    struct kt_buf start;
};

struct language_state {
    enum kt_phase phase;
    struct language_stream *streams; /* owned */
    size_t count;
};

/* "EN-gb" means en, "nb" and "nn" mean no. */
static bool normal_code(const char *in, char out[3])
{
    size_t n = strcspn(in, "-_");
    if (n != 2)
        return false;
    out[0] = (char)(in[0] | 0x20);
    out[1] = (char)(in[1] | 0x20);
    out[2] = '\0';
    if (strcmp(out, "nb") == 0 || strcmp(out, "nn") == 0)
        memcpy(out, "no", 3);
    return kt_lang_known(out);
}

static kt_result check_codes(const struct kt_strings *list, const char *option, struct kt_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        char code[3];
        if (!normal_code(list->items[i], code))
            return kt_fail(err, KT_ERR_USAGE,
                           "language-validator: %s[%zu]: '%.20s' is no language that can be told; one of %s",
                           option, i, list->items[i], kt_lang_list());
    }
    return kt_ok();
}

static kt_result language_init(const void *opts, void **instance, struct kt_error *err)
{
    const struct language_options *o = opts;
    (void)instance;
    KT_GUARD(check_codes(&o->allowed_languages, "allowed_languages", err));
    return check_codes(&o->blocked_languages, "blocked_languages", err);
}

static kt_result language_open(const void *opts, void *instance, enum kt_phase phase, void **state)
{
    (void)opts, (void)instance;
    struct language_state *s = calloc(1, sizeof *s);
    KT_ENSURE(s, KT_ERR_MEMORY);
    s->phase = phase;
    *state = s;
    return kt_ok();
}

static void language_close(void *state)
{
    struct language_state *s = state;
    for (size_t i = 0; i < s->count; i++)
        kt_buf_wipe_free(&s->streams[i].start);
    free(s->streams);
    free(s);
}

static struct language_stream *stream_of(struct language_state *s, unsigned segment)
{
    for (size_t i = s->count; i-- > 0;)
        if (s->streams[i].segment == segment)
            return &s->streams[i];
    if (s->count == STREAMS_MAX)
        return NULL;
    struct language_stream *grown = realloc(s->streams, (s->count + 1) * sizeof *grown);
    if (!grown)
        return NULL;
    s->streams = grown;
    grown[s->count] = (struct language_stream){.segment = segment, .start = KT_BUF_INIT(DECIDED_BY)};
    return &grown[s->count++];
}

/* Nothing more comes of it. */
static void forget(struct language_state *s, unsigned segment)
{
    for (size_t i = s->count; i-- > 0;)
        if (s->streams[i].segment == segment) {
            kt_buf_wipe_free(&s->streams[i].start);
            s->streams[i] = s->streams[--s->count];
            return;
        }
}

static bool listed(const struct kt_strings *list, const char *code)
{
    for (size_t i = 0; i < list->count; i++) {
        char one[3];
        if (normal_code(list->items[i], one) && strcmp(one, code) == 0)
            return true;
    }
    return false;
}

/* A character of Chinese, Japanese or Korean says as much as three letters. */
static size_t chars_of(const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        n += (c & 0xc0) == 0x80 ? 0 : c >= 0xe3 && c <= 0xed ? 3 : 1;
    }
    return n;
}

/* All that the text may be in is unwanted: of Danish and Norwegian that cannot be told apart one is enough.
 */
static bool unwanted(const struct language_options *o, const struct kt_lang_set *g)
{
    for (size_t i = 0; i < g->count; i++)
        if (!listed(&o->blocked_languages, g->codes[i]) &&
            (o->allowed_languages.count == 0 || listed(&o->allowed_languages, g->codes[i])))
            return false;
    return g->count > 0;
}

/* *told: the text has a language. Each answer that is sure is right in itself, so one is enough. */
static enum kt_step decide(const struct language_options *o, const char *text, size_t len, struct kt_sink *s,
                           bool *told)
{
    struct kt_langs g;
    char message[128];
    *told = false;
    if (chars_of(text, len) < (size_t)o->min_chars)
        return KT_STEP_DONE;
    if (!kt_is_ok(kt_lang_guess(text, len, &g)))
        return KT_STEP_ERROR;
    for (size_t i = 0; i < g.count; i++) {
        const struct kt_lang_set *set = &g.sets[i];
        if (set->confidence < o->min_confidence)
            continue;
        *told = true;
        if (!unwanted(o, set))
            continue;
        snprintf(message, sizeof message,
                 "Blocked by policy language-validator: the language '%s' is not allowed here.",
                 set->codes[0]);
        s->match(s, "language");
        s->stop(s, o->action == LANGUAGE_BLOCK ? KT_VERDICT_BLOCK : KT_VERDICT_ESCALATE,
                "language.not_allowed", set->confidence, message);
        return KT_STEP_DONE;
    }
    return KT_STEP_DONE;
}

/* Keeps what is new of the beginning. */
static kt_result take(struct language_stream *p, const struct kt_text *t)
{
    size_t skip = p->seen > t->base ? p->seen - t->base : 0; /* shown again while the decision waits */
    if (skip >= t->len)
        return kt_ok();
    size_t n = t->len - skip, room = DECIDED_BY - p->start.len;
    if (n > room)
        n = room;
    p->seen = t->base + skip + n;
    return kt_buf_append(&p->start, t->data + skip, n);
}

/* The same beginnings are looked at however the text was cut. */
static enum kt_step look(const struct language_options *o, struct language_state *st, const struct kt_text *t,
                         struct kt_sink *s)
{
    static const size_t looks[] = {DECIDED_EARLY, DECIDED_BY};
    struct language_stream *p = stream_of(st, t->segment);
    if (!p)
        return KT_STEP_ERROR;
    if (p->decided)
        return KT_STEP_DONE;
    if (!kt_is_ok(take(p, t)))
        return KT_STEP_ERROR;
    for (; p->looks < KT_COUNT(looks) && p->start.len >= looks[p->looks] && !p->decided; p->looks++)
        if (decide(o, p->start.data, looks[p->looks], s, &p->decided) != KT_STEP_DONE)
            return KT_STEP_ERROR;
    bool all = p->looks == KT_COUNT(looks);
    if (p->decided || all || !t->final) {
        p->decided |= all;
        if (!p->decided)
            s->hold_from(s, t->base); /* what may be stopped has not gone out yet */
        return KT_STEP_DONE;
    }
    bool told;
    p->decided = true;
    return decide(o, kt_buf_span(&p->start).data, p->start.len, s, &told);
}

static enum kt_step window(const struct language_options *o, struct language_state *st,
                           const struct kt_text *t, struct kt_sink *s)
{
    enum kt_step step = look(o, st, t, s);
    if (t->final)
        forget(st, t->segment);
    return step;
}

static enum kt_step language_text(const void *opts, void *instance, void *state, const struct kt_text *t,
                                  struct kt_sink *s)
{
    (void)instance;
    const struct language_options *o = opts;
    struct language_state *st = state;
    bool told;
    if (st->phase == KT_PHASE_RESPONSE)
        return o->check_responses && t->from == KT_FROM_ASSISTANT ? window(o, st, t, s) : KT_STEP_DONE;
    if (t->from != KT_FROM_USER)
        return KT_STEP_DONE;
    return t->final && t->base == 0 ? decide(o, t->data, t->len, s, &told) : window(o, st, t, s);
}

static const struct kt_option language_option_table[] = {
    {.name = "allowed_languages",
     .type = KT_OPT_STRING_LIST,
     .offset = offsetof(struct language_options, allowed_languages),
     .help = "ISO 639-1 codes, [en, fr]: everything else that can be told is stopped; empty = any"},
    {.name = "blocked_languages",
     .type = KT_OPT_STRING_LIST,
     .offset = offsetof(struct language_options, blocked_languages),
     .help = "ISO 639-1 codes that are stopped whatever allowed_languages says"},
    {.name = "min_chars",
     .type = KT_OPT_INT,
     .offset = offsetof(struct language_options, min_chars),
     .def = "20",
     .min = 1,
     .max = 100000,
     .help = "shorter texts pass; a character of Chinese, Japanese or Korean counts as three"},
    {.name = "min_confidence",
     .type = KT_OPT_FLOAT,
     .offset = offsetof(struct language_options, min_confidence),
     .def = "0.6",
     .min = 0,
     .max = 1,
     .help = "how sure the detector must be, 0..1; below it the text passes",
     .alias = "confidence_threshold"},
    {.name = "check_responses",
     .type = KT_OPT_BOOL,
     .offset = offsetof(struct language_options, check_responses),
     .def = "false",
     .help = "check answers too: the first 256 bytes decide, or the first kilobyte where they tell no "
             "language; a "
             "stream is held back until then"},
    {.name = "action",
     .type = KT_OPT_ENUM,
     .offset = offsetof(struct language_options, action),
     .def = "block",
     .values = "block|escalate",
     .help = "block the text, or stop it for a human to decide"},
    {.name = NULL},
};

static const char *language_idle(const void *opts, const void *instance)
{
    const struct language_options *o = opts;
    (void)instance;
    return o->allowed_languages.count || o->blocked_languages.count
               ? NULL
               : "set allowed_languages or blocked_languages";
}

/* blocked_languages wins. */
static void language_advise(const void *opts, const struct kt_advice *a)
{
    const struct language_options *o = opts;
    char code[3], option[64];
    for (size_t i = 0; i < o->allowed_languages.count; i++) {
        if (!normal_code(o->allowed_languages.items[i], code) || !listed(&o->blocked_languages, code))
            continue;
        snprintf(option, sizeof option, "allowed_languages[%zu]", i);
        a->say(a, option, "'%s' is in blocked_languages too, which wins; keep it in one of the lists", code);
    }
}

const struct kt_policy kt_policy_language_validator = {
    .kind = "language-validator",
    .help = "stops texts in languages that are not allowed",
    .reason_code = "language.not_allowed",
    .phases = KT_PHASE_REQUEST | KT_PHASE_RESPONSE,
    .options = language_option_table,
    .options_size = sizeof(struct language_options),
    .init = language_init,
    .open = language_open,
    .close = language_close,
    .text = language_text,
    .idle = language_idle,
    .advise = language_advise,
};
