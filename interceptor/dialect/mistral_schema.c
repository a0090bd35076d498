/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON schemas of tools. Mistral compiles them into a grammar and answers 400 ("failed to compile JSON
 * schema") where one says of itself which draft it is, or what its address is, as generators like to write.
 */
#include "interceptor/dialect/mistral.h"

/* Keywords whose value is a schema or a list of them, and those whose value has one under each name. All
 * others hold data ("const", "default", "enum"), in which a "$id" may be anything. */
static const char *const with_schemas[] = {"items",
                                           "additionalProperties",
                                           "additionalItems",
                                           "not",
                                           "if",
                                           "then",
                                           "else",
                                           "contains",
                                           "propertyNames",
                                           "unevaluatedItems",
                                           "unevaluatedProperties",
                                           "anyOf",
                                           "allOf",
                                           "oneOf",
                                           "prefixItems",
                                           NULL};
static const char *const with_named[] = {"properties",       "patternProperties", "$defs", "definitions",
                                         "dependentSchemas", "dependencies",      NULL};
static const char *const unknown[] = {"$schema", "$id", NULL};

static bool is_one_of(const struct kt_translation *t, uint32_t key, const char *const *list)
{
    for (; *list; list++)
        if (kt_json_str_eq(t->j, key, *list))
            return true;
    return false;
}

/* No deeper than KT_JSON_MAX_DEPTH. */
static KT_MUST kt_result each(const struct kt_translation *t, uint32_t value, bool named)
{
    bool object = kt_rule_is(t, value, KT_JSON_OBJECT);
    if (object && !named)
        return kt_mistral_schema(t, value);
    if (!object && !kt_rule_is(t, value, KT_JSON_ARRAY))
        return kt_ok();
    for (uint32_t i = value + 1; i < t->j->tok[value].next;) {
        uint32_t schema = object ? i + 1 : i;
        KT_GUARD(kt_mistral_schema(t, schema));
        i = t->j->tok[schema].next;
    }
    return kt_ok();
}

kt_result kt_mistral_schema(const struct kt_translation *t, uint32_t schema)
{
    if (!kt_rule_is(t, schema, KT_JSON_OBJECT))
        return kt_ok();
    for (uint32_t key = schema + 1; key < t->j->tok[schema].next; key = t->j->tok[key + 1].next) {
        if (is_one_of(t, key, unknown))
            KT_GUARD(kt_rule_drop(t, schema, key + 1));
        else if (is_one_of(t, key, with_named))
            KT_GUARD(each(t, key + 1, true));
        else if (is_one_of(t, key, with_schemas))
            KT_GUARD(each(t, key + 1, false));
    }
    return kt_ok();
}
