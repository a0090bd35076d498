/* SPDX-License-Identifier: Apache-2.0 */
/* A subset of JSON schema, read straight from its tokens: is it one that we can follow? */
#include "policyengine/policies/quality_schema.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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
        K_SUBS,
        K_BOOL,
        K_NAMES,
        K_LIST,
        K_ANY,
        K_NUMBER,
        K_COUNT,
        K_PATTERN,
        K_FORMAT
    } kind;
} keywords[] = {
    {"type", K_TYPE},
    {"properties", K_MEMBERS},
    {"items", K_SUB},
    {"required", K_NAMES},
    {"enum", K_LIST},
    {"additionalProperties", K_SUB_OR_BOOL},
    {"const", K_ANY},
    {"anyOf", K_SUBS},
    {"oneOf", K_SUBS},
    {"allOf", K_SUBS},
    {"not", K_SUB},
    {"uniqueItems", K_BOOL},
    {"multipleOf", K_NUMBER},
    {"minimum", K_NUMBER},
    {"maximum", K_NUMBER},
    {"minLength", K_COUNT},
    {"exclusiveMinimum", K_NUMBER},
    {"exclusiveMaximum", K_NUMBER},
    {"maxLength", K_COUNT},
    {"minItems", K_COUNT},
    {"maxItems", K_COUNT},
    {"pattern", K_PATTERN},
    {"format", K_FORMAT},
    {"minProperties", K_COUNT},
    {"maxProperties", K_COUNT},
    {"contains", K_SUB},
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

static kt_result check_subs(struct quality_schema *s, uint32_t t, unsigned depth, struct kt_error *err)
{
    const struct kt_json *j = &s->json;
    if (!is_type(j, t, KT_JSON_ARRAY) || j->tok[t].size == 0 || j->tok[t].size > QUALITY_SCHEMA_BRANCHES)
        return kt_fail(err, KT_ERR_USAGE, "schema: anyOf, oneOf and allOf must be lists of 1 to %u schemas",
                       QUALITY_SCHEMA_BRANCHES);
    for (uint32_t i = t + 1; i < j->tok[t].next; i = j->tok[i].next)
        KT_GUARD(check(s, i, depth + 1, err));
    return kt_ok();
}

#define DATE "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
#define TIME "([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\\.[0-9]+)?(Z|z|[+-][0-9]{2}:[0-9]{2})"
#define BYTE "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9][0-9]|[0-9])"
#define HEX "[0-9A-Fa-f]"

/* Formats that an expression says whole; others would be promised and not checked. */
static const struct {
    const char *name, *expression;
} formats[] = {
    {"date", "^" DATE "$"},
    {"time", "^" TIME "$"},
    {"date-time", "^" DATE "[Tt ]" TIME "$"},
    {"email", "^[^@\\s]+@[^@\\s.]+(\\.[^@\\s.]+)+$"},
    {"ipv4", "^" BYTE "\\." BYTE "\\." BYTE "\\." BYTE "$"},
    {"uri", "^[A-Za-z][A-Za-z0-9+.-]*:\\S+$"},
    {"uuid", "^" HEX "{8}-" HEX "{4}-" HEX "{4}-" HEX "{4}-" HEX "{12}$"},
};

static kt_result add_pattern(struct quality_schema *s, uint32_t t, const char *expression,
                             struct kt_error *err)
{
    if (s->pattern_count == QUALITY_SCHEMA_PATTERNS)
        return kt_fail(err, KT_ERR_USAGE, "schema: there may be %u patterns and formats",
                       QUALITY_SCHEMA_PATTERNS);
    KT_GUARD(kt_user_regex_new(expression, false, &s->patterns[s->pattern_count].regex, err));
    s->patterns[s->pattern_count++].tok = t;
    return kt_ok();
}

static kt_result check_format(struct quality_schema *s, uint32_t t, struct kt_error *err)
{
    for (size_t i = 0; is_type(&s->json, t, KT_JSON_STRING) && i < KT_COUNT(formats); i++)
        if (kt_json_str_eq(&s->json, t, formats[i].name))
            return add_pattern(s, t, formats[i].expression, err);
    return kt_fail(err, KT_ERR_USAGE,
                   "schema: format must be one of date, time, date-time, email, ipv4, uri and uuid; use "
                   "pattern for others");
}

static kt_result check_pattern(struct quality_schema *s, uint32_t t, struct kt_error *err)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf text = KT_BUF_INIT(KT_USER_REGEX_BYTES * 2);
    if (!is_type(&s->json, t, KT_JSON_STRING))
        return kt_fail(err, KT_ERR_USAGE, "schema: pattern must be a text");
    KT_GUARD(kt_json_unescape(&s->json, t, &text));
    return add_pattern(s, t, kt_buf_span(&text).data, err);
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
    case K_SUBS:
        return check_subs(s, t, depth, err);
    case K_BOOL:
        ok = is_bool(j, t);
        break;
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
    case K_FORMAT:
        return check_format(s, t, err);
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
