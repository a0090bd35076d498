/* SPDX-License-Identifier: Apache-2.0 */
/* A subset of JSON schema, read straight from the tokens of the schema and of the document. */
#include "policyengine/detect/kt_chars.h"
#include "policyengine/policies/quality.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PATTERNS_MAX 64u

struct quality_schema {
    char *text; /* owned */
    struct kt_json json;
    struct {
        uint32_t tok; /* of the string */
        struct kt_user_regex *regex;
    } patterns[PATTERNS_MAX];
    size_t pattern_count;
};

static bool is_type(const struct kt_json *j, uint32_t t, unsigned type)
{
    return j->tok[t].type == type;
}

static bool is_bool(const struct kt_json *j, uint32_t t)
{
    return is_type(j, t, KT_JSON_TRUE) || is_type(j, t, KT_JSON_FALSE);
}

/* ---- when the config is loaded: is it a schema that we can follow? ---- */

static bool strings_only(const struct kt_json *j, uint32_t t)
{
    uint32_t i = t + 1;
    while (i < j->tok[t].next && is_type(j, i, KT_JSON_STRING))
        i = j->tok[i].next;
    return is_type(j, t, KT_JSON_ARRAY) && i == j->tok[t].next;
}

static bool count_like(const struct kt_json *j, uint32_t t)
{
    double v = -1;
    return kt_is_ok(kt_json_number(j, t, &v)) && v >= 0 && floor(v) == v;
}

static bool type_like(const struct kt_json *j, uint32_t t)
{
    static const char *const names[] = {"object", "array", "string", "number", "integer", "boolean", "null"};
    bool known = false;
    if (is_type(j, t, KT_JSON_ARRAY)) {
        uint32_t i = t + 1;
        while (i < j->tok[t].next && is_type(j, i, KT_JSON_STRING) && type_like(j, i))
            i = j->tok[i].next;
        return i == j->tok[t].next && i > t + 1;
    }
    for (size_t i = 0; i < KT_COUNT(names); i++)
        known = known || kt_json_str_eq(j, t, names[i]);
    return known;
}

static const struct {
    const char *name;
    enum {
        K_TYPE,
        K_MEMBERS,
        K_SUB,
        K_SUB_OR_BOOL,
        K_NAMES,
        K_LIST,
        K_ANY,
        K_NUMBER,
        K_COUNT,
        K_PATTERN
    } kind;
} keywords[] = {
    {"type", K_TYPE},
    {"properties", K_MEMBERS},
    {"items", K_SUB},
    {"required", K_NAMES},
    {"enum", K_LIST},
    {"additionalProperties", K_SUB_OR_BOOL},
    {"const", K_ANY},
    {"minimum", K_NUMBER},
    {"maximum", K_NUMBER},
    {"minLength", K_COUNT},
    {"exclusiveMinimum", K_NUMBER},
    {"exclusiveMaximum", K_NUMBER},
    {"maxLength", K_COUNT},
    {"minItems", K_COUNT},
    {"maxItems", K_COUNT},
    {"pattern", K_PATTERN},
    {"title", K_ANY},
    {"description", K_ANY},
    {"default", K_ANY},
    {"examples", K_ANY},
    {"$schema", K_ANY},
    {"$id", K_ANY},
};

static kt_result check(struct quality_schema *s, uint32_t t, unsigned depth, struct kt_error *err);

static kt_result check_members(struct quality_schema *s, uint32_t t, unsigned depth, struct kt_error *err)
{
    const struct kt_json *j = &s->json;
    if (!is_type(j, t, KT_JSON_OBJECT) || j->tok[t].size > QUALITY_SCHEMA_MEMBERS)
        return kt_fail(err, KT_ERR_USAGE, "schema: properties must be a mapping of up to 128 names");
    for (uint32_t k = t + 1; k < j->tok[t].next; k = j->tok[k + 1].next)
        KT_GUARD(check(s, k + 1, depth + 1, err));
    return kt_ok();
}

static kt_result check_pattern(struct quality_schema *s, uint32_t t, struct kt_error *err)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf text = KT_BUF_INIT(KT_USER_REGEX_BYTES * 2);
    if (!is_type(&s->json, t, KT_JSON_STRING) || s->pattern_count == PATTERNS_MAX)
        return kt_fail(err, KT_ERR_USAGE, "schema: pattern must be a text, and there may be 64 of them");
    KT_GUARD(kt_json_unescape(&s->json, t, &text));
    KT_GUARD(kt_user_regex_new(kt_buf_span(&text).data, false, &s->patterns[s->pattern_count].regex, err));
    s->patterns[s->pattern_count++].tok = t;
    return kt_ok();
}

static kt_result check_keyword(struct quality_schema *s, size_t keyword, uint32_t t, unsigned depth,
                               struct kt_error *err)
{
    const struct kt_json *j = &s->json;
    double v = 0;
    bool ok = true;
    switch (keywords[keyword].kind) {
    case K_TYPE:
        ok = type_like(j, t);
        break;
    case K_MEMBERS:
        return check_members(s, t, depth, err);
    case K_SUB_OR_BOOL:
        if (is_bool(j, t))
            return kt_ok();
        return check(s, t, depth + 1, err);
    case K_SUB:
        return check(s, t, depth + 1, err);
    case K_NAMES:
        ok = strings_only(j, t) && j->tok[t].size <= QUALITY_SCHEMA_MEMBERS;
        break;
    case K_LIST:
        ok = is_type(j, t, KT_JSON_ARRAY) && j->tok[t].size > 0;
        break;
    case K_NUMBER:
        ok = kt_is_ok(kt_json_number(j, t, &v));
        break;
    case K_COUNT:
        ok = count_like(j, t);
        break;
    case K_PATTERN:
        return check_pattern(s, t, err);
    case K_ANY:
        break;
    }
    return ok ? kt_ok()
              : kt_fail(err, KT_ERR_USAGE, "schema: '%s' has a value of the wrong kind",
                        keywords[keyword].name);
}

static kt_result check(struct quality_schema *s, uint32_t t, unsigned depth, struct kt_error *err)
{
    const struct kt_json *j = &s->json;
    if (!is_type(j, t, KT_JSON_OBJECT))
        return kt_fail(err, KT_ERR_USAGE, "schema: must be a mapping of keywords");
    if (depth > QUALITY_SCHEMA_DEPTH)
        return kt_fail(err, KT_ERR_USAGE, "schema: nests deeper than %u", QUALITY_SCHEMA_DEPTH);
    for (uint32_t k = t + 1; k < j->tok[t].next; k = j->tok[k + 1].next) {
        size_t i = 0;
        while (i < KT_COUNT(keywords) && !kt_json_str_eq(j, k, keywords[i].name))
            i++;
        struct kt_span raw = kt_json_raw(j, k);
        if (i == KT_COUNT(keywords))
            return kt_fail(err, KT_ERR_USAGE, "schema: keyword %.*s is not supported",
                           (int)(raw.len < 40 ? raw.len : 40), raw.data);
        KT_GUARD(check_keyword(s, i, k + 1, depth, err));
    }
    return kt_ok();
}

static void schema_cleanup(struct quality_schema **s)
{
    quality_schema_free(*s);
}

kt_result quality_schema_new(const char *text, struct quality_schema **out, struct kt_error *err)
{
    *out = NULL;
    KT_CLEANUP(schema_cleanup) struct quality_schema *s = calloc(1, sizeof *s);
    KT_ENSURE(s, KT_ERR_MEMORY);
    s->text = strdup(text);
    KT_ENSURE(s->text, KT_ERR_MEMORY);
    KT_GUARD(kt_json_parse(&s->json, s->text, strlen(s->text), err));
    KT_GUARD(check(s, 0, 1, err));
    *out = KT_TAKE(s);
    return kt_ok();
}

void quality_schema_free(struct quality_schema *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->pattern_count; i++)
        kt_user_regex_free(s->patterns[i].regex);
    kt_json_free(&s->json);
    free(s->text);
    free(s);
}

/* ---- when an answer comes ---- */

/* True where two strings spell the same. */
static bool same_text(const struct kt_json *a, uint32_t x, const struct kt_json *b, uint32_t y)
{
    struct kt_span p = kt_json_raw(a, x), q = kt_json_raw(b, y);
    if (!a->tok[x].escaped && !b->tok[y].escaped)
        return p.len == q.len && memcmp(p.data, q.data, p.len) == 0;
    KT_CLEANUP(kt_buf_free)
    struct kt_buf l = KT_BUF_INIT(QUALITY_ANSWER_MAX), r = KT_BUF_INIT(QUALITY_ANSWER_MAX);
    return kt_is_ok(kt_json_unescape(a, x, &l)) && kt_is_ok(kt_json_unescape(b, y, &r)) && l.len == r.len &&
           (l.len == 0 || memcmp(l.data, r.data, l.len) == 0);
}

/* The value of the member that the key token `key` of `of` names; 0 = none. */
static uint32_t member(const struct kt_json *j, uint32_t object, const struct kt_json *of, uint32_t key)
{
    for (uint32_t k = object + 1; k < j->tok[object].next; k = j->tok[k + 1].next)
        if (same_text(j, k, of, key))
            return k + 1;
    return 0;
}

/* `want` lies in the schema, so its size and depth are the config's. */
static bool equal(const struct kt_json *w, uint32_t want, const struct kt_json *d, uint32_t t)
{
    double a = 0, b = 0;
    if (w->tok[want].type != d->tok[t].type)
        return false;
    switch (w->tok[want].type) {
    case KT_JSON_STRING:
        return same_text(w, want, d, t);
    case KT_JSON_NUMBER:
        return kt_is_ok(kt_json_number(w, want, &a)) && kt_is_ok(kt_json_number(d, t, &b)) && !(a < b) &&
               !(a > b);
    case KT_JSON_ARRAY:
    case KT_JSON_OBJECT:
        break;
    default:
        return true;
    }
    if (w->tok[want].size != d->tok[t].size)
        return false;
    bool object = w->tok[want].type == KT_JSON_OBJECT;
    uint32_t i = want + 1, k = t + 1;
    for (; i < w->tok[want].next; i = w->tok[i + object].next) {
        uint32_t other = object ? member(d, t, w, i) : k;
        if ((object && !other) || !equal(w, i + object, d, other))
            return false;
        k = object ? k : d->tok[k].next;
    }
    return true;
}

struct match {
    const struct quality_schema *s;
    const struct kt_json *d;
};

static bool holds(const struct match *m, uint32_t schema, uint32_t t);

static bool has_type(const struct match *m, uint32_t name, uint32_t t)
{
    const struct kt_json *j = &m->s->json;
    double v = 0;
    static const char *const names[] = {
        [KT_JSON_OBJECT] = "object", [KT_JSON_ARRAY] = "array",  [KT_JSON_STRING] = "string",
        [KT_JSON_NUMBER] = "number", [KT_JSON_TRUE] = "boolean", [KT_JSON_FALSE] = "boolean",
        [KT_JSON_NULL] = "null"};
    if (is_type(j, name, KT_JSON_ARRAY)) {
        for (uint32_t i = name + 1; i < j->tok[name].next; i = j->tok[i].next)
            if (has_type(m, i, t))
                return true;
        return false;
    }
    if (kt_json_str_eq(j, name, "integer"))
        return kt_is_ok(kt_json_number(m->d, t, &v)) && floor(v) == v;
    return kt_json_str_eq(j, name, names[m->d->tok[t].type]);
}

static bool members_hold(const struct match *m, uint32_t schema, uint32_t t)
{
    const struct kt_json *j = &m->s->json;
    uint32_t properties = kt_json_member(j, schema, "properties", NULL);
    uint32_t others = kt_json_member(j, schema, "additionalProperties", NULL);
    for (uint32_t k = t + 1; (properties || others) && k < m->d->tok[t].next; k = m->d->tok[k + 1].next) {
        uint32_t sub = properties ? member(j, properties, m->d, k) : 0;
        if (!sub && others && is_bool(j, others)) {
            if (is_type(j, others, KT_JSON_FALSE))
                return false;
            continue;
        }
        sub = sub ? sub : others;
        if (sub && !holds(m, sub, k + 1))
            return false;
    }
    uint32_t required = kt_json_member(j, schema, "required", NULL);
    for (uint32_t i = required + 1; required && i < j->tok[required].next; i = j->tok[i].next)
        if (!member(m->d, t, j, i))
            return false;
    return true;
}

/* `value` against the limits; 0 = no such keyword. */
static bool within(const struct kt_json *j, uint32_t schema, const char *least, const char *most,
                   double value)
{
    double v = 0;
    uint32_t low = kt_json_member(j, schema, least, NULL), high = kt_json_member(j, schema, most, NULL);
    return !(low && (!kt_is_ok(kt_json_number(j, low, &v)) || value < v)) &&
           !(high && (!kt_is_ok(kt_json_number(j, high, &v)) || value > v));
}

static bool number_holds(const struct match *m, uint32_t schema, uint32_t t)
{
    const struct kt_json *j = &m->s->json;
    double v = 0, bound = 0;
    uint32_t above = kt_json_member(j, schema, "exclusiveMinimum", NULL);
    uint32_t below = kt_json_member(j, schema, "exclusiveMaximum", NULL);
    return kt_is_ok(kt_json_number(m->d, t, &v)) && within(j, schema, "minimum", "maximum", v) &&
           !(above && (!kt_is_ok(kt_json_number(j, above, &bound)) || v <= bound)) &&
           !(below && (!kt_is_ok(kt_json_number(j, below, &bound)) || v >= bound));
}

static bool string_holds(const struct match *m, uint32_t schema, uint32_t t)
{
    const struct kt_json *j = &m->s->json;
    KT_CLEANUP(kt_buf_free) struct kt_buf text = KT_BUF_INIT(QUALITY_ANSWER_MAX);
    if (!kt_is_ok(kt_json_unescape(m->d, t, &text)))
        return false;
    struct kt_span s = kt_buf_span(&text);
    uint32_t pattern = kt_json_member(j, schema, "pattern", NULL);
    for (size_t i = 0; pattern && i < m->s->pattern_count; i++)
        if (m->s->patterns[i].tok == pattern && !kt_user_regex_find(m->s->patterns[i].regex, s.data, s.len))
            return false;
    return within(j, schema, "minLength", "maxLength", (double)kt_chars_count(s.data, s.len));
}

static bool array_holds(const struct match *m, uint32_t schema, uint32_t t)
{
    const struct kt_json *j = &m->s->json;
    uint32_t items = kt_json_member(j, schema, "items", NULL);
    for (uint32_t i = t + 1; items && i < m->d->tok[t].next; i = m->d->tok[i].next)
        if (!holds(m, items, i))
            return false;
    return within(j, schema, "minItems", "maxItems", m->d->tok[t].size);
}

static bool one_of(const struct match *m, uint32_t list, uint32_t t)
{
    const struct kt_json *j = &m->s->json;
    for (uint32_t i = list + 1; i < j->tok[list].next; i = j->tok[i].next)
        if (equal(j, i, m->d, t))
            return true;
    return false;
}

/* As deep as the schema, QUALITY_SCHEMA_DEPTH at most. */
static bool holds(const struct match *m, uint32_t schema, uint32_t t)
{
    const struct kt_json *j = &m->s->json;
    uint32_t type = kt_json_member(j, schema, "type", NULL), list = kt_json_member(j, schema, "enum", NULL);
    uint32_t one = kt_json_member(j, schema, "const", NULL);
    if ((type && !has_type(m, type, t)) || (list && !one_of(m, list, t)) || (one && !equal(j, one, m->d, t)))
        return false;
    switch (m->d->tok[t].type) {
    case KT_JSON_OBJECT:
        return members_hold(m, schema, t);
    case KT_JSON_ARRAY:
        return array_holds(m, schema, t);
    case KT_JSON_STRING:
        return string_holds(m, schema, t);
    case KT_JSON_NUMBER:
        return number_holds(m, schema, t);
    default:
        return true;
    }
}

bool quality_schema_holds(const struct quality_schema *s, const struct kt_json *doc)
{
    const struct match m = {s, doc};
    return holds(&m, 0, 0);
}
