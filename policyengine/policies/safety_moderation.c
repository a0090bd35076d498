/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/policies/safety_moderation.h"

#include "policyengine/body/kt_json.h"

#include <stdlib.h>
#include <string.h>

#define REQUEST_MAX                                                                                          \
    (SAFETY_MODERATION_INPUTS * SAFETY_MODERATION_INPUT * 6u + 65536u) /* every byte escaped */
#define WAITING_MAX (SAFETY_MODERATION_CALLS * (size_t)REQUEST_MAX)

/* Both versions of the API's list. Labels of events are static, so a category that is not here counts as
 * "other". */
static const struct {
    const char *name;
    bool harm; /* counts where the option names nothing */
} known[] = {
    {"sexual", true},
    {"hate_and_discrimination", true},
    {"violence_and_threats", true},
    {"dangerous_and_criminal_content", true},
    {"dangerous", true},
    {"criminal", true},
    {"selfharm", true},
    {"jailbreaking", true},
    {"health", false},
    {"financial", false},
    {"law", false},
    {"pii", false},
};
const char safety_moderation_categories[] = "sexual, hate_and_discrimination, violence_and_threats, "
                                            "dangerous_and_criminal_content, dangerous, criminal, "
                                            "selfharm, jailbreaking, health, financial, law, pii";

bool safety_moderation_knows(const char *category)
{
    for (size_t i = 0; i < KT_COUNT(known); i++)
        if (strcmp(known[i].name, category) == 0)
            return true;
    return false;
}

void safety_moderation_init(struct safety_moderation *m)
{
    *m = (struct safety_moderation){.inputs = KT_BUF_INIT(WAITING_MAX)};
    m->external = (struct kt_external){.url_path = "/moderations", .body = KT_BUF_INIT(REQUEST_MAX)};
}

void safety_moderation_free(struct safety_moderation *m)
{
    kt_buf_wipe_free(&m->inputs);
    kt_buf_wipe_free(&m->external.body);
}

/* Length of the well-formed character at p, 0 for none. */
static size_t character(const unsigned char *p, size_t len)
{
    static const unsigned char low[] = {0xa0, 0x80, 0x90}, high[] = {0xbf, 0x9f, 0x8f};
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
    if (n == 0 || n > len)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < low[0]) || (p[0] == 0xed && p[1] > high[1]) ||
        (p[0] == 0xf0 && p[1] < low[2]) || (p[0] == 0xf4 && p[1] > high[2]))
        return 0;
    return n;
}

static kt_result put_text(struct kt_buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t run = i, n = 1;
        while (run < len && (n = character((const unsigned char *)text + run, len - run)) > 0)
            run += n;
        KT_GUARD(kt_buf_json(out, text + i, run - i));
        if (run < len)
            KT_GUARD(kt_buf_puts(out, "\xef\xbf\xbd"));
        i = run < len ? run + 1 : run;
    }
    return kt_ok();
}

/* Where a piece of at most SAFETY_MODERATION_INPUT bytes ends: behind a space where there is one in its last
 * quarter, else in front of a character. */
static size_t piece_end(const char *text, size_t len)
{
    if (len <= SAFETY_MODERATION_INPUT)
        return len;
    size_t end = SAFETY_MODERATION_INPUT;
    while (end > SAFETY_MODERATION_INPUT / 4 * 3 && text[end - 1] != ' ' && text[end - 1] != '\n')
        end--;
    if (end > SAFETY_MODERATION_INPUT / 4 * 3)
        return end;
    for (end = SAFETY_MODERATION_INPUT; end > SAFETY_MODERATION_INPUT - 4 && (text[end] & 0xc0) == 0x80;)
        end--;
    return end;
}

kt_result safety_moderation_add(struct safety_moderation *m, const char *text, size_t len)
{
    while (len > 0) {
        size_t n = piece_end(text, len);
        KT_ENSURE(m->count < SAFETY_MODERATION_INPUTS * SAFETY_MODERATION_CALLS, KT_ERR_LIMIT);
        KT_GUARD(kt_buf_puts(&m->inputs, "\""));
        KT_GUARD(put_text(&m->inputs, text, n));
        KT_GUARD(kt_buf_puts(&m->inputs, "\","));
        m->ends[m->count++ / SAFETY_MODERATION_INPUTS] = m->inputs.len;
        text += n;
        len -= n;
    }
    return kt_ok();
}

kt_result safety_moderation_ask(struct safety_moderation *m, const char *model)
{
    struct kt_buf *b = &m->external.body;
    size_t n = m->ends[0];
    kt_buf_clear(b);
    KT_GUARD(kt_buf_puts(b, "{\"model\":\""));
    KT_GUARD(put_text(b, model, strlen(model)));
    KT_GUARD(kt_buf_puts(b, "\",\"input\":["));
    KT_GUARD(kt_buf_append(b, m->inputs.data, n - 1));
    KT_GUARD(kt_buf_puts(b, "]}"));
    kt_buf_consume(&m->inputs, n);
    m->asked = m->count < SAFETY_MODERATION_INPUTS ? m->count : SAFETY_MODERATION_INPUTS;
    m->count -= m->asked;
    for (size_t i = 0; i + 1 < KT_COUNT(m->ends); i++)
        m->ends[i] = m->ends[i + 1] - n;
    return kt_ok();
}

/* Static name of the category that the key token names; *counts = the rules want it. */
static const char *category_of(const struct kt_json *j, uint32_t key,
                               const struct safety_moderation_rules *rules, bool *counts)
{
    *counts = rules->categories->count == 0;
    for (size_t i = 0; i < rules->categories->count; i++)
        *counts = *counts || kt_json_str_eq(j, key, rules->categories->items[i]);
    for (size_t i = 0; i < KT_COUNT(known); i++)
        if (kt_json_str_eq(j, key, known[i].name)) {
            *counts = *counts && (rules->categories->count > 0 || known[i].harm);
            return known[i].name;
        }
    return "other";
}

static void flag(struct safety_moderation_finding *out, const char *category)
{
    out->flagged = true;
    if (!out->category)
        out->category = category;
}

static kt_result read_scores(const struct kt_json *j, uint32_t scores,
                             const struct safety_moderation_rules *rules,
                             struct safety_moderation_finding *out)
{
    KT_ENSURE(scores && j->tok[scores].type == KT_JSON_OBJECT, KT_ERR_SYNTAX);
    for (uint32_t k = scores + 1; k < j->tok[scores].next; k = j->tok[k + 1].next) {
        bool counts = false;
        double score = 0;
        const char *name = category_of(j, k, rules, &counts);
        KT_GUARD(kt_json_number(j, k + 1, &score));
        KT_ENSURE(score >= 0 && score <= 1, KT_ERR_SYNTAX);
        if (counts && score > out->score)
            out->score = score;
        if (counts && rules->threshold > 0 && score >= rules->threshold)
            flag(out, name);
    }
    return kt_ok();
}

static kt_result read_flags(const struct kt_json *j, uint32_t flags,
                            const struct safety_moderation_rules *rules,
                            struct safety_moderation_finding *out)
{
    KT_ENSURE(flags && j->tok[flags].type == KT_JSON_OBJECT, KT_ERR_SYNTAX);
    for (uint32_t k = flags + 1; k < j->tok[flags].next; k = j->tok[k + 1].next) {
        bool counts = false;
        const char *name = category_of(j, k, rules, &counts);
        unsigned type = j->tok[k + 1].type;
        KT_ENSURE(type == KT_JSON_TRUE || type == KT_JSON_FALSE, KT_ERR_SYNTAX);
        if (counts && type == KT_JSON_TRUE && rules->threshold <= 0)
            flag(out, name);
    }
    return kt_ok();
}

static void json_cleanup(struct kt_json *j)
{
    kt_json_free(j);
}

kt_result safety_moderation_read(struct kt_span body, unsigned asked,
                                 const struct safety_moderation_rules *rules,
                                 struct safety_moderation_finding *out)
{
    *out = (struct safety_moderation_finding){false, 0, NULL};
    KT_ENSURE(body.len <= SAFETY_MODERATION_ANSWER, KT_ERR_LIMIT);
    KT_CLEANUP(json_cleanup) struct kt_json j = {0};
    KT_GUARD(kt_json_parse(&j, body.data, body.len, NULL));
    KT_ENSURE(j.tok[0].type == KT_JSON_OBJECT, KT_ERR_SYNTAX);
    uint32_t results = kt_json_member(&j, 0, "results", NULL);
    KT_ENSURE(results && j.tok[results].type == KT_JSON_ARRAY && j.tok[results].size == asked, KT_ERR_SYNTAX);
    for (uint32_t r = results + 1; r < j.tok[results].next; r = j.tok[r].next) {
        KT_ENSURE(j.tok[r].type == KT_JSON_OBJECT, KT_ERR_SYNTAX);
        KT_GUARD(read_scores(&j, kt_json_member(&j, r, "category_scores", NULL), rules, out));
        KT_GUARD(read_flags(&j, kt_json_member(&j, r, "categories", NULL), rules, out));
    }
    return kt_ok();
}
