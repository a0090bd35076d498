/* SPDX-License-Identifier: Apache-2.0 */
/* From an entry of the config to an assertion that can be asked. */
#include "policyengine/base/kt_suggest.h"
#include "policyengine/detect/kt_chars.h"
#include "policyengine/detect/kt_lang.h"
#include "policyengine/policies/quality.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPEATED_WORDS 4u
#define REPEATED_MOST 0.3

static const struct quality_type types[] = {
#define KT_QUALITY(id, name, value) {name, value, quality_check_##id},
#include "policyengine/policies/quality_types.def"
#undef KT_QUALITY
};

static const char type_names[] = ""
#define KT_QUALITY(id, name, value) name ", "
#include "policyengine/policies/quality_types.def"
#undef KT_QUALITY
                                 "and each with not- in front";

static const char *const refusals[] = {
#define KT_REFUSAL(text) text,
#include "policyengine/policies/quality_refusals.def"
#undef KT_REFUSAL
};

/* Types of the public catalogues that a model, a network or a script has to decide. */
static const char *const model_types[] = {
    "llm-rubric",
    "factuality",
    "context-faithfulness",
    "context-recall",
    "context-relevance",
    "answer-relevance",
    "similar",
    "model-graded-closedqa",
    "model-graded-factuality",
    "g-eval",
    "select-best",
    "classifier",
    "moderation",
    "toxicity",
    "bias",
    "hallucination",
    "faithfulness",
    "coherence",
    "completeness",
    "accuracy",
    "relevance",
    "conversation-relevance",
    "pi",
    "perplexity",
    "perplexity-score",
    "search-rubric",
    "trajectory",
    "javascript",
    "python",
    "webhook",
    "guardrails",
    "cost",
    "latency",
    "semantic-similarity",
};

const char *quality_type_names(void)
{
    return type_names;
}

static const struct quality_type *find(const char *name)
{
    for (size_t i = 0; i < KT_COUNT(types); i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

const struct quality_type *quality_type_find(const char *name, bool *model)
{
    *model = false;
    for (size_t i = 0; i < KT_COUNT(model_types); i++)
        *model = *model || strcmp(model_types[i], name) == 0;
    return find(name);
}

static kt_result wrong(struct kt_error *err, size_t index, const struct quality_entry *e, const char *what)
{
    return kt_fail(err, KT_ERR_USAGE, "quality-scorer: assertions[%zu]: %.40s: %s", index, e->type, what);
}

/* ---- values ---- */

static kt_result add_text(const struct kt_json *j, uint32_t tok, struct quality_assertion *out, bool *ok)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf raw = KT_BUF_INIT(1u << 20), low = KT_BUF_INIT(1u << 20);
    *ok = j->tok[tok].type == KT_JSON_STRING;
    if (!*ok)
        return kt_ok();
    KT_GUARD(kt_json_unescape(j, tok, &raw));
    if (!out->case_sensitive)
        KT_GUARD(kt_chars_lower(kt_buf_span(&raw).data, raw.len, &low));
    const struct kt_buf *used = out->case_sensitive ? &raw : &low;
    *ok = used->len > 0 && !memchr(used->data, 0, used->len);
    return *ok ? kt_strings_add(&out->texts, used->data) : kt_ok();
}

static kt_result read_texts(const struct kt_json *j, bool list, struct quality_assertion *out, bool *ok)
{
    if (!list || j->tok[0].type != KT_JSON_ARRAY)
        return add_text(j, 0, out, ok);
    *ok = j->tok[0].size > 0;
    for (uint32_t i = 1; *ok && i < j->tok[0].next; i = j->tok[i].next)
        KT_GUARD(add_text(j, i, out, ok));
    return kt_ok();
}

static bool number(const struct kt_json *j, uint32_t tok, double *out)
{
    return kt_is_ok(kt_json_number(j, tok, out)) && *out >= 0;
}

static bool read_range(const struct kt_json *j, struct quality_assertion *out)
{
    if (number(j, 0, &out->min)) {
        out->max = out->min;
        return true;
    }
    if (j->tok[0].type != KT_JSON_OBJECT || j->tok[0].size == 0)
        return false;
    for (uint32_t k = 1; k < j->tok[0].next; k = j->tok[k + 1].next) {
        bool low = kt_json_str_eq(j, k, "min"), high = kt_json_str_eq(j, k, "max");
        if (!(low || high) || !number(j, k + 1, low ? &out->min : &out->max))
            return false;
    }
    return out->min <= out->max;
}

static bool read_share(const struct kt_json *j, struct quality_assertion *out)
{
    double n = REPEATED_WORDS;
    if (j->tok[0].type == KT_JSON_OBJECT) {
        for (uint32_t k = 1; k < j->tok[0].next; k = j->tok[k + 1].next) {
            bool words = kt_json_str_eq(j, k, "n");
            if (!(words || kt_json_str_eq(j, k, "max")) || !number(j, k + 1, words ? &n : &out->max))
                return false;
        }
    } else if (!number(j, 0, &out->max)) {
        return false;
    }
    out->n = n >= 1 && n <= 16 ? (unsigned)n : 0;
    return out->n > 0 && out->max <= 1;
}

static kt_result read_languages(const struct kt_json *j, struct quality_assertion *out, bool *ok,
                                struct kt_error *why)
{
    KT_GUARD(read_texts(j, true, out, ok));
    for (size_t i = 0; i < out->texts.count; i++)
        if (!kt_lang_known(out->texts.items[i]))
            return kt_fail(why, KT_ERR_USAGE, "unknown language '%.10s'; one of %s", out->texts.items[i],
                           kt_lang_list());
    return kt_ok();
}

static kt_result read_regex(const struct kt_json *j, struct quality_assertion *out, bool *ok,
                            struct kt_error *why)
{
    bool fold = !out->case_sensitive;
    out->case_sensitive = true; /* the expression itself stays as it is */
    KT_GUARD(add_text(j, 0, out, ok));
    return *ok ? kt_user_regex_new(out->texts.items[0], fold, &out->regex, why) : kt_ok();
}

static kt_result read_value(const struct quality_entry *e, const struct kt_json *j,
                            struct quality_assertion *out, bool *ok, struct kt_error *why)
{
    switch (out->type->value) {
    case QUALITY_TEXT:
    case QUALITY_TEXTS:
        return read_texts(j, out->type->value == QUALITY_TEXTS, out, ok);
    case QUALITY_LANGUAGES:
        return read_languages(j, out, ok, why);
    case QUALITY_REGEX:
        return read_regex(j, out, ok, why);
    case QUALITY_SCHEMA:
    case QUALITY_MAY_SCHEMA:
        return quality_schema_new(e->value, &out->schema, why);
    case QUALITY_LEAST:
        *ok = number(j, 0, &out->min);
        break;
    case QUALITY_MOST:
        *ok = number(j, 0, &out->max);
        break;
    case QUALITY_RANGE:
        *ok = read_range(j, out);
        break;
    case QUALITY_SHARE:
        *ok = read_share(j, out);
        break;
    case QUALITY_NO_VALUE:
        *ok = j->tok[0].type == KT_JSON_NULL;
    }
    return kt_ok();
}

static const char *wanted(enum quality_value v)
{
    static const char *const texts[] = {
        [QUALITY_NO_VALUE] = "takes no value; leave it out",
        [QUALITY_TEXT] = "value must be a text that is not empty; e.g. value: thank you",
        [QUALITY_TEXTS] = "value must be a text or a list of texts that are not empty; e.g. value: [yes, no]",
        [QUALITY_LANGUAGES] = "value must be an ISO 639-1 code or a list of them; e.g. value: [en, fr]",
        [QUALITY_REGEX] = "value must be a regular expression; e.g. value: '^[0-9]+$'",
        [QUALITY_SCHEMA] = "value must be a JSON schema; e.g. value: {type: object, required: [id]}",
        [QUALITY_MAY_SCHEMA] = "value must be a JSON schema or left out; e.g. value: {type: object}",
        [QUALITY_LEAST] = "value must be a number from 0 on; e.g. value: 20",
        [QUALITY_MOST] = "value must be a number from 0 on; e.g. value: 20",
        [QUALITY_RANGE] =
            "value must be a number or {min, max} with min <= max; e.g. value: {min: 1, max: 200}",
        [QUALITY_SHARE] =
            "value must be a share from 0 to 1, or {max: share, n: words from 1 to 16}; e.g. value: 0.3",
    };
    return texts[v];
}

static bool may_lack(enum quality_value v)
{
    return v == QUALITY_NO_VALUE || v == QUALITY_MAY_SCHEMA || v == QUALITY_SHARE;
}

static kt_result compile_value(const struct quality_entry *e, size_t index, struct quality_assertion *out,
                               struct kt_error *err)
{
    struct kt_error why = {0};
    bool ok = true;
    if (!e->value || strcmp(e->value, "null") == 0)
        return may_lack(out->type->value) ? kt_ok() : wrong(err, index, e, wanted(out->type->value));
    struct kt_json j = {0};
    KT_GUARD(kt_json_parse(&j, e->value, strlen(e->value), err));
    kt_result r = read_value(e, &j, out, &ok, &why);
    kt_json_free(&j);
    if (r.code == KT_ERR_USAGE)
        return wrong(err, index, e, why.text);
    KT_GUARD(r);
    return ok ? kt_ok() : wrong(err, index, e, wanted(out->type->value));
}

/* ---- names ---- */

/* "not-contains", "no-markdown" turn round; "icontains" is the public name of one where case does not count.
 */
static kt_result resolve(const struct quality_entry *e, size_t index, struct quality_assertion *out,
                         struct kt_error *err)
{
    bool model = false;
    const char *name = e->type;
    char text[1024], hint[96];
    struct kt_suggest near;
    out->type = quality_type_find(name, &model);
    if (!out->type && (strncmp(name, "not-", 4) == 0 || strncmp(name, "no-", 3) == 0)) {
        name += name[2] == 't' ? 4 : 3;
        out->negate = !out->negate;
        out->type = quality_type_find(name, &model);
    }
    if (!out->type && strncmp(name, "icontains", 9) == 0) {
        out->case_sensitive = false;
        out->type = quality_type_find(name + 1, &model);
    }
    if (out->type)
        return kt_ok();
    if (model)
        return wrong(err, index, e,
                     "this type needs a model or a service to decide; use a deterministic type, e.g. "
                     "contains or regex");
    kt_suggest_begin(&near, name);
    for (size_t i = 0; i < KT_COUNT(types); i++)
        kt_suggest_try(&near, types[i].name, strlen(types[i].name));
    const char *meant = kt_suggest_text(&near, hint);
    snprintf(text, sizeof text, "no such type; %s", meant ? meant : type_names);
    return wrong(err, index, e, text);
}

static kt_result make_label(const struct quality_entry *e, struct quality_assertion *out)
{
    char label[80];
    snprintf(label, sizeof label, "%s%.60s", e->mode == QUALITY_SHADOW ? "shadow:" : "",
             e->name ? e->name : e->type);
    out->label = strdup(label);
    return out->label ? kt_ok() : kt_err(KT_ERR_MEMORY);
}

kt_result quality_compile(const struct quality_entry *e, size_t index, struct quality_assertion *out,
                          struct kt_error *err)
{
    *out = (struct quality_assertion){.negate = e->negate,
                                      .case_sensitive = e->case_sensitive,
                                      .weight = e->weight,
                                      .threshold = e->threshold > 0 ? e->threshold : 1,
                                      .mode = e->mode,
                                      .severity = e->severity,
                                      .max = HUGE_VAL,
                                      .n = REPEATED_WORDS};
    KT_GUARD(resolve(e, index, out, err));
    if (out->type->value == QUALITY_SHARE)
        out->max = REPEATED_MOST;
    KT_GUARD(make_label(e, out));
    if (out->type->check == quality_check_refusal)
        KT_GUARD(
            kt_wordlist_new((char *const *)(uintptr_t)refusals, KT_COUNT(refusals), 0, &out->words, err));
    return compile_value(e, index, out, err);
}

void quality_assertion_free(struct quality_assertion *a)
{
    free(a->label);
    kt_strings_free(&a->texts);
    kt_user_regex_free(a->regex);
    quality_schema_free(a->schema);
    kt_wordlist_free(a->words);
}
