/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The parts of quality-scorer. An assertion is compiled once per config (quality_compile.c) and asked about
 * every answer; a type is one line in quality_types.def and one check function.
 */
#include "policyengine/body/kt_json.h"
#include "policyengine/detect/kt_user_regex.h"
#include "policyengine/detect/kt_wordlist.h"
#include "policyengine/policies/kt_policy.h"

#ifdef __cplusplus
extern "C" {
#endif

#define QUALITY_ANSWER_MAX (4u << 20) /* bytes of one answer; a longer one fails */
#define QUALITY_ASSERTIONS_MAX 200u

enum quality_mode { QUALITY_ENFORCE, QUALITY_AUDIT, QUALITY_SHADOW };
enum quality_severity { QUALITY_CRITICAL, QUALITY_WARNING, QUALITY_INFO };

/* One entry of `assertions`, as the config has it. */
struct quality_entry {
    char *type, *name, *value; /* value: JSON text */
    double weight, threshold;
    bool enabled, negate, case_sensitive;
    int mode, severity;
};

/* What `value` must be. */
enum quality_value {
    QUALITY_NO_VALUE,
    QUALITY_TEXT,       /* a string */
    QUALITY_TEXTS,      /* a string or a list of them */
    QUALITY_LANGUAGES,  /* a code or a list of them */
    QUALITY_REGEX,      /* a string */
    QUALITY_SCHEMA,     /* a JSON schema */
    QUALITY_MAY_SCHEMA, /* a JSON schema or nothing */
    QUALITY_LEAST,      /* a number */
    QUALITY_MOST,       /* a number */
    QUALITY_RANGE,      /* a number, or {min, max} */
    QUALITY_SHARE       /* a number 0..1, or {max, n}, or nothing */
};

struct quality_assertion;
struct quality_answer;

/* 1 = as asserted, 0 = not at all. */
typedef kt_result (*quality_check_fn)(const struct quality_assertion *a, struct quality_answer *t,
                                      double *score);

struct quality_type {
    const char *name;
    enum quality_value value;
    quality_check_fn check;
};

struct quality_schema;

struct quality_assertion {
    const struct quality_type *type;
    char *label; /* owned: for events */
    bool negate, case_sensitive;
    double weight, threshold;
    int mode, severity;
    struct kt_strings texts; /* owned; lower case where case does not count */
    double min, max;         /* HUGE_VAL = no end */
    unsigned n;
    struct kt_user_regex *regex;   /* owned */
    struct quality_schema *schema; /* owned */
    struct kt_wordlist *words;     /* owned */
};

/* An answer, and what several assertions want to know of it. */
struct quality_answer {
    struct kt_span text;    /* borrowed */
    struct kt_span trimmed; /* without white space at both ends */
    struct kt_buf lower;    /* of `trimmed`; filled when first wanted */
    bool has_lower;
};

/* KT_ERR_USAGE with `err` naming the entry. `out` is zeroed and to be freed also on failure. */
kt_result quality_compile(const struct quality_entry *e, size_t index, struct quality_assertion *out,
                          struct kt_error *err) KT_MUST;
void quality_assertion_free(struct quality_assertion *a);
/* NULL where there is no such type; *model = the public catalogue has it, but it needs a model. */
const struct quality_type *quality_type_find(const char *name, bool *model);
/* "contains, equals, ..." */
const char *quality_type_names(void);

void quality_answer_init(struct quality_answer *t, const char *text, size_t len);
void quality_answer_free(struct quality_answer *t);
/* The trimmed answer in the form in which the assertion compares. */
kt_result quality_answer_text(const struct quality_assertion *a, struct quality_answer *t,
                              struct kt_span *out) KT_MUST;

/* Counting; each is linear. */
size_t quality_words(struct kt_span text);
/* Runs of text that end with . ! ? or their like in other scripts, a blank line, or the end. */
size_t quality_sentences(struct kt_span text);
/* Share of the rows of n words that occurred before. */
kt_result quality_repeated(struct kt_span text, unsigned n, double *share) KT_MUST;

/* ---- JSON schema, a subset: type, properties, required, additionalProperties, items, enum, const, minimum,
 * maximum, exclusiveMinimum, exclusiveMaximum, minLength, maxLength, pattern, minItems, maxItems; title,
 * description, default, examples, $schema and $id say nothing. Anything else is refused. ---- */
#define QUALITY_SCHEMA_DEPTH 32u
#define QUALITY_SCHEMA_BRANCHES 32u /* schemas of one anyOf, oneOf or allOf */
#define QUALITY_SCHEMA_UNIQUE 1000u /* elements of a list with uniqueItems: a longer one does not hold */
#define QUALITY_SCHEMA_STEPS                                                                                 \
    2000000ul /* values looked at, once per branch: an answer that needs more does not hold */
#define QUALITY_SCHEMA_MEMBERS 128u
/* new. `text` (JSON) is copied. */
kt_result quality_schema_new(const char *text, struct quality_schema **out, struct kt_error *err) KT_MUST;
void quality_schema_free(struct quality_schema *s);
bool quality_schema_holds(const struct quality_schema *s, const struct kt_json *doc);

#define KT_QUALITY(id, name, value)                                                                          \
    kt_result quality_check_##id(const struct quality_assertion *a, struct quality_answer *t, double *score);
#include "policyengine/policies/quality_types.def"
#undef KT_QUALITY

#ifdef __cplusplus
}
#endif
