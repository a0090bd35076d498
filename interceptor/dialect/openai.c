/* SPDX-License-Identifier: Apache-2.0 */
/* The dialect that most programs speak is OpenAI's own; what Mistral's say is translated. */
#include "interceptor/dialect/openai.h"

#define TEXT (KT_SERVES(KT_EP_COMPLETIONS) | KT_SERVES(KT_EP_FIM))

static const struct kt_model_name models[] = {
    {"text-embedding", false, KT_SERVES(KT_EP_EMBEDDINGS)},
    {"omni-moderation", false, KT_SERVES(KT_EP_MODERATIONS)},
    {"text-moderation", false, KT_SERVES(KT_EP_MODERATIONS)},
    {"gpt-3.5-turbo-instruct", false, TEXT},
    {"davinci-002", false, TEXT},
    {"babbage-002", false, TEXT},
    {"gpt-3", false, KT_SERVES(KT_EP_CHAT)}, /* not "gpt-oss": servers of one's own offer that everywhere */
    {"gpt-4", false, KT_SERVES(KT_EP_CHAT)},
    {"gpt-5", false, KT_SERVES(KT_EP_CHAT)},
    {"chatgpt-", false, KT_SERVES(KT_EP_CHAT)},
    {0},
};

static const char *usual_model(enum kt_endpoint e)
{
    switch (e) {
    case KT_EP_EMBEDDINGS:
        return "text-embedding-3-small";
    case KT_EP_MODERATIONS:
        return "omni-moderation-latest";
    case KT_EP_FIM:
    case KT_EP_COMPLETIONS:
        return "gpt-3.5-turbo-instruct";
    default:
        return NULL;
    }
}

const struct kt_provider kt_provider_openai = {
    .name = "openai",
    .base_url = "https://api.openai.com/v1",
    .key_env = "OPENAI_API_KEY",
    .help = "OpenAI's own API; requests go as they came, but for words of Mistral's dialect",
    .translate = kt_openai_translate,
    .finish = kt_openai_finish,
    .path = kt_openai_path,
    .translate_answer = kt_openai_answer,
    .answers_translated = KT_SERVES(KT_EP_FIM),
    .models = models,
    .usual_model = usual_model,
};
