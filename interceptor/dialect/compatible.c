/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Providers that are known by name and speak OpenAI's dialect (provider_defaults.def). Words of Mistral's
 * become OpenAI's, for some of them refuse what they do not know (Groq: 400); what a server of this dialect
 * may have on top of OpenAI's own words stays.
 */
#include "interceptor/dialect/openai.h"

#include <string.h>

static const char *const names[] = {
#define KT_PROVIDER_DEFAULT(name, base_url, key_env) name,
#define KT_PROVIDER_HEADER(name, base_url, key_env, header, prefix) name,
#include "policyengine/config/provider_defaults.def"
#undef KT_PROVIDER_DEFAULT
#undef KT_PROVIDER_HEADER
};

/* They tell the usage of a stream where `stream_options` asks for it, by their own documents and SDKs. Not
 * here: those that tell it unasked (OpenRouter, Together, Fireworks, xAI). */
static const char *const tell_when_asked[] = {"anthropic", "azure-openai", "deepseek",
                                              "groq",      "ollama",       "vllm"};

static bool is_one_of(const char *const *list, size_t count, const char *name)
{
    for (size_t i = 0; name && i < count; i++)
        if (strcmp(list[i], name) == 0)
            return true;
    return false;
}

bool kt_compatible_knows(const char *name)
{
    return is_one_of(names, KT_COUNT(names), name);
}

bool kt_compatible_tells_usage(const struct kt_target *t)
{
    return is_one_of(tell_when_asked, KT_COUNT(tell_when_asked), t->provider);
}

const struct kt_provider kt_provider_compatible = {
    .name = "openai-compatible",
    .help = "by name; requests go as they came, but for words of Mistral's dialect",
    .translate = kt_openai_translate,
    .finish = kt_openai_finish,
    .path = kt_openai_path,
    .translate_answer = kt_openai_answer,
    .answers_translated = KT_SERVES(KT_EP_FIM),
};
