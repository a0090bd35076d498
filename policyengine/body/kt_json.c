/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar: one loop over the text with an explicit stack of open containers. */
#include "policyengine/body/kt_json_lex.h"

#include <stdlib.h>
#include <string.h>

enum want { WANT_VALUE, WANT_VALUE_OR_END, WANT_KEY, WANT_KEY_OR_END, WANT_COMMA_OR_END, WANT_NOTHING };

struct parser {
    struct kt_json *j;
    struct kt_error *err;
    size_t pos;
    uint32_t cap;
    uint32_t depth;
    enum want want;
    uint32_t open[KT_JSON_MAX_DEPTH]; /* tokens of the containers that are not closed yet */
};

static kt_result bad(struct parser *p, const char *what)
{
    if (p->pos >= p->j->len)
        return kt_fail(p->err, KT_ERR_SYNTAX, "the JSON text ends at byte %zu, where %s was expected", p->pos,
                       what);
    return kt_fail(p->err, KT_ERR_SYNTAX, "at byte %zu of the JSON text: %s was expected", p->pos, what);
}

static kt_result grow(struct parser *p)
{
    if (p->cap >= KT_JSON_MAX_TOKENS)
        return kt_fail(p->err, KT_ERR_LIMIT, "the JSON text has more than %u values", KT_JSON_MAX_TOKENS);
    uint32_t cap = p->cap ? p->cap * 2 : 64;
    struct kt_json_tok *tok = realloc(p->j->tok, cap * sizeof *tok);
    if (!tok)
        return kt_fail(p->err, KT_ERR_MEMORY, "out of memory");
    p->j->tok = tok;
    p->cap = cap;
    return kt_ok();
}

/* Adds a token that starts at `start` and ends at the current position. */
static kt_result push(struct parser *p, enum kt_json_type type, size_t start, bool escaped)
{
    if (p->j->count == p->cap)
        KT_GUARD(grow(p));
    struct kt_json_tok *t = &p->j->tok[p->j->count++];
    t->start = (uint32_t)start;
    t->end = (uint32_t)p->pos;
    t->next = p->j->count;
    t->type = type;
    t->escaped = escaped;
    t->size = 0;
    return kt_ok();
}

/* What may stand behind a finished value. */
static void value_done(struct parser *p)
{
    p->want = p->depth > 0 ? WANT_COMMA_OR_END : WANT_NOTHING;
    if (p->depth > 0)
        p->j->tok[p->open[p->depth - 1]].size++;
}

static kt_result open_container(struct parser *p, enum kt_json_type type)
{
    if (p->depth == KT_JSON_MAX_DEPTH)
        return kt_fail(p->err, KT_ERR_LIMIT, "the JSON text is nested deeper than %d levels",
                       KT_JSON_MAX_DEPTH);
    size_t start = p->pos++;
    KT_GUARD(push(p, type, start, false));
    p->open[p->depth++] = p->j->count - 1;
    p->want = type == KT_JSON_OBJECT ? WANT_KEY_OR_END : WANT_VALUE_OR_END;
    return kt_ok();
}

static void close_container(struct parser *p)
{
    struct kt_json_tok *t = &p->j->tok[p->open[--p->depth]];
    t->end = (uint32_t)++p->pos;
    t->next = p->j->count;
    value_done(p);
}

static kt_result string(struct parser *p)
{
    size_t start = p->pos;
    bool escaped;
    if (!kt_json_lex_string(p->j->text, p->j->len, &p->pos, &escaped))
        return bad(p, "valid string content (UTF-8, escaped control characters, a closing quote)");
    return push(p, KT_JSON_STRING, start, escaped);
}

static kt_result word(struct parser *p, enum kt_json_type type, const char *text)
{
    size_t start = p->pos;
    if (!kt_json_lex_word(p->j->text, p->j->len, &p->pos, text))
        return bad(p, "true, false or null");
    KT_GUARD(push(p, type, start, false));
    value_done(p);
    return kt_ok();
}

static kt_result number(struct parser *p)
{
    size_t start = p->pos;
    if (!kt_json_lex_number(p->j->text, p->j->len, &p->pos))
        return bad(p, "a digit");
    KT_GUARD(push(p, KT_JSON_NUMBER, start, false));
    value_done(p);
    return kt_ok();
}

static kt_result value(struct parser *p, char c)
{
    switch (c) {
    case '{':
        return open_container(p, KT_JSON_OBJECT);
    case '[':
        return open_container(p, KT_JSON_ARRAY);
    case '"':
        KT_GUARD(string(p));
        value_done(p);
        return kt_ok();
    case 't':
        return word(p, KT_JSON_TRUE, "true");
    case 'f':
        return word(p, KT_JSON_FALSE, "false");
    case 'n':
        return word(p, KT_JSON_NULL, "null");
    default:
        if (c == '-' || (c >= '0' && c <= '9'))
            return number(p);
        return bad(p, "a value");
    }
}

static kt_result key(struct parser *p, char c)
{
    if (c != '"')
        return bad(p, "a member name in quotes");
    KT_GUARD(string(p));
    p->pos = kt_json_lex_space(p->j->text, p->j->len, p->pos);
    if (p->pos >= p->j->len || p->j->text[p->pos] != ':')
        return bad(p, "':'");
    p->pos++;
    p->want = WANT_VALUE;
    return kt_ok();
}

static kt_result comma(struct parser *p, char c)
{
    if (c != ',')
        return bad(p, "',' or the end of the list");
    p->pos++;
    bool object = p->j->tok[p->open[p->depth - 1]].type == KT_JSON_OBJECT;
    p->want = object ? WANT_KEY : WANT_VALUE;
    return kt_ok();
}

static bool closes(const struct parser *p, char c)
{
    if (p->depth == 0 || p->want == WANT_VALUE || p->want == WANT_KEY)
        return false;
    return c == (p->j->tok[p->open[p->depth - 1]].type == KT_JSON_OBJECT ? '}' : ']');
}

static kt_result step(struct parser *p, char c)
{
    if (closes(p, c)) {
        close_container(p);
        return kt_ok();
    }
    switch (p->want) {
    case WANT_VALUE:
    case WANT_VALUE_OR_END:
        return value(p, c);
    case WANT_KEY:
    case WANT_KEY_OR_END:
        return key(p, c);
    case WANT_COMMA_OR_END:
        return comma(p, c);
    case WANT_NOTHING:
        break;
    }
    return bad(p, "the end");
}

static kt_result run(struct parser *p)
{
    for (;;) {
        p->pos = kt_json_lex_space(p->j->text, p->j->len, p->pos);
        if (p->pos >= p->j->len)
            return p->want == WANT_NOTHING ? kt_ok() : bad(p, "more");
        KT_GUARD(step(p, p->j->text[p->pos]));
    }
}

kt_result kt_json_parse(struct kt_json *j, const char *text, size_t len, struct kt_error *err)
{
    memset(j, 0, sizeof *j);
    if (len > UINT32_MAX)
        return kt_fail(err, KT_ERR_LIMIT, "the JSON text is larger than 4 GiB");
    j->text = text;
    j->len = len;
    struct parser p;
    p.j = j;
    p.err = err;
    p.pos = 0;
    p.cap = p.depth = 0;
    p.want = WANT_VALUE;
    kt_result r = run(&p);
    if (r.code != KT_OK)
        kt_json_free(j);
    return r;
}

void kt_json_free(struct kt_json *j)
{
    free(j->tok);
    memset(j, 0, sizeof *j);
}

uint32_t kt_json_member(const struct kt_json *j, uint32_t obj, const char *name, bool *duplicate)
{
    uint32_t found = 0;
    if (duplicate)
        *duplicate = false;
    if (obj >= j->count || j->tok[obj].type != KT_JSON_OBJECT)
        return 0;
    size_t len = strlen(name);
    for (uint32_t k = obj + 1; k < j->tok[obj].next; k = j->tok[k + 1].next) {
        const struct kt_json_tok *t = &j->tok[k];
        const char *raw = j->text + t->start + 1;
        if (!t->escaped && (t->end - t->start - 2 != len || (len && *raw != *name))) /* most differ here */
            continue;
        if (t->escaped ? !kt_json_escaped_eq(j, k, name) : memcmp(raw, name, len) != 0)
            continue;
        if (duplicate && found)
            *duplicate = true;
        found = k + 1;
    }
    return found;
}
