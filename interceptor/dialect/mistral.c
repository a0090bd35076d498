/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenAI chat completions to Mistral's. Every object of Mistral's schema refuses fields that it does not
 * list, hence tables of what it lists. Where both have a word for the same thing the field is renamed, else
 * it goes: a lost `logprobs` is better than a 422.
 */
#include "interceptor/dialect/mistral.h"

#include <string.h>

#define TEMPERATURE_MAX 1.5

kt_result kt_mistral_temperature(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    (void)object;
    if (!kt_rule_is(t, value, KT_JSON_NUMBER) || kt_rule_number(t, value) <= TEMPERATURE_MAX)
        return kt_ok();
    return kt_rule_set(t, value, "1.5");
}

static bool is_zero(const struct kt_translation *t, uint32_t value)
{
    return value && kt_rule_is(t, value, KT_JSON_NUMBER) && kt_rule_number(t, value) == 0;
}

/* Temperature 0 always takes the likeliest token, whatever top_p says; Mistral refuses the two together. It
 * has no top_p of 0 either. */
kt_result kt_mistral_top_p(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    if (is_zero(t, kt_rule_given(t, object, "temperature")))
        return kt_rule_drop(t, object, value);
    return is_zero(t, value) ? kt_rule_set(t, value, "0.01") : kt_ok();
}

static kt_result max_tokens(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    bool loses = kt_rule_given(t, object, "max_completion_tokens") != 0;
    return loses ? kt_rule_drop(t, object, value) : kt_ok();
}

static kt_result max_completion_tokens(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    (void)object;
    return kt_rule_rename(t, value, "max_tokens");
}

static bool negative(const struct kt_translation *t, uint32_t value)
{
    return kt_rule_is(t, value, KT_JSON_NUMBER) && kt_json_raw(t->j, value).data[0] == '-';
}

kt_result kt_mistral_random_seed(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    return negative(t, value) ? kt_rule_drop(t, object, value) : kt_ok();
}

kt_result kt_mistral_seed(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    if (negative(t, value) || kt_rule_given(t, object, "random_seed"))
        return kt_rule_drop(t, object, value);
    return kt_rule_rename(t, value, "random_seed");
}

/* Models that take reasoning_effort; all others answer 400. A star at the end stands for any rest. */
static const char *const reasoning_models[] = {
    "mistral-small-latest", "mistral-small-2603",  "mistral-medium-latest", "mistral-medium-3.5*",
    "mistral-medium-3-5*",  "mistral-medium-2604", "magistral-small*",
};

static bool reasons(const char *model)
{
    for (size_t i = 0; model && i < KT_COUNT(reasoning_models); i++) {
        const char *pattern = reasoning_models[i];
        size_t len = strlen(pattern);
        bool star = pattern[len - 1] == '*';
        if (star ? strncmp(model, pattern, len - 1) == 0 : strcmp(model, pattern) == 0)
            return true;
    }
    return false;
}

static kt_result reasoning_effort(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    static const char *const degrees[] = {"minimal", "low", "medium", "xhigh"};
    if (!reasons(t->model))
        return kt_rule_drop(t, object, value);
    if (kt_json_str_eq(t->j, value, "high") || kt_json_str_eq(t->j, value, "none"))
        return kt_ok();
    for (size_t i = 0; i < KT_COUNT(degrees); i++)
        if (kt_json_str_eq(t->j, value, degrees[i]))
            return kt_rule_set(t, value, "\"high\"");
    return kt_rule_drop(t, object, value);
}

/* A prediction only makes an answer faster; one in a shape that Mistral lacks may go. */
static kt_result prediction(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    uint32_t content = kt_rule_given(t, value, "content");
    if (content && kt_rule_is(t, content, KT_JSON_ARRAY) && t->j->tok[content].size == 1) {
        uint32_t text = kt_rule_given(t, content + 1, "text");
        if (text && kt_rule_is(t, text, KT_JSON_STRING))
            return kt_rule_unwrap(t, content, text);
    }
    bool fits = content && kt_rule_is(t, content, KT_JSON_STRING);
    return fits ? kt_ok() : kt_rule_drop(t, object, value);
}

static const struct kt_rule prediction_fields[] = {{.key = "type"}, {.key = "content"}, {0}};

static const struct kt_rule json_schema_fields[] = {
    {.key = "name"},
    {.key = "schema"},
    {.key = "description", .flags = KT_RULE_NOT_NULL},
    {.key = "strict", .flags = KT_RULE_NOT_NULL},
    {0},
};

/* OpenAI: a schema may be missing; then any JSON will do. */
static kt_result json_schema(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    (void)object;
    uint32_t schema = kt_rule_is(t, value, KT_JSON_OBJECT) ? kt_json_member(t->j, value, "schema", NULL) : 0;
    if (schema)
        return kt_rule_is(t, schema, KT_JSON_NULL) ? kt_rule_set(t, schema, "{}")
                                                   : kt_mistral_schema(t, schema);
    return kt_rule_is(t, value, KT_JSON_OBJECT)
               ? kt_edits_add_member(t->edits, t->j, value, "schema", "{}", 2)
               : kt_ok();
}

static const struct kt_rule response_format_fields[] = {
    {.key = "type"},
    {.key = "json_schema", .flags = KT_RULE_NOT_NULL, .fields = json_schema_fields, .fix = json_schema},
    {0},
};

static const struct kt_rule request_fields[] = {
    {.key = "model"},
    {.key = "messages", .fix = kt_mistral_messages},
    {.key = "temperature", .fix = kt_mistral_temperature},
    {.key = "top_p", .flags = KT_RULE_NOT_NULL, .fix = kt_mistral_top_p},
    {.key = "max_tokens", .fix = max_tokens},
    {.key = "max_completion_tokens", .flags = KT_RULE_NOT_NULL, .fix = max_completion_tokens},
    {.key = "stream", .flags = KT_RULE_NOT_NULL},
    {.key = "stop", .flags = KT_RULE_NOT_NULL},
    {.key = "random_seed", .flags = KT_RULE_NOT_NULL, .fix = kt_mistral_random_seed},
    {.key = "seed", .flags = KT_RULE_NOT_NULL, .fix = kt_mistral_seed},
    {.key = "metadata"},
    {.key = "response_format", .flags = KT_RULE_NOT_NULL, .fields = response_format_fields},
    {.key = "tools", .flags = KT_RULE_NOT_NULL, .fix = kt_mistral_tools},
    {.key = "functions", .flags = KT_RULE_NOT_NULL, .fix = kt_mistral_functions},
    {.key = "tool_choice", .flags = KT_RULE_NOT_NULL, .fix = kt_mistral_tool_choice},
    {.key = "function_call", .flags = KT_RULE_NOT_NULL, .fix = kt_mistral_function_call},
    {.key = "parallel_tool_calls", .flags = KT_RULE_NOT_NULL, .fix = kt_mistral_parallel},
    {.key = "presence_penalty", .flags = KT_RULE_NOT_NULL},
    {.key = "frequency_penalty", .flags = KT_RULE_NOT_NULL},
    {.key = "n"},
    {.key = "prediction", .flags = KT_RULE_NOT_NULL, .fields = prediction_fields, .fix = prediction},
    {.key = "prompt_mode"},
    {.key = "reasoning_effort", .flags = KT_RULE_NOT_NULL, .fix = reasoning_effort},
    {.key = "guardrails"},
    {.key = "prompt_cache_key", .flags = KT_RULE_NOT_NULL},
    {.key = "safe_prompt", .flags = KT_RULE_NOT_NULL},
    {0},
};

static kt_result translate(const struct kt_chat *c, const char *model, const struct kt_target *target,
                           struct kt_edits *edits)
{
    (void)target;
    struct kt_translation t = {.j = &c->json, .edits = edits, .model = model};
    switch (c->endpoint) {
    case KT_EP_COMPLETIONS:
    case KT_EP_FIM:
        return kt_rules_apply(&t, 0, kt_mistral_fim_fields);
    case KT_EP_EMBEDDINGS:
        return kt_rules_apply(&t, 0, kt_mistral_embeddings_fields);
    case KT_EP_MODERATIONS:
        return kt_rules_apply(&t, 0, kt_mistral_moderations_fields);
    default:
        t.tools = kt_mistral_has_tools(&t);
        return kt_rules_apply(&t, 0, request_fields);
    }
}

static const char *const hosts[] = {"api.mistral.ai", "codestral.mistral.ai", NULL};
/* "speakeasy-sdk/... @mistralai/mistralai", "... mistralai", and of older ones "mistral-client-python/0.4".
 */
static const char *const agents[] = {"mistralai", "mistral-client", NULL};

const struct kt_provider kt_provider_mistral = {
    .name = "mistral",
    .base_url = "https://api.mistral.ai/v1",
    .key_env = "MISTRAL_API_KEY",
    .help = "Mistral AI; fields that it does not know are translated or dropped",
    .translate = translate,
    .path = kt_mistral_path,
    .models = kt_mistral_models,
    .usual_model = kt_mistral_usual_model,
    .translate_answer = kt_mistral_answer,
    .answers_translated = KT_SERVES(KT_EP_CHAT) | KT_SERVES(KT_EP_COMPLETIONS) | KT_SERVES(KT_EP_MODERATIONS),
    .hosts = hosts,
    .agents = agents,
};
