/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A schema as it was read, private to quality_schema.c (is it one that we can follow?) and
 * quality_schema_match.c (does a document follow it?). */
#include "policyengine/policies/quality.h"

#define QUALITY_SCHEMA_PATTERNS 64u

struct quality_schema {
    char *text; /* owned */
    struct kt_json json;
    struct {
        uint32_t tok; /* of the string */
        struct kt_user_regex *regex;
    } patterns[QUALITY_SCHEMA_PATTERNS];
    size_t pattern_count;
};

static inline bool is_type(const struct kt_json *j, uint32_t t, unsigned type)
{
    return j->tok[t].type == type;
}

static inline bool is_bool(const struct kt_json *j, uint32_t t)
{
    return is_type(j, t, KT_JSON_TRUE) || is_type(j, t, KT_JSON_FALSE);
}
