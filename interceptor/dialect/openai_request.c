/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only Mistral's dialect says, in OpenAI's words: fields are renamed where both have one for it, else
 * they go, for OpenAI refuses what it does not know. All other bytes stay as they came.
 */
#include "interceptor/dialect/openai.h"

#include <string.h>
#include <strings.h>

static kt_result random_seed(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    return kt_rule_given(t, object, "seed") ? kt_rule_drop(t, object, value)
                                            : kt_rule_rename(t, value, "seed");
}

static kt_result output_dimension(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    bool given = kt_rule_given(t, object, "dimensions") || kt_rule_is(t, value, KT_JSON_NULL);
    return given ? kt_rule_drop(t, object, value) : kt_rule_rename(t, value, "dimensions");
}

static kt_result tool_choice(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    (void)object;
    return kt_json_str_eq(t->j, value, "any") ? kt_rule_set(t, value, "\"required\"") : kt_ok();
}

#define CHAT KT_SERVES(KT_EP_CHAT)
#define TEXT (KT_SERVES(KT_EP_COMPLETIONS) | KT_SERVES(KT_EP_FIM))
#define VECTORS KT_SERVES(KT_EP_EMBEDDINGS)
#define MODERATIONS KT_SERVES(KT_EP_MODERATIONS)

static const struct {
    const char *key;
    unsigned at; /* endpoints */
    kt_result (*fix)(const struct kt_translation *t, uint32_t object, uint32_t value);
    const char *known_by; /* a provider that has it on top of OpenAI's words, or hands it on; NULL = none */
} words[] = {
    {"random_seed", CHAT | TEXT, random_seed, NULL},
    {"safe_prompt", CHAT, kt_rule_drop, "openrouter"},
    {"prompt_mode", CHAT, kt_rule_drop, NULL},
    {"guardrails", CHAT, kt_rule_drop, NULL},
    {"tool_choice", CHAT, tool_choice, NULL},
    {"messages", CHAT, kt_openai_messages, NULL},
    {"min_tokens", TEXT, kt_rule_drop, "vllm"},
    {"prompt_cache_key", TEXT, kt_rule_drop, NULL},
    {"metadata", TEXT | VECTORS | MODERATIONS, kt_rule_drop, NULL},
    {"output_dimension", VECTORS, output_dimension, NULL},
    {"output_dtype", VECTORS, kt_rule_drop, NULL},
};

static KT_MUST kt_result translate_words(const struct kt_translation *t, enum kt_endpoint e,
                                         const char *provider)
{
    for (size_t i = 0; i < KT_COUNT(words); i++) {
        if (words[i].known_by && provider && strcmp(words[i].known_by, provider) == 0)
            continue;
        uint32_t value = words[i].at & KT_SERVES(e) ? kt_json_member(t->j, 0, words[i].key, NULL) : 0;
        if (value)
            KT_GUARD(words[i].fix(t, 0, value));
    }
    return kt_ok();
}

static KT_MUST kt_result ask_for_usage(const struct kt_translation *t)
{
    static const char asks[] = "{\"include_usage\":true}";
    uint32_t options = kt_json_member(t->j, 0, "stream_options", NULL);
    if (!options)
        return kt_edits_add_member(t->edits, t->j, 0, "stream_options", asks, sizeof asks - 1);
    if (!kt_rule_is(t, options, KT_JSON_OBJECT))
        return kt_rule_is(t, options, KT_JSON_NULL) ? kt_rule_set(t, options, asks) : kt_ok();
    uint32_t include = kt_json_member(t->j, options, "include_usage", NULL);
    return include ? kt_rule_set(t, include, "true")
                   : kt_edits_add_member(t->edits, t->j, options, "include_usage", "true", 4);
}

/* DeepSeek's chat prefix completion, which it has at this address only. */
static bool knows_prefix(const struct kt_target *t)
{
    return t->provider && strcmp(t->provider, "deepseek") == 0 && t->base_url && strstr(t->base_url, "/beta");
}

kt_result kt_openai_translate(const struct kt_chat *c, const char *model, const struct kt_target *target,
                              struct kt_edits *edits)
{
    struct kt_translation t = {.j = &c->json, .edits = edits, .model = model, .prefix = knows_prefix(target)};
    KT_GUARD(translate_words(&t, c->endpoint, target->provider));
    return kt_chat_adds_usage(c, target) ? ask_for_usage(&t) : kt_ok();
}

const char *kt_openai_path(enum kt_endpoint e)
{
    return e == KT_EP_FIM ? "/completions" : NULL;
}

/* Servers of one's own under this provider's name may be too old for it, and refuse the stream. */
static bool is_openais_own(const struct kt_target *t)
{
    static const char host[] = "api.openai.com";
    const char *at = t->base_url ? strstr(t->base_url, "://") : NULL;
    if (!at)
        return false;
    size_t len = strcspn(at + 3, ":/"), n = sizeof host - 1;
    bool whole = len == n || (len > n && at[3 + len - n - 1] == '.'); /* eu.api.openai.com */
    return whole && strncasecmp(at + 3 + len - n, host, n) == 0;
}

bool kt_chat_adds_usage(const struct kt_chat *c, const struct kt_target *t)
{
    bool text = c->endpoint == KT_EP_CHAT || (KT_SERVES(c->endpoint) & TEXT);
    if (!text || !c->stream || c->include_usage)
        return false;
    const struct kt_provider *p = kt_provider_of(t);
    return p == &kt_provider_openai       ? is_openais_own(t)
           : p == &kt_provider_compatible ? kt_compatible_tells_usage(t)
                                          : false;
}

/* A text completion's choice as one of a fill in the middle: {"text":"..."} is a message, or a delta. */
static KT_MUST kt_result message_of(const struct kt_translation *t, uint32_t choice, bool stream)
{
    uint32_t text = kt_rule_is(t, choice, KT_JSON_OBJECT) ? kt_json_member(t->j, choice, "text", NULL) : 0;
    if (!text)
        return kt_ok();
    KT_GUARD(kt_rule_rename(t, text, stream ? "delta" : "message"));
    return kt_rule_wrap(t, text, stream ? "{\"content\":" : "{\"role\":\"assistant\",\"content\":", "}");
}

kt_result kt_openai_answer(const struct kt_chat *a, struct kt_edits *edits)
{
    struct kt_translation t = {.j = &a->json, .edits = edits};
    uint32_t choices = a->choices_tok;
    if (a->endpoint != KT_EP_FIM || !choices)
        return kt_ok();
    for (uint32_t c = choices + 1; c < t.j->tok[choices].next; c = t.j->tok[c].next)
        KT_GUARD(message_of(&t, c, a->stream));
    uint32_t object = kt_json_member(t.j, 0, "object", NULL);
    return object ? kt_rule_set(&t, object, a->stream ? "\"chat.completion.chunk\"" : "\"chat.completion\"")
                  : kt_ok();
}
