/* SPDX-License-Identifier: Apache-2.0 */
/* The models that there are, and which of them answers where. */
#include "tools/mock/mock.h"

#include <stdio.h>
#include <string.h>

static bool begins(const char *model, const char *with)
{
    return strncmp(model, with, strlen(with)) == 0;
}

/* Of names that are neither Mistral's nor OpenAI's nothing is known: they answer everywhere. */
static bool is_known(const char *model)
{
    static const char *const families[] = {"mistral-",        "ministral-", "magistral-", "codestral",
                                           "devstral-",       "open-mi",    "pixtral-",   "text-embedding",
                                           "omni-moderation", "gpt-"};
    for (size_t i = 0; i < KT_COUNT(families); i++)
        if (begins(model, families[i]))
            return true;
    return false;
}

static bool answers_at(const char *model, const char *endpoint)
{
    bool mistrals = begins(model, "mistral-") || begins(model, "codestral-");
    bool embeds = strstr(model, "embed") != NULL, moderates = strstr(model, "moderation") != NULL;
    if (strcmp(endpoint, "/v1/embeddings") == 0)
        return mistrals && embeds;
    if (strcmp(endpoint, "/v1/moderations") == 0)
        return mistrals && moderates;
    if (strcmp(endpoint, "/v1/fim/completions") == 0)
        return begins(model, "codestral") && !embeds;
    return !embeds && !moderates; /* a chat: what OpenAI's names would give is not looked at */
}

int mock_check_model(const char *model, const char *endpoint, struct kt_buf *out)
{
    char text[160];
    if (!is_known(model) || answers_at(model, endpoint))
        return 0;
    snprintf(text, sizeof text, "Invalid model: %.100s", model);
    return mock_error_body(MOCK_MISTRAL, 400, text, "invalid_model", "1500", out).code == KT_OK ? 400 : 500;
}

kt_result mock_models(enum mock_dialect d, struct kt_buf *out)
{
    static const char *const mistral[] = {"mistral-large-latest", "mistral-medium-latest",
                                          "mistral-small-latest", "codestral-latest"};
    static const char *const openai[] = {"gpt-4o", "gpt-4o-mini"};
    const char *const *ids = d == MOCK_MISTRAL ? mistral : openai;
    size_t n = d == MOCK_MISTRAL ? KT_COUNT(mistral) : KT_COUNT(openai);
    KT_GUARD(kt_buf_puts(out, "{\"object\":\"list\",\"data\":["));
    for (size_t i = 0; i < n; i++)
        KT_GUARD(kt_buf_printf(
            out, "%s{\"id\":\"%s\",\"object\":\"model\",\"created\":1700000000,\"owned_by\":\"%s\"%s}",
            i ? "," : "", ids[i], d == MOCK_MISTRAL ? "mistralai" : "openai",
            d == MOCK_MISTRAL ? ",\"capabilities\":{\"completion_chat\":true,\"function_calling\":true}"
                              : ""));
    return kt_buf_puts(out, "]}");
}
