/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mistral's endpoints for plain text. It has no /completions: OpenAI's older text completions are asked of
 * its fill in the middle, which answers in the shape of a chat.
 */
#include "interceptor/dialect/mistral.h"

/* One prompt: a list of one text is that text, of several there is no such call (Mistral's error says so). */
static kt_result one_text(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    (void)object;
    bool one = kt_rule_is(t, value, KT_JSON_ARRAY) && t->j->tok[value].size == 1 &&
               kt_rule_is(t, value + 1, KT_JSON_STRING);
    return one ? kt_rule_unwrap(t, value, value + 1) : kt_ok();
}

const struct kt_rule kt_mistral_fim_fields[] = {
    {.key = "model"},
    {.key = "prompt", .fix = one_text},
    {.key = "suffix", .flags = KT_RULE_NOT_NULL},
    {.key = "temperature", .fix = kt_mistral_temperature},
    {.key = "top_p", .flags = KT_RULE_NOT_NULL, .fix = kt_mistral_top_p},
    {.key = "max_tokens", .flags = KT_RULE_NOT_NULL},
    {.key = "min_tokens", .flags = KT_RULE_NOT_NULL},
    {.key = "stream", .flags = KT_RULE_NOT_NULL},
    {.key = "stop", .flags = KT_RULE_NOT_NULL},
    {.key = "random_seed", .flags = KT_RULE_NOT_NULL, .fix = kt_mistral_random_seed},
    {.key = "seed", .flags = KT_RULE_NOT_NULL, .fix = kt_mistral_seed},
    {.key = "metadata"},
    {.key = "prompt_cache_key", .flags = KT_RULE_NOT_NULL},
    {0},
};

static kt_result dimensions(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    if (kt_rule_given(t, object, "output_dimension"))
        return kt_rule_drop(t, object, value);
    return kt_rule_rename(t, value, "output_dimension");
}

const struct kt_rule kt_mistral_embeddings_fields[] = {
    {.key = "model"},
    {.key = "input"},
    {.key = "metadata"},
    {.key = "dimensions", .flags = KT_RULE_NOT_NULL, .fix = dimensions},
    {.key = "output_dimension", .flags = KT_RULE_NOT_NULL},
    {.key = "output_dtype", .flags = KT_RULE_NOT_NULL},
    {.key = "encoding_format", .flags = KT_RULE_NOT_NULL},
    {0},
};

const struct kt_rule kt_mistral_moderations_fields[] = {
    {.key = "model"}, {.key = "input"}, {.key = "metadata"}, {0}};

const char *kt_mistral_path(enum kt_endpoint e)
{
    return e == KT_EP_COMPLETIONS ? "/fim/completions" : NULL;
}

/* {"message":{"content":"..."}}, or a stream's "delta", as {"text":"..."}; what is between goes, edits of the
 * text itself stay. */
kt_result kt_mistral_text_choice(const struct kt_translation *t, uint32_t choice)
{
    uint32_t message = kt_json_member(t->j, choice, "message", NULL);
    if (!message)
        message = kt_json_member(t->j, choice, "delta", NULL);
    if (!message)
        return kt_ok();
    KT_GUARD(kt_rule_rename(t, message, "text"));
    uint32_t content = kt_json_member(t->j, message, "content", NULL);
    if (content && kt_rule_is(t, content, KT_JSON_STRING))
        return kt_rule_unwrap(t, message, content);
    return kt_rule_set(t, message, "\"\"");
}
