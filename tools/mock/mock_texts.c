/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints that take plain text: fill in the middle, OpenAI's text completions, embeddings. */
#include "policyengine/audit/kt_event.h"
#include "tools/mock/mock.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

static const char *const fim_fields[] = {
    "model", "prompt",      "suffix",   "temperature",      "top_p", "max_tokens", "min_tokens", "stream",
    "stop",  "random_seed", "metadata", "prompt_cache_key", NULL};
static const char *const embedding_fields[] = {
    "model", "input", "metadata", "output_dimension", "output_dtype", "encoding_format", NULL};

static const char *unknown_field(const cJSON *request, const char *const *fields)
{
    const cJSON *f;
    cJSON_ArrayForEach(f, request)
    {
        size_t i = 0;
        while (fields[i] && strcmp(fields[i], f->string) != 0)
            i++;
        if (!fields[i])
            return f->string;
    }
    return NULL;
}

static bool refuse(struct mock_conn *c, const struct kt_request *r, int status, const char *what,
                   const char *field)
{
    char text[200];
    snprintf(text, sizeof text, "%s: %.100s", what, field);
    KT_CLEANUP(kt_buf_free) struct kt_buf body = KT_BUF_INIT(8192);
    return mock_error_body(c->o->dialect, status, text, "invalid_request_error", NULL, &body).code == KT_OK &&
           mock_send(c, r, status, "application/json", "", kt_buf_span(&body));
}

/* Mistral refuses what it does not know and what is no text. */
static const char *complaint(const struct mock_conn *c, const cJSON *request, const char *text,
                             const char *const *fields, const char **field)
{
    const cJSON *t = cJSON_GetObjectItemCaseSensitive(request, text), *first = cJSON_GetArrayItem(t, 0);
    const char *extra = c->o->dialect == MOCK_MISTRAL ? unknown_field(request, fields) : NULL;
    bool list = cJSON_IsArray(t) && fields == embedding_fields && cJSON_IsString(first);
    *field = extra ? extra : text;
    if (extra)
        return "Extra inputs are not permitted";
    if (!cJSON_IsString(cJSON_GetObjectItemCaseSensitive(request, "model"))) {
        *field = "model";
        return "Field required";
    }
    bool any = c->o->dialect == MOCK_OPENAI && t;
    return any || cJSON_IsString(t) || list ? NULL : "Input should be a valid string";
}

static bool embeddings(struct mock_conn *c, const struct kt_request *r, const cJSON *request,
                       const char *model)
{
    const cJSON *input = cJSON_GetObjectItemCaseSensitive(request, "input");
    const cJSON *format = cJSON_GetObjectItemCaseSensitive(request, "encoding_format");
    /* The same two numbers: OpenAI's clients ask for the bytes of float32 by themselves. */
    bool packed = cJSON_IsString(format) && strcmp(format->valuestring, "base64") == 0;
    const char *vector = packed ? "\"AACAPgAAAL8=\"" : "[0.25,-0.5]";
    int n = cJSON_IsArray(input) ? cJSON_GetArraySize(input) : 1;
    KT_CLEANUP(kt_buf_free) struct kt_buf b = KT_BUF_INIT(1u << 20);
    kt_result ok = kt_buf_puts(&b, "{\"id\":\"mock\",\"object\":\"list\",\"model\":\"");
    if (ok.code == KT_OK)
        ok = kt_event_text(&b, model, strlen(model));
    if (ok.code == KT_OK)
        ok = kt_buf_puts(&b, "\",\"data\":[");
    for (int i = 0; i < n && ok.code == KT_OK; i++)
        ok = kt_buf_printf(&b, "%s{\"object\":\"embedding\",\"index\":%d,\"embedding\":%s}", i ? "," : "", i,
                           vector);
    if (ok.code == KT_OK)
        ok = kt_buf_puts(&b, "],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":0,\"total_tokens\":3}}");
    return ok.code == KT_OK && mock_send(c, r, 200, "application/json", "", kt_buf_span(&b));
}

static bool text_completion(struct mock_conn *c, const struct kt_request *r)
{
    const char *text = c->o->text ? c->o->text : "Hello from kt mock.";
    KT_CLEANUP(kt_buf_free) struct kt_buf b = KT_BUF_INIT(MOCK_MAX_ANSWER);
    kt_result ok = kt_buf_puts(&b, "{\"object\":\"text_completion\",\"choices\":[{\"index\":0,\"text\":\"");
    if (ok.code == KT_OK)
        ok = kt_event_text(&b, text, strlen(text));
    if (ok.code == KT_OK)
        ok = kt_buf_puts(&b, "\",\"finish_reason\":\"stop\"}]}");
    return ok.code == KT_OK && mock_send(c, r, 200, "application/json", "", kt_buf_span(&b));
}

static bool answer(struct mock_conn *c, const struct kt_request *r, const cJSON *request,
                   enum mock_texts what)
{
    bool vectors = what == MOCK_EMBEDDINGS;
    const char *field, *why = complaint(c, request, vectors ? "input" : "prompt",
                                        vectors ? embedding_fields : fim_fields, &field);
    if (why)
        return refuse(c, r, c->o->dialect == MOCK_MISTRAL ? 422 : 400, why, field);
    const char *model = cJSON_GetObjectItemCaseSensitive(request, "model")->valuestring;
    KT_CLEANUP(kt_buf_free) struct kt_buf body = KT_BUF_INIT(8192);
    int status = c->o->dialect == MOCK_OPENAI
                     ? 0
                     : mock_check_model(model, vectors ? "/v1/embeddings" : "/v1/fim/completions", &body);
    if (status)
        return mock_send(c, r, status, "application/json", "", kt_buf_span(&body));
    if (vectors)
        return embeddings(c, r, request, model);
    return what == MOCK_FIM ? mock_chat(c, r, request, NULL) : text_completion(c, r);
}

enum mock_texts mock_texts_of(const struct mock_conn *c, struct kt_span path)
{
    if (kt_span_eq(path, "/v1/embeddings"))
        return MOCK_EMBEDDINGS;
    if (kt_span_eq(path, "/v1/fim/completions") && c->o->dialect == MOCK_MISTRAL)
        return MOCK_FIM;
    return kt_span_eq(path, "/v1/completions") && c->o->dialect == MOCK_OPENAI ? MOCK_COMPLETIONS
                                                                               : MOCK_NO_TEXTS;
}

bool mock_texts(struct mock_conn *c, const struct kt_request *r, enum mock_texts what)
{
    cJSON *request = cJSON_ParseWithLength(r->body.data ? r->body.data : "", r->body.len);
    bool on = cJSON_IsObject(request) ? answer(c, r, request, what)
                                      : refuse(c, r, 400, "not a JSON object", "body");
    cJSON_Delete(request);
    return on;
}
