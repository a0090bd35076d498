/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prompt-injection: scores every text of a request in 0..1 and acts from `threshold` on. Whose words a text
 * holds decides how it is judged:
 * - user, earlier answers: threshold as configured (an "earlier answer" may be made up by the user).
 * - tool results: 85 % of it, and words to an AI count: foreign text has no business giving orders.
 * - what offered tools say of themselves (maybe a foreign server's words), arguments of calls (a client may
 *   have made them up), labels (some provider may show them to its model): threshold as configured, and
 *   orders take more evidence, for they are what such texts are made of ("call this first, never twice").
 * - system, developer: never, the program's own words legitimately read like orders about rules and roles.
 * - reasoning: never, the model wrote it.
 *
 * Two shapes of options are taken: {threshold, action} and the longer public one with `encoding`,
 * `boundaries`, `detection` and `response`. `embedding_threshold` is a second name of `threshold`: there are
 * no embeddings here, one score stands for all signs.
 */
#include "policyengine/detect/kt_injection.h"
#include "policyengine/detect/kt_pattern_cache.h"
#include "policyengine/detect/kt_scan.h"
#include "policyengine/detect/kt_unescape.h"
#include "policyengine/policies/kt_policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOOL_STRICTER 0.85
#define WINDOW_WHOLE (64u << 10) /* a segment in windows is looked at whole up to here ... */
#define WINDOW_AGAIN (4u << 10)  /* ... and beyond it with this much shown again */
#define MESSAGE "Blocked by policy prompt-injection: the text tries to override instructions."

enum action { ACTION_BLOCK, ACTION_ESCALATE, ACTION_WARN };

struct injection_options {
    double threshold;
    int action, backend;
    struct kt_strings attack_patterns;
    struct {
        struct kt_strings attack_patterns;
    } detection;
    struct {
        bool decode_base64, normalize_unicode, detect_homoglyphs;
    } encoding;
    struct {
        bool enforce_delimiters, reject_fake_boundaries;
    } boundaries;
    struct {
        int log_level;
        char *message;
    } response;
};

/* ---- life ---- */

/* The cause names its pattern by the place in both lists together. */
static kt_result bad_pattern(kt_result r, const struct kt_error *cause, size_t first, struct kt_error *err)
{
    size_t at = 0;
    int used = 0;
    if (sscanf(cause->text, "[%zu]%n", &at, &used) != 1 || used == 0)
        return kt_fail(err, r.code, "attack_patterns: %s", cause->text);
    return kt_fail(err, r.code, "%s[%zu]:%s", at < first ? "attack_patterns" : "detection.attack_patterns",
                   at < first ? at : at - first, cause->text + used);
}

/* Both lists as one; the strings stay the options'. */
static kt_result own_patterns(const struct injection_options *o, struct kt_patterns **out,
                              struct kt_error *err)
{
    const struct kt_strings *a = &o->attack_patterns, *b = &o->detection.attack_patterns;
    *out = NULL;
    if (a->count + b->count == 0)
        return kt_ok();
    char **all = calloc(a->count + b->count, sizeof *all);
    KT_ENSURE(all, KT_ERR_MEMORY);
    if (a->count)
        memcpy(all, a->items, a->count * sizeof *all);
    if (b->count)
        memcpy(all + a->count, b->items, b->count * sizeof *all);
    struct kt_error cause = {KT_OK, ""};
    kt_result r = kt_patterns_new(all, a->count + b->count, out, &cause);
    free(all);
    return kt_is_ok(r) ? r : bad_pattern(r, &cause, a->count, err);
}

static kt_result injection_init(const void *opts, void **instance, struct kt_error *err)
{
    const struct injection_options *o = opts;
    const struct kt_scan *scan = NULL;
    struct kt_patterns *own = NULL;
    KT_GUARD(kt_scan_get(KT_SCAN_INJECTION, &scan, err)); /* here, not in the middle of the first request */
    KT_GUARD(own_patterns(o, &own, err));
    *instance = own;
    kt_injection_join();
    return kt_ok();
}

static void injection_fini(void *instance)
{
    kt_patterns_free(instance);
    kt_injection_leave();
}

/* ---- text ---- */

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
    if (found->families == 0 && found->score < 1)
        s->match(s, "wording"); /* the linear model alone */
    if (found->decoded)
        s->match(s, "decoded");
    if (o->action == ACTION_WARN)
        return;
    bool own = o->response.message && *o->response.message;
    s->stop(s, o->action == ACTION_BLOCK ? KT_VERDICT_BLOCK : KT_VERDICT_ESCALATE,
            "prompt_injection.detected", found->score, own ? o->response.message : MESSAGE);
}

static struct kt_injection_scope scope_of(const struct injection_options *o, enum kt_origin_class from)
{
    return (struct kt_injection_scope){.whole_unicode = o->encoding.normalize_unicode,
                                       .lookalikes = o->encoding.detect_homoglyphs,
                                       .decode = o->encoding.decode_base64,
                                       .fake_roles = o->boundaries.reject_fake_boundaries,
                                       .delimiters = o->boundaries.enforce_delimiters,
                                       .tool = from == KT_FROM_TOOL,
                                       .orders = from != KT_FROM_USER && from != KT_FROM_ASSISTANT &&
                                                 from != KT_FROM_TOOL};
}

static bool judged(enum kt_origin_class from)
{
    return from == KT_FROM_USER || from == KT_FROM_ASSISTANT || from == KT_FROM_TOOL ||
           from == KT_FROM_OFFER || from == KT_FROM_TOOL_CALL || from == KT_FROM_LABEL;
}

static void found_own(void *ctx, size_t expression, size_t start, size_t end)
{
    (void)expression, (void)start, (void)end;
    *(bool *)ctx = true;
}

/* The user's own expressions read the text as it is and, where it holds escapes, what those stand for;
 * one match is all the proof they want. */
static kt_result match_own(const struct kt_patterns *own, const struct kt_text *t, bool *hit)
{
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf here = KT_BUF_INIT(SIZE_MAX / 4);
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf next = KT_BUF_INIT(SIZE_MAX / 4);
    bool changed = own;
    *hit = false;
    KT_GUARD(own ? kt_patterns_scan(own, t->data, t->len, 0, t->len, true, found_own, hit) : kt_ok());
    for (unsigned level = 0; changed && !*hit && level < KT_UNESCAPE_LEVELS; level++) {
        struct kt_span s = level ? kt_buf_span(&here) : kt_span(t->data, t->len);
        kt_buf_clear(&next);
        KT_GUARD(kt_unescape_text(s.data, s.len, &next, &changed));
        struct kt_buf swap = here;
        here = next;
        next = swap;
        if (changed)
            KT_GUARD(kt_patterns_scan(own, here.data, here.len, 0, here.len, true, found_own, hit));
    }
    return kt_ok();
}

static enum kt_step injection_text(const void *opts, void *instance, void *state, const struct kt_text *t,
                                   struct kt_sink *s)
{
    (void)state;
    const struct injection_options *o = opts;
    bool own = false, tool = t->from == KT_FROM_TOOL;
    if (!judged(t->from) || wait_for_more(t, s))
        return KT_STEP_DONE;
    struct kt_injection *work = kt_injection_take();
    if (!work)
        return KT_STEP_ERROR;
    struct kt_injection_result found;
    kt_result r = kt_injection_score(work, t->data, t->len, scope_of(o, t->from), &found);
    kt_injection_give(work);
    if (r.code != KT_OK || match_own(instance, t, &own).code != KT_OK)
        return KT_STEP_ERROR;
    if (own) {
        s->match(s, "attack_pattern");
        found.score = 1;
    }
    s->score(s, found.score);
    if (found.score >= o->threshold * (tool ? TOOL_STRICTER : 1))
        report(o, &found, s);
    return KT_STEP_DONE;
}

/* ---- options ---- */

#define AT(member) .offset = offsetof(struct injection_options, member)
#define SWITCH(member, key, text)                                                                            \
    {                                                                                                        \
        .name = key, .type = KT_OPT_BOOL, AT(member), .def = "true", .help = text                            \
    }

static const struct kt_option detection_options[] = {
    {.name = "attack_patterns",
     .type = KT_OPT_STRING_LIST,
     AT(detection.attack_patterns),
     .help = "as attack_patterns; both lists count"},
    {.name = NULL},
};

static const struct kt_option encoding_options[] = {
    SWITCH(encoding.decode_base64, "decode_base64",
           "look into base64, base32, hex, escapes, numbers of characters, Morse, rot13, atbash, reversed, "
           "leet, spaced and scrambled text"),
    SWITCH(encoding.normalize_unicode, "normalize_unicode",
           "read full-width, mathematical and circled letters; drop zero-width signs; read tag characters"),
    SWITCH(encoding.detect_homoglyphs, "detect_homoglyphs",
           "read Cyrillic and Greek letters that look Latin as Latin"),
    {.name = NULL},
};

static const struct kt_option boundary_options[] = {
    SWITCH(boundaries.enforce_delimiters, "enforce_delimiters",
           "rules for text that claims the input or the prompt ends here"),
    SWITCH(boundaries.reject_fake_boundaries, "reject_fake_boundaries",
           "rules for fake system messages and chat-template tokens"),
    {.name = NULL},
};

static const struct kt_option response_options[] = {
    {.name = "message",
     .type = KT_OPT_STRING,
     AT(response.message),
     .help = "what the client is told; never put the offending text here"},
    {.name = "log_level",
     .type = KT_OPT_ENUM,
     AT(response.log_level),
     .def = "warn",
     .values = "debug|info|warn=warning|error",
     .help = "has no effect: every finding is in the event of its exchange"},
    {.name = NULL},
};

static const struct kt_option injection_options[] = {
    {.name = "threshold",
     .type = KT_OPT_FLOAT,
     AT(threshold),
     .alias = "embedding_threshold",
     .def = "0.8",
     .min = 0,
     .max = 1,
     .help = "score from which on a text is acted on; tool results from 85 % of it on. System and developer "
             "messages and reasoning are not judged; descriptions of tools, arguments of calls and labels "
             "(members that no API knows) with less weight on plain orders"},
    {.name = "action",
     .type = KT_OPT_ENUM,
     AT(action),
     .def = "block",
     .values = "block|escalate|warn=log",
     .help =
         "block the request, stop it for a human to decide, or let it pass with the finding in its event"},
    {.name = "backend",
     .type = KT_OPT_ENUM,
     AT(backend),
     .def = "local",
     .values = "local",
     .help = "where the score is made: in the process"},
    {.name = "attack_patterns",
     .type = KT_OPT_STRING_LIST,
     AT(attack_patterns),
     .help = "regular expressions of your own: a text that matches one scores 1"},
    {.name = "detection", .type = KT_OPT_TABLE, .table = detection_options, .help = "what is looked for"},
    {.name = "encoding",
     .type = KT_OPT_TABLE,
     .table = encoding_options,
     .help = "disguises to look through"},
    {.name = "boundaries", .type = KT_OPT_TABLE, .table = boundary_options, .help = "roles and delimiters"},
    {.name = "response", .type = KT_OPT_TABLE, .table = response_options, .help = "what a finding does"},
    {.name = NULL},
};

static void injection_advise(const void *opts, const struct kt_advice *a)
{
    const struct injection_options *o = opts;
    if (o->action == ACTION_WARN && o->response.message)
        a->say(a, "response.message", "no client reads it, since action: warn lets texts pass; leave it out");
    else if (o->response.message && !*o->response.message)
        a->say(a, "response.message", "is empty, the usual sentence is said; leave it out");
    if (o->threshold <= 0)
        a->say(a, "threshold", "every text reaches 0, whatever stands in it; 0.8 is the default");
}

const struct kt_policy kt_policy_prompt_injection = {
    .kind = "prompt-injection",
    .help = "scores requests for attempts to override instructions, fake roles, extract prompts or jailbreak",
    .reason_code = "prompt_injection.detected",
    .phases = KT_PHASE_REQUEST,
    .options = injection_options,
    .options_size = sizeof(struct injection_options),
    .init = injection_init,
    .fini = injection_fini,
    .text = injection_text,
    .advise = injection_advise,
};
