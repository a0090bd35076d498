/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/body/kt_json.h"
#include "tools/eval/kt_eval_row.h"

#include <stdlib.h>
#include <string.h>

struct reader {
    struct kt_json json;
    struct eval_row *row;
    struct kt_error *err;
    size_t characters; /* of the text */
};

size_t eval_characters(const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return n;
}

/* The value of a member, 0 where it is absent or null. */
static KT_MUST kt_result find(struct reader *r, uint32_t object, const char *key, uint32_t *tok)
{
    bool twice = false;
    *tok = kt_json_member(&r->json, object, key, &twice);
    if (twice)
        return kt_fail(r->err, KT_ERR_USAGE, "'%s' occurs more than once", key);
    if (*tok && r->json.tok[*tok].type == KT_JSON_NULL)
        *tok = 0;
    return kt_ok();
}

static KT_MUST kt_result read_text(struct reader *r)
{
    uint32_t tok;
    KT_GUARD(find(r, 0, "text", &tok));
    if (!tok || r->json.tok[tok].type != KT_JSON_STRING)
        return kt_fail(r->err, KT_ERR_USAGE, "%s", tok ? "'text' must be a string" : "no 'text'");
    struct kt_buf text = KT_BUF_INIT(EVAL_LINE_MAX);
    kt_result result = kt_json_unescape(&r->json, tok, &text);
    if (result.code != KT_OK) {
        kt_buf_free(&text);
        return result;
    }
    r->row->len = text.len;
    r->row->text = kt_buf_take(&text);
    KT_ENSURE(r->row->text, KT_ERR_MEMORY);
    r->characters = eval_characters(r->row->text, r->row->len);
    return kt_ok();
}

/* A short name; cut at a whole character where it is too long. Numbers and true / false as they stand. */
static KT_MUST kt_result read_name(struct reader *r, uint32_t tok, const char *key, char out[EVAL_NAME_MAX])
{
    out[0] = '\0';
    if (!tok)
        return kt_ok();
    unsigned type = r->json.tok[tok].type;
    if (type == KT_JSON_OBJECT || type == KT_JSON_ARRAY)
        return kt_fail(r->err, KT_ERR_USAGE, "'%s' must be a string", key);
    KT_CLEANUP(kt_buf_free) struct kt_buf b = KT_BUF_INIT(EVAL_LINE_MAX);
    struct kt_span name = kt_json_raw(&r->json, tok);
    if (type == KT_JSON_STRING) {
        KT_GUARD(kt_json_unescape(&r->json, tok, &b));
        name = kt_buf_span(&b);
    }
    size_t n = name.len < EVAL_NAME_MAX ? name.len : EVAL_NAME_MAX - 1;
    while (n < name.len && n > 0 && ((unsigned char)name.data[n] & 0xC0) == 0x80)
        n--;
    memcpy(out, name.data, n);
    out[n] = '\0';
    return kt_ok();
}

static KT_MUST kt_result read_label(struct reader *r)
{
    static const struct {
        const char *name;
        enum eval_label label;
    } labels[] = {
        {"injection", EVAL_POSITIVE}, {"jailbreak", EVAL_POSITIVE}, {"harmful", EVAL_POSITIVE},
        {"unsafe", EVAL_POSITIVE},    {"secret", EVAL_POSITIVE},    {"pii", EVAL_POSITIVE},
        {"positive", EVAL_POSITIVE},  {"1", EVAL_POSITIVE},         {"true", EVAL_POSITIVE},
        {"benign", EVAL_NEGATIVE},    {"safe", EVAL_NEGATIVE},      {"negative", EVAL_NEGATIVE},
        {"0", EVAL_NEGATIVE},         {"false", EVAL_NEGATIVE},
    };
    uint32_t tok;
    char name[EVAL_NAME_MAX];
    KT_GUARD(find(r, 0, "label", &tok));
    KT_GUARD(read_name(r, tok, "label", name));
    if (!tok)
        return kt_ok();
    for (size_t i = 0; i < KT_COUNT(labels); i++)
        if (kt_span_ieq(kt_span(name, strlen(name)), labels[i].name)) {
            r->row->label = labels[i].label;
            return kt_ok();
        }
    if (r->row->has_spans) /* then they say it; the label may be anything */
        return kt_ok();
    return kt_fail(r->err, KT_ERR_USAGE,
                   "unknown label '%.40s'; positive: injection, jailbreak, harmful, unsafe, secret, pii; "
                   "negative: benign, safe",
                   name);
}

static KT_MUST kt_result read_role(struct reader *r)
{
    static const struct {
        const char *name;
        enum kt_origin_class from;
    } roles[] = {{"user", KT_FROM_USER},          {"system", KT_FROM_SYSTEM},
                 {"developer", KT_FROM_SYSTEM},   {"assistant", KT_FROM_ASSISTANT},
                 {"tool", KT_FROM_TOOL},          {"tool_description", KT_FROM_OFFER},
                 {"tool_call", KT_FROM_TOOL_CALL}};
    uint32_t tok;
    char name[EVAL_NAME_MAX];
    KT_GUARD(find(r, 0, "role", &tok));
    KT_GUARD(read_name(r, tok, "role", name));
    r->row->from = KT_FROM_USER;
    for (size_t i = 0; tok && i < KT_COUNT(roles); i++)
        if (strcmp(name, roles[i].name) == 0) {
            r->row->from = roles[i].from;
            return kt_ok();
        }
    return tok ? kt_fail(r->err, KT_ERR_USAGE,
                         "unknown role '%.40s'; there are user, system, developer, assistant, tool, "
                         "tool_description and tool_call",
                         name)
               : kt_ok();
}

/* A whole number that can be an offset. */
static KT_MUST kt_result read_offset(struct reader *r, uint32_t span, const char *key, size_t index,
                                     size_t *out)
{
    uint32_t tok;
    KT_GUARD(find(r, span, key, &tok));
    struct kt_span raw = tok ? kt_json_raw(&r->json, tok) : kt_span("", 0);
    bool digits = raw.len > 0 && raw.len <= 12;
    *out = 0;
    for (size_t i = 0; digits && i < raw.len; i++) {
        digits = raw.data[i] >= '0' && raw.data[i] <= '9';
        *out = *out * 10 + (size_t)(raw.data[i] - '0');
    }
    if (!digits)
        return kt_fail(r->err, KT_ERR_USAGE, "spans[%zu]: '%s' must be a whole number from 0", index, key);
    return kt_ok();
}

static KT_MUST kt_result read_span(struct reader *r, uint32_t tok, size_t index, struct eval_span *s)
{
    if (r->json.tok[tok].type != KT_JSON_OBJECT)
        return kt_fail(r->err, KT_ERR_USAGE, "spans[%zu] must be an object", index);
    uint32_t type;
    KT_GUARD(read_offset(r, tok, "start", index, &s->start));
    KT_GUARD(read_offset(r, tok, "end", index, &s->end));
    KT_GUARD(find(r, tok, "type", &type));
    if (!type || r->json.tok[type].type != KT_JSON_STRING ||
        r->json.tok[type].end - r->json.tok[type].start <= 2)
        return kt_fail(r->err, KT_ERR_USAGE, "spans[%zu]: 'type' must be a name", index);
    KT_GUARD(read_name(r, type, "type", s->type));
    if (s->start >= s->end || s->end > r->characters)
        return kt_fail(r->err, KT_ERR_USAGE,
                       "spans[%zu] from %zu to %zu does not lie in the text, which has %zu characters", index,
                       s->start, s->end, r->characters);
    return kt_ok();
}

static int by_start(const void *a, const void *b)
{
    const struct eval_span *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static KT_MUST kt_result read_spans(struct reader *r)
{
    uint32_t list;
    KT_GUARD(find(r, 0, "spans", &list));
    if (!list)
        return kt_ok();
    const struct kt_json_tok *t = &r->json.tok[list];
    if (t->type != KT_JSON_ARRAY)
        return kt_fail(r->err, KT_ERR_USAGE, "'spans' must be a list");
    if (t->size > EVAL_SPANS_MAX)
        return kt_fail(r->err, KT_ERR_LIMIT, "more than %u spans", EVAL_SPANS_MAX);
    r->row->has_spans = true;
    r->row->spans = calloc(t->size ? t->size : 1, sizeof *r->row->spans);
    KT_ENSURE(r->row->spans, KT_ERR_MEMORY);
    for (uint32_t e = list + 1; e < t->next; e = r->json.tok[e].next) {
        KT_GUARD(read_span(r, e, r->row->span_count, &r->row->spans[r->row->span_count]));
        r->row->span_count++;
    }
    qsort(r->row->spans, r->row->span_count, sizeof *r->row->spans, by_start);
    return kt_ok();
}

static KT_MUST kt_result read_row(struct reader *r, struct kt_span line)
{
    uint32_t lang, source;
    if (line.len > 1 && (memcmp(line.data, "\xff\xfe", 2) == 0 || memcmp(line.data, "\xfe\xff", 2) == 0))
        return kt_fail(r->err, KT_ERR_USAGE,
                       "the file is UTF-16; it must be UTF-8 (iconv -f UTF-16 -t UTF-8)");
    if (line.len > 0 && line.data[0] == '[')
        return kt_fail(r->err, KT_ERR_USAGE,
                       "begins with '[': a row must be a JSON object on a line of its own (jq -c '.[]' makes "
                       "them of a list)");
    KT_GUARD(kt_json_parse(&r->json, line.data, line.len, r->err));
    if (r->json.tok[0].type != KT_JSON_OBJECT)
        return kt_fail(r->err, KT_ERR_USAGE, "a row must be a JSON object");
    KT_GUARD(read_text(r));
    KT_GUARD(read_spans(r));
    KT_GUARD(read_label(r));
    KT_GUARD(read_role(r));
    KT_GUARD(find(r, 0, "lang", &lang));
    KT_GUARD(read_name(r, lang, "lang", r->row->lang));
    KT_GUARD(find(r, 0, "source", &source));
    return read_name(r, source, "source", r->row->source);
}

kt_result eval_row_parse(struct kt_span line, struct eval_row *out, struct kt_error *err)
{
    *out = (struct eval_row){.text = NULL};
    struct reader r = {.row = out, .err = err};
    if (err)
        err->text[0] = '\0';
    kt_result result = read_row(&r, line);
    kt_json_free(&r.json);
    if (result.code == KT_OK)
        return result;
    eval_row_free(out);
    if (err && !err->text[0])
        return kt_fail(err, result.code, "the row cannot be read: %s", kt_code_name(result.code));
    return result;
}

void eval_row_free(struct eval_row *r)
{
    free(r->text);
    free(r->spans);
    *r = (struct eval_row){.text = NULL};
}
