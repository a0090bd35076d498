/* SPDX-License-Identifier: Apache-2.0 */
/* What each type of assertion asks of an answer. White space at both ends of an answer never counts. */
#include "policyengine/detect/kt_chars.h"
#include "policyengine/detect/kt_fold.h"
#include "policyengine/detect/kt_lang.h"
#include "policyengine/policies/quality.h"

#include <string.h>

#define REFUSAL_BYTES 400u /* a refusal says so at once; later in a text the same words are advice */

static bool holds(struct kt_span text, const char *part)
{
    return !*part || memmem(text.data, text.len, part, strlen(part)) != NULL;
}

/* How many of the texts the answer holds. */
static kt_result count(const struct quality_assertion *a, struct quality_answer *t, size_t *n)
{
    struct kt_span text;
    KT_GUARD(quality_answer_text(a, t, &text));
    *n = 0;
    for (size_t i = 0; i < a->texts.count; i++)
        *n += holds(text, a->texts.items[i]);
    return kt_ok();
}

kt_result quality_check_contains(const struct quality_assertion *a, struct quality_answer *t, double *score)
{
    size_t n = 0;
    KT_GUARD(count(a, t, &n));
    *score = n == a->texts.count;
    return kt_ok();
}

kt_result quality_check_contains_any(const struct quality_assertion *a, struct quality_answer *t,
                                     double *score)
{
    size_t n = 0;
    KT_GUARD(count(a, t, &n));
    *score = n > 0;
    return kt_ok();
}

kt_result quality_check_contains_all(const struct quality_assertion *a, struct quality_answer *t,
                                     double *score)
{
    size_t n = 0;
    KT_GUARD(count(a, t, &n));
    *score = (double)n / (double)a->texts.count;
    return kt_ok();
}

kt_result quality_check_starts_with(const struct quality_assertion *a, struct quality_answer *t,
                                    double *score)
{
    struct kt_span text;
    KT_GUARD(quality_answer_text(a, t, &text));
    size_t n = strlen(a->texts.items[0]);
    *score = text.len >= n && memcmp(text.data, a->texts.items[0], n) == 0;
    return kt_ok();
}

kt_result quality_check_ends_with(const struct quality_assertion *a, struct quality_answer *t, double *score)
{
    struct kt_span text;
    KT_GUARD(quality_answer_text(a, t, &text));
    size_t n = strlen(a->texts.items[0]);
    *score = text.len >= n && memcmp(text.data + (text.len - n), a->texts.items[0], n) == 0;
    return kt_ok();
}

kt_result quality_check_equals(const struct quality_assertion *a, struct quality_answer *t, double *score)
{
    struct kt_span text;
    KT_GUARD(quality_answer_text(a, t, &text));
    *score = kt_span_eq(text, a->texts.items[0]);
    return kt_ok();
}

kt_result quality_check_regex(const struct quality_assertion *a, struct quality_answer *t, double *score)
{
    *score = kt_user_regex_find(a->regex, t->trimmed.data, t->trimmed.len);
    return kt_ok();
}

kt_result quality_check_is_json(const struct quality_assertion *a, struct quality_answer *t, double *score)
{
    struct kt_json j = {0};
    kt_result r = kt_json_parse(&j, t->trimmed.data, t->trimmed.len, NULL);
    *score = kt_is_ok(r) && (!a->schema || quality_schema_holds(a->schema, &j));
    kt_json_free(&j);
    return r.code == KT_ERR_MEMORY ? r : kt_ok();
}

static double within(const struct quality_assertion *a, size_t n)
{
    return (double)n >= a->min && (double)n <= a->max;
}

kt_result quality_check_chars(const struct quality_assertion *a, struct quality_answer *t, double *score)
{
    *score = within(a, kt_chars_count(t->trimmed.data, t->trimmed.len));
    return kt_ok();
}

kt_result quality_check_words(const struct quality_assertion *a, struct quality_answer *t, double *score)
{
    *score = within(a, quality_words(t->trimmed));
    return kt_ok();
}

kt_result quality_check_sentences(const struct quality_assertion *a, struct quality_answer *t, double *score)
{
    *score = within(a, quality_sentences(t->trimmed));
    return kt_ok();
}

/* What is too short to tell, or is no prose, gets the benefit of the doubt: either way round. */
kt_result quality_check_language(const struct quality_assertion *a, struct quality_answer *t, double *score)
{
    char code[3];
    double confidence = 0;
    KT_GUARD(kt_lang_detect(t->trimmed.data, t->trimmed.len, code, &confidence));
    *score = !*code && !a->negate;
    for (size_t i = 0; i < a->texts.count; i++)
        if (strcmp(a->texts.items[i], code) == 0)
            *score = 1;
    return kt_ok();
}

static bool found(void *ctx, size_t term, size_t end)
{
    (void)term, (void)end;
    *(bool *)ctx = true;
    return true;
}

kt_result quality_check_refusal(const struct quality_assertion *a, struct quality_answer *t, double *score)
{
    char folded[REFUSAL_BYTES];
    struct kt_fold f = {.out = folded, .cap = sizeof folded};
    bool refuses = false;
    (void)kt_fold_text(&f, t->trimmed.data, t->trimmed.len, true);
    kt_wordlist_run(a->words, folded, f.len, found, &refuses);
    *score = refuses;
    return kt_ok();
}

kt_result quality_check_repetition(const struct quality_assertion *a, struct quality_answer *t, double *score)
{
    double share = 0;
    KT_GUARD(quality_repeated(t->trimmed, a->n, &share));
    *score = share <= a->max;
    return kt_ok();
}

kt_result quality_check_not_empty(const struct quality_assertion *a, struct quality_answer *t, double *score)
{
    (void)a;
    *score = t->trimmed.len > 0;
    return kt_ok();
}

static bool marks_line(const char *p, size_t len)
{
    size_t i = 0;
    while (i < len && i < 6 && p[i] == '#')
        i++;
    if (i > 0)
        return i < len && p[i] == ' ';
    if (len >= 3 && (memcmp(p, "```", 3) == 0 || memcmp(p, "~~~", 3) == 0))
        return true;
    if (len >= 2 && strchr("-*+>|", *p))
        return p[1] == ' ';
    while (i < len && i < 3 && p[i] >= '0' && p[i] <= '9')
        i++;
    return i > 0 && i + 1 < len && p[i] == '.' && p[i + 1] == ' ';
}

/* A heading, list, quote, table or code fence at the start of a line; bold, code or a link within. */
kt_result quality_check_markdown(const struct quality_assertion *a, struct quality_answer *t, double *score)
{
    const char *p = t->trimmed.data, *end = p + t->trimmed.len;
    (void)a;
    *score = holds(t->trimmed, "**") || holds(t->trimmed, "](http") || holds(t->trimmed, "`");
    while (p < end && *score < 1) {
        const char *line = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((line ? line : end) - p), skip = 0;
        while (skip < n && skip < 8 && p[skip] == ' ')
            skip++;
        *score = n > skip && marks_line(p + skip, n - skip);
        p = line ? line + 1 : end;
    }
    return kt_ok();
}
