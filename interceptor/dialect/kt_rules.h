/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Translations as tables, private to interceptor/dialect. A table lists the fields that the provider knows
 * for one object: the rest is removed (an allow-list: providers refuse what they do not know), and of a field
 * that occurs twice only the last one stays.
 */
#include "interceptor/dialect/kt_dialect.h"

/* One translation under way. */
struct kt_translation {
    const struct kt_json *j; /* borrowed */
    struct kt_edits *edits;  /* borrowed */
    const char *model;       /* borrowed; NULL = none */
    bool tools;              /* the request still has tools after translation */
    bool prefix;             /* the provider knows an assistant's `prefix` */
};

enum kt_rule_flag {
    KT_RULE_NOT_NULL =
        1, /* an explicit null is removed: it means "not given" to OpenAI and an error to the provider */
};

struct kt_rule {
    const char *key;
    unsigned flags;
    const struct kt_rule *fields; /* of an object value; NULL = any */
    /* More to do with this field; `object` holds it. NULL = nothing. */
    kt_result (*fix)(const struct kt_translation *t, uint32_t object, uint32_t value);
};

#define KT_RULES_MAX 32 /* rows of one table */

/* Applies `rules` (ends with key == NULL) to object token `object`; other types are left alone. */
kt_result kt_rules_apply(const struct kt_translation *t, uint32_t object,
                         const struct kt_rule *rules) KT_MUST;

/* What fixes are made of. */
kt_result kt_rule_drop(const struct kt_translation *t, uint32_t object, uint32_t value) KT_MUST;
kt_result kt_rule_rename(const struct kt_translation *t, uint32_t value, const char *key) KT_MUST;
/* `raw` is JSON text. */
kt_result kt_rule_set(const struct kt_translation *t, uint32_t value, const char *raw) KT_MUST;
/* Puts raw text in front of and behind a value; edits inside of it stay. */
kt_result kt_rule_wrap(const struct kt_translation *t, uint32_t value, const char *before,
                       const char *behind) KT_MUST;
/* Leaves of `outer` only `inner`, which lies inside of it. */
kt_result kt_rule_unwrap(const struct kt_translation *t, uint32_t outer, uint32_t inner) KT_MUST;
/* A member that is neither a string nor null becomes the string that holds its source, as it stands in `j`:
 * not with what other edits do inside of it. */
kt_result kt_rule_as_string(const struct kt_json *j, uint32_t object, const char *name,
                            struct kt_edits *edits) KT_MUST;

bool kt_rule_is(const struct kt_translation *t, uint32_t value, enum kt_json_type type);
/* The value of a member that is there and not null, else 0. */
uint32_t kt_rule_given(const struct kt_translation *t, uint32_t object, const char *key);
/* A number token as a double; independent of the locale, which belongs to the program around us. */
double kt_rule_number(const struct kt_translation *t, uint32_t value);
