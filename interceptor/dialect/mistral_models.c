/* SPDX-License-Identifier: Apache-2.0 */
/* Mistral's models by name; its API answers 400 "Invalid model" where one is asked for something else. */
#include "interceptor/dialect/mistral.h"

#define CHAT KT_SERVES(KT_EP_CHAT)
#define FIM (KT_SERVES(KT_EP_FIM) | KT_SERVES(KT_EP_COMPLETIONS))

const struct kt_model_name kt_mistral_models[] = {
    {"mistral-embed", false, KT_SERVES(KT_EP_EMBEDDINGS)},
    {"codestral-embed", false, KT_SERVES(KT_EP_EMBEDDINGS)},
    {"mistral-moderation", false, KT_SERVES(KT_EP_MODERATIONS)},
    {"-ocr", true, 0},
    {"-transcribe", true, 0},
    {"-tts", true, 0},
    {"codestral-mamba", true, CHAT},
    {"codestral", false, CHAT | FIM},
    {"mistral-", false, CHAT},
    {"ministral-", false, CHAT},
    {"magistral-", false, CHAT},
    {"devstral-", false, CHAT},
    {"pixtral-", false, CHAT},
    {"voxtral-", false, CHAT},
    {"open-mi", false, CHAT}, /* open-mistral-nemo, open-mixtral-8x22b */
    {0},
};

const char *kt_mistral_usual_model(enum kt_endpoint e)
{
    switch (e) {
    case KT_EP_EMBEDDINGS:
        return "mistral-embed";
    case KT_EP_MODERATIONS:
        return "mistral-moderation-latest";
    case KT_EP_FIM:
    case KT_EP_COMPLETIONS:
        return "codestral-latest";
    default:
        return NULL;
    }
}
