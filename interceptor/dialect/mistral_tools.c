/* SPDX-License-Identifier: Apache-2.0 */
/* What the model may call: tools, tool_choice and their legacy forms functions, function_call. */
#include "interceptor/dialect/mistral.h"

#define FUNCTION_OPEN "{\"type\":\"function\",\"function\":"

/* Mistral has function tools only. */
static bool is_function(const struct kt_translation *t, uint32_t tool)
{
    uint32_t type = kt_rule_given(t, tool, "type");
    return !type || kt_json_str_eq(t->j, type, "function");
}

/* The first usable list of the two; 0 where there is none. */
static uint32_t usable_tools(const struct kt_translation *t)
{
    uint32_t tools = kt_rule_given(t, 0, "tools");
    if (!tools || !kt_rule_is(t, tools, KT_JSON_ARRAY))
        return 0;
    for (uint32_t i = tools + 1; i < t->j->tok[tools].next; i = t->j->tok[i].next)
        if (is_function(t, i))
            return tools;
    return 0;
}

bool kt_mistral_has_tools(const struct kt_translation *t)
{
    uint32_t functions = kt_rule_given(t, 0, "functions");
    if (functions && kt_rule_is(t, functions, KT_JSON_ARRAY) && t->j->tok[functions].size > 0)
        return true;
    return usable_tools(t) != 0;
}

#define EMPTY_SCHEMA "{\"type\":\"object\",\"properties\":{}}"

static kt_result parameters(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    (void)object;
    return kt_rule_is(t, value, KT_JSON_NULL) ? kt_rule_set(t, value, EMPTY_SCHEMA)
                                              : kt_mistral_schema(t, value);
}

static const struct kt_rule function_fields[] = {
    {.key = "name"},
    {.key = "description", .flags = KT_RULE_NOT_NULL},
    {.key = "strict", .flags = KT_RULE_NOT_NULL},
    {.key = "parameters", .fix = parameters},
    {0},
};

static KT_MUST kt_result fix_function(const struct kt_translation *t, uint32_t function)
{
    KT_GUARD(kt_rules_apply(t, function, function_fields));
    if (!kt_rule_is(t, function, KT_JSON_OBJECT) || kt_json_member(t->j, function, "parameters", NULL))
        return kt_ok();
    return kt_edits_add_member(t->edits, t->j, function, "parameters", EMPTY_SCHEMA, sizeof EMPTY_SCHEMA - 1);
}

static kt_result tool_function(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    (void)object;
    return fix_function(t, value);
}

static const struct kt_rule tool_fields[] = {
    {.key = "type", .flags = KT_RULE_NOT_NULL},
    {.key = "function", .fix = tool_function},
    {0},
};

kt_result kt_mistral_tools(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    if (!kt_rule_is(t, value, KT_JSON_ARRAY))
        return kt_ok(); /* wrong for OpenAI as well: its error is the provider's to give */
    if (usable_tools(t) == 0)
        return kt_rule_drop(t, object, value);
    for (uint32_t i = value + 1; i < t->j->tok[value].next; i = t->j->tok[i].next) {
        if (is_function(t, i))
            KT_GUARD(kt_rules_apply(t, i, tool_fields));
        else
            KT_GUARD(kt_edits_remove_element(t->edits, t->j, value, i));
    }
    return kt_ok();
}

kt_result kt_mistral_functions(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    bool list = kt_rule_is(t, value, KT_JSON_ARRAY) && t->j->tok[value].size > 0;
    uint32_t tools = kt_rule_given(t, 0, "tools");
    bool taken = tools && (!kt_rule_is(t, tools, KT_JSON_ARRAY) || usable_tools(t) != 0);
    if (!list || taken)
        return kt_rule_drop(t, object, value);
    KT_GUARD(kt_rule_rename(t, value, "tools"));
    for (uint32_t i = value + 1; i < t->j->tok[value].next; i = t->j->tok[i].next) {
        KT_GUARD(kt_rule_wrap(t, i, FUNCTION_OPEN, "}"));
        KT_GUARD(fix_function(t, i));
    }
    return kt_ok();
}

static const struct kt_rule named_function[] = {{.key = "name"}, {0}};

static const struct kt_rule choice_fields[] = {
    {.key = "type"},
    {.key = "function", .fields = named_function},
    {0},
};

/* OpenAI's allowed_tools narrows the list, which Mistral cannot; what is left of it is its mode. */
static const char *other_choice(const struct kt_translation *t, uint32_t value)
{
    uint32_t allowed = kt_rule_given(t, value, "allowed_tools");
    uint32_t mode = allowed ? kt_rule_given(t, allowed, "mode") : 0;
    return mode && kt_json_str_eq(t->j, mode, "auto") ? "\"auto\"" : "\"any\"";
}

kt_result kt_mistral_tool_choice(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    if (!t->tools)
        return kt_rule_drop(t, object, value);
    if (kt_json_str_eq(t->j, value, "required"))
        return kt_rule_set(t, value, "\"any\""); /* servers of old know no "required" */
    if (!kt_rule_is(t, value, KT_JSON_OBJECT))
        return kt_ok();
    if (!is_function(t, value))
        return kt_rule_set(t, value, other_choice(t, value));
    return kt_rules_apply(t, value, choice_fields);
}

kt_result kt_mistral_function_call(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    bool word = kt_json_str_eq(t->j, value, "auto") || kt_json_str_eq(t->j, value, "none");
    bool named = kt_rule_is(t, value, KT_JSON_OBJECT);
    if (!t->tools || kt_rule_given(t, object, "tool_choice") || (!word && !named))
        return kt_rule_drop(t, object, value);
    KT_GUARD(kt_rule_rename(t, value, "tool_choice"));
    if (word)
        return kt_ok();
    KT_GUARD(kt_rules_apply(t, value, named_function));
    return kt_rule_wrap(t, value, FUNCTION_OPEN, "}");
}

kt_result kt_mistral_parallel(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    return t->tools ? kt_ok() : kt_rule_drop(t, object, value);
}
