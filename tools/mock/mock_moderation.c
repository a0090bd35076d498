/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/moderations in Mistral's form: flags what the markers of the command line say. */
#include "policyengine/audit/kt_event.h"
#include "tools/mock/mock.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#define INPUTS_MAX 1024

static const char *const categories[] = {"sexual",
                                         "hate_and_discrimination",
                                         "violence_and_threats",
                                         "dangerous",
                                         "criminal",
                                         "selfharm",
                                         "health",
                                         "financial",
                                         "law",
                                         "pii",
                                         "jailbreaking"};

static int status_of(const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);
    return end != text && !*end && n >= 300 && n <= 599 ? (int)n : 0;
}

kt_result mock_moderate_add(struct kt_strings *rules, const char *text, struct kt_error *err)
{
    const char *equals = strchr(text, '=');
    bool known = false;
    if (!equals || equals == text)
        return kt_fail(err, KT_ERR_USAGE, "wants WORD=CATEGORY, not '%.60s'", text);
    for (size_t i = 0; i < KT_COUNT(categories); i++)
        known = known || strcmp(categories[i], equals + 1) == 0;
    if (!known && !status_of(equals + 1))
        return kt_fail(err, KT_ERR_USAGE, "there is no category '%.60s'", equals + 1);
    return kt_strings_add(rules, text);
}

/* True where the marker's word stands in the text. */
static bool meets(const char *rule, const char *text)
{
    size_t n = strcspn(rule, "=");
    return memmem(text, strlen(text), rule, n) != NULL;
}

static bool flagged(const struct mock_options *o, const char *text, const char *category)
{
    for (size_t i = 0; i < o->moderate.count; i++)
        if (meets(o->moderate.items[i], text) && strcmp(strchr(o->moderate.items[i], '=') + 1, category) == 0)
            return true;
    return false;
}

static int forced(const struct mock_options *o, const char *text)
{
    for (size_t i = 0; i < o->moderate.count; i++)
        if (meets(o->moderate.items[i], text) && status_of(strchr(o->moderate.items[i], '=') + 1))
            return status_of(strchr(o->moderate.items[i], '=') + 1);
    return 0;
}

static kt_result put_result(const struct mock_options *o, const char *text, struct kt_buf *out)
{
    KT_GUARD(kt_buf_puts(out, "{\"categories\":{"));
    for (size_t i = 0; i < KT_COUNT(categories); i++)
        KT_GUARD(kt_buf_printf(out, "%s\"%s\":%s", i ? "," : "", categories[i],
                               flagged(o, text, categories[i]) ? "true" : "false"));
    KT_GUARD(kt_buf_puts(out, "},\"category_scores\":{"));
    for (size_t i = 0; i < KT_COUNT(categories); i++)
        KT_GUARD(kt_buf_printf(out, "%s\"%s\":%s", i ? "," : "", categories[i],
                               flagged(o, text, categories[i]) ? "0.9731" : "1.25e-05"));
    return kt_buf_puts(out, "}}");
}

static kt_result put_answer(const struct mock_options *o, const char *model, const cJSON *input,
                            struct kt_buf *out)
{
    const cJSON *item = input->type == cJSON_Array ? input->child : input;
    char id[33];
    KT_GUARD(kt_event_new_id(id));
    KT_GUARD(kt_buf_printf(out, "{\"id\":\"%s\",\"model\":\"", id));
    KT_GUARD(kt_event_text(out, model, strlen(model)));
    KT_GUARD(kt_buf_puts(out, "\",\"results\":["));
    for (bool first = true; item; item = input->type == cJSON_Array ? item->next : NULL, first = false) {
        KT_GUARD(kt_buf_puts(out, first ? "" : ","));
        KT_GUARD(put_result(o, item->valuestring, out));
    }
    return kt_buf_puts(out, "]}");
}

int mock_moderations(const struct mock_options *o, const cJSON *request, struct kt_buf *out)
{
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(request, "model"), *item;
    const cJSON *input = cJSON_GetObjectItemCaseSensitive(request, "input");
    const cJSON *list = cJSON_IsArray(input) ? input : NULL;
    int status = 0;
    bool texts = cJSON_IsString(input) || (cJSON_IsArray(input) && cJSON_GetArraySize(input) > 0 &&
                                           cJSON_GetArraySize(input) <= INPUTS_MAX);
    cJSON_ArrayForEach(item, list) texts = texts && cJSON_IsString(item);
    if (!cJSON_IsString(model) || !texts)
        return mock_error_body(o->dialect, 422, "model and input (a text or a list of texts) are required",
                               "invalid_request_error", NULL, out)
                           .code == KT_OK
                   ? 422
                   : 0;
    if (o->dialect == MOCK_MISTRAL)
        status = mock_check_model(model->valuestring, "/v1/moderations", out);
    if (status)
        return status;
    if (cJSON_IsString(input))
        status = forced(o, input->valuestring);
    cJSON_ArrayForEach(item, list) status = status ? status : forced(o, item->valuestring);
    if (status)
        return mock_error_body(o->dialect, status, "Service unavailable.", "internal_server_error", "3000",
                               out)
                           .code == KT_OK
                   ? status
                   : 0;
    return put_answer(o, model->valuestring, input, out).code == KT_OK ? 200 : 0;
}
