/* SPDX-License-Identifier: Apache-2.0 */
/* Does a document follow a schema? Both are read straight from their tokens. */
#include "policyengine/detect/kt_chars.h"
#include "policyengine/policies/quality_schema.h"

#include <math.h>
#include <string.h>

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
    if (w->tok[want].type != d->tok[t].type)
        return false;
    switch (w->tok[want].type) {
    case KT_JSON_STRING:
        return same_text(w, want, d, t);
    case KT_JSON_NUMBER:
        return kt_json_number_compare(w, want, d, t) == 0;
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
    unsigned long steps; /* left: branches within branches multiply */
};

static bool holds(struct match *m, uint32_t schema, uint32_t t);

static bool has_type(struct match *m, uint32_t name, uint32_t t)
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

/* `value` against the limits; 0 = no such keyword. */
static bool within(const struct kt_json *j, uint32_t schema, const char *least, const char *most,
                   double value)
{
    double v = 0;
    uint32_t low = kt_json_member(j, schema, least, NULL), high = kt_json_member(j, schema, most, NULL);
    return !(low && (!kt_is_ok(kt_json_number(j, low, &v)) || value < v)) &&
           !(high && (!kt_is_ok(kt_json_number(j, high, &v)) || value > v));
}

static bool members_hold(struct match *m, uint32_t schema, uint32_t t)
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
    return within(j, schema, "minProperties", "maxProperties", m->d->tok[t].size);
}

static bool number_holds(struct match *m, uint32_t schema, uint32_t t)
{
    const struct kt_json *j = &m->s->json;
    double v = 0, bound = 0;
    uint32_t above = kt_json_member(j, schema, "exclusiveMinimum", NULL);
    uint32_t below = kt_json_member(j, schema, "exclusiveMaximum", NULL);
    uint32_t step = kt_json_member(j, schema, "multipleOf", NULL);
    if (step && (!kt_is_ok(kt_json_number(j, step, &bound)) || !kt_is_ok(kt_json_number(m->d, t, &v)) ||
                 fabs(remainder(v, bound)) > fabs(bound) * 1e-9))
        return false;
    uint32_t low = kt_json_member(j, schema, "minimum", NULL),
             high = kt_json_member(j, schema, "maximum", NULL);
    return !(low && kt_json_number_compare(m->d, t, j, low) < 0) &&
           !(high && kt_json_number_compare(m->d, t, j, high) > 0) &&
           !(above && kt_json_number_compare(m->d, t, j, above) <= 0) &&
           !(below && kt_json_number_compare(m->d, t, j, below) >= 0);
}

static bool string_holds(struct match *m, uint32_t schema, uint32_t t)
{
    const struct kt_json *j = &m->s->json;
    KT_CLEANUP(kt_buf_free) struct kt_buf text = KT_BUF_INIT(QUALITY_ANSWER_MAX);
    if (!kt_is_ok(kt_json_unescape(m->d, t, &text)))
        return false;
    struct kt_span s = kt_buf_span(&text);
    uint32_t pattern = kt_json_member(j, schema, "pattern", NULL);
    uint32_t format = kt_json_member(j, schema, "format", NULL);
    for (size_t i = 0; (pattern || format) && i < m->s->pattern_count; i++)
        if ((m->s->patterns[i].tok == pattern || m->s->patterns[i].tok == format) &&
            !kt_user_regex_find(m->s->patterns[i].regex, s.data, s.len))
            return false;
    return within(j, schema, "minLength", "maxLength", (double)kt_chars_count(s.data, s.len));
}

/* Quadratic, so that a list past QUALITY_SCHEMA_UNIQUE is not taken for one without doubles. */
static bool unique(struct match *m, uint32_t t)
{
    if (m->d->tok[t].size > QUALITY_SCHEMA_UNIQUE)
        return false;
    for (uint32_t i = t + 1; i < m->d->tok[t].next; i = m->d->tok[i].next)
        for (uint32_t k = m->d->tok[i].next; k < m->d->tok[t].next; k = m->d->tok[k].next)
            if (equal(m->d, i, m->d, k))
                return false;
    return true;
}

static bool array_holds(struct match *m, uint32_t schema, uint32_t t)
{
    const struct kt_json *j = &m->s->json;
    uint32_t items = kt_json_member(j, schema, "items", NULL);
    uint32_t no_doubles = kt_json_member(j, schema, "uniqueItems", NULL);
    if (no_doubles && is_type(j, no_doubles, KT_JSON_TRUE) && !unique(m, t))
        return false;
    uint32_t wanted = kt_json_member(j, schema, "contains", NULL);
    bool contains = !wanted;
    for (uint32_t i = t + 1; !contains && i < m->d->tok[t].next; i = m->d->tok[i].next)
        contains = holds(m, wanted, i);
    if (!contains)
        return false;
    for (uint32_t i = t + 1; items && i < m->d->tok[t].next; i = m->d->tok[i].next)
        if (!holds(m, items, i))
            return false;
    return within(j, schema, "minItems", "maxItems", m->d->tok[t].size);
}

static bool one_of(struct match *m, uint32_t list, uint32_t t)
{
    const struct kt_json *j = &m->s->json;
    for (uint32_t i = list + 1; i < j->tok[list].next; i = j->tok[i].next)
        if (equal(j, i, m->d, t))
            return true;
    return false;
}

/* How many of the schemas of a list hold. */
static size_t count_of(struct match *m, uint32_t list, uint32_t t)
{
    size_t n = 0;
    for (uint32_t i = list + 1; i < m->s->json.tok[list].next; i = m->s->json.tok[i].next)
        n += holds(m, i, t);
    return n;
}

static bool branches_hold(struct match *m, uint32_t schema, uint32_t t)
{
    const struct kt_json *j = &m->s->json;
    uint32_t any = kt_json_member(j, schema, "anyOf", NULL), one = kt_json_member(j, schema, "oneOf", NULL);
    uint32_t all = kt_json_member(j, schema, "allOf", NULL), none = kt_json_member(j, schema, "not", NULL);
    return (!any || count_of(m, any, t) > 0) && (!one || count_of(m, one, t) == 1) &&
           (!all || count_of(m, all, t) == j->tok[all].size) && !(none && holds(m, none, t));
}

/* As deep as the schema, QUALITY_SCHEMA_DEPTH at most. */
static bool holds(struct match *m, uint32_t schema, uint32_t t)
{
    const struct kt_json *j = &m->s->json;
    uint32_t type = kt_json_member(j, schema, "type", NULL), list = kt_json_member(j, schema, "enum", NULL);
    uint32_t one = kt_json_member(j, schema, "const", NULL);
    if (m->steps == 0)
        return false;
    m->steps--;
    if ((type && !has_type(m, type, t)) || (list && !one_of(m, list, t)) || (one && !equal(j, one, m->d, t)))
        return false;
    if (!branches_hold(m, schema, t))
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
    struct match m = {s, doc, QUALITY_SCHEMA_STEPS};
    bool follows = holds(&m, 0, 0);
    return follows && m.steps > 0; /* a `not` may hold because the steps ran out */
}
