/* SPDX-License-Identifier: Apache-2.0 */
/* The fields that Mistral accepts, and its 422 for all others. */
#include "tools/mock/mock_check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void place_name(struct findings *f, const char *name)
{
    if (f->at.depth < KT_COUNT(f->at.names))
        f->at.names[f->at.depth++] = name;
}

void place_index(struct findings *f, int index)
{
    if (f->at.depth < KT_COUNT(f->at.names)) {
        f->at.indexes[f->at.depth] = index;
        f->at.names[f->at.depth++] = NULL;
    }
}

void place_up(struct findings *f)
{
    f->at.depth--;
}

void finding(struct findings *f, const char *name, const char *type, const char *message, const cJSON *input)
{
    cJSON *d = cJSON_CreateObject(), *loc = cJSON_CreateArray();
    cJSON_AddItemToArray(loc, cJSON_CreateString("body"));
    for (size_t i = 0; i < f->at.depth; i++)
        cJSON_AddItemToArray(loc, f->at.names[i] ? cJSON_CreateString(f->at.names[i])
                                                 : cJSON_CreateNumber(f->at.indexes[i]));
    if (name)
        cJSON_AddItemToArray(loc, cJSON_CreateString(name));
    cJSON_AddStringToObject(d, "type", type);
    cJSON_AddItemToObject(d, "loc", loc);
    cJSON_AddStringToObject(d, "msg", message);
    cJSON_AddItemToObject(d, "input", input ? cJSON_Duplicate(input, true) : cJSON_CreateNull());
    cJSON_AddItemToArray(f->detail, d);
}

static bool one_of(const char *values, const char *text)
{
    size_t n = strlen(text);
    for (const char *v = values; *v;) {
        size_t len = strcspn(v, "|");
        if (len == n && memcmp(v, text, n) == 0)
            return true;
        v += len + (v[len] == '|');
    }
    return false;
}

static bool of_kind(const cJSON *j, enum field_kind kind)
{
    switch (kind) {
    case FIELD_ANY:
        return true;
    case FIELD_STRING:
        return cJSON_IsString(j);
    case FIELD_BOOL:
        return cJSON_IsBool(j);
    case FIELD_INT:
        return cJSON_IsNumber(j) && (fabs(j->valuedouble) >= 1e16 || /* no room for a fraction there */
                                     (double)(int64_t)j->valuedouble == j->valuedouble);
    case FIELD_NUMBER:
        return cJSON_IsNumber(j);
    case FIELD_OBJECT:
        return cJSON_IsObject(j);
    case FIELD_ARRAY:
        return cJSON_IsArray(j);
    }
    return false;
}

static void check_value(struct findings *f, const struct field *field, const cJSON *value)
{
    static const struct {
        const char *type, *message;
    } wrong[] = {[FIELD_ANY] = {"value_error", "Input is not valid"},
                 [FIELD_STRING] = {"string_type", "Input should be a valid string"},
                 [FIELD_BOOL] = {"bool_type", "Input should be a valid boolean"},
                 [FIELD_INT] = {"int_type", "Input should be a valid integer"},
                 [FIELD_NUMBER] = {"float_type", "Input should be a valid number"},
                 [FIELD_OBJECT] = {"dict_type", "Input should be a valid dictionary"},
                 [FIELD_ARRAY] = {"list_type", "Input should be a valid list"}};
    char text[160];
    if (cJSON_IsNull(value) && field->nullable)
        return;
    if (!of_kind(value, field->kind)) {
        finding(f, field->name, wrong[field->kind].type, wrong[field->kind].message, value);
    } else if (field->values && !one_of(field->values, value->valuestring)) {
        snprintf(text, sizeof text, "Input should be one of %s", field->values);
        finding(f, field->name, "literal_error", text, value);
    } else if (cJSON_IsNumber(value) && (field->min != 0 || field->max != 0)) {
        if (value->valuedouble < field->min) {
            snprintf(text, sizeof text, "Input should be greater than or equal to %g", field->min);
            finding(f, field->name, "greater_than_equal", text, value);
        } else if (value->valuedouble > field->max) {
            snprintf(text, sizeof text, "Input should be less than or equal to %g", field->max);
            finding(f, field->name, "less_than_equal", text, value);
        }
    }
}

void check_fields(struct findings *f, const cJSON *object, const struct field *fields, size_t count)
{
    const cJSON *member;
    cJSON_ArrayForEach(member, object)
    {
        size_t i = 0;
        while (i < count && strcmp(fields[i].name, member->string) != 0)
            i++;
        if (i < count)
            check_value(f, &fields[i], member);
        else
            finding(f, member->string, "extra_forbidden", "Extra inputs are not permitted", member);
    }
    for (size_t i = 0; i < count; i++)
        if (fields[i].required && !cJSON_GetObjectItemCaseSensitive(object, fields[i].name))
            finding(f, fields[i].name, "missing", "Field required", object);
}

static const struct field top[] = {
    {.name = "model", .kind = FIELD_STRING, .required = true},
    {.name = "messages", .kind = FIELD_ARRAY, .required = true},
    {.name = "temperature", .kind = FIELD_NUMBER, .nullable = true, .max = 1.5},
    {.name = "top_p", .kind = FIELD_NUMBER, .max = 1},
    {.name = "max_tokens", .kind = FIELD_INT, .nullable = true, .max = 2147483647},
    {.name = "stream", .kind = FIELD_BOOL},
    {.name = "stop", .kind = FIELD_ANY},
    {.name = "random_seed", .kind = FIELD_INT, .nullable = true, .max = 1e19},
    {.name = "metadata", .kind = FIELD_OBJECT, .nullable = true},
    {.name = "response_format", .kind = FIELD_OBJECT},
    {.name = "tools", .kind = FIELD_ARRAY, .nullable = true},
    {.name = "tool_choice", .kind = FIELD_ANY},
    {.name = "presence_penalty", .kind = FIELD_NUMBER, .min = -2, .max = 2},
    {.name = "frequency_penalty", .kind = FIELD_NUMBER, .min = -2, .max = 2},
    {.name = "n", .kind = FIELD_INT, .nullable = true, .min = 1, .max = 1000},
    {.name = "prediction", .kind = FIELD_OBJECT},
    {.name = "parallel_tool_calls", .kind = FIELD_BOOL},
    {.name = "prompt_mode", .kind = FIELD_STRING, .nullable = true, .values = "reasoning"},
    {.name = "reasoning_effort", .kind = FIELD_STRING, .values = "high|none"},
    {.name = "guardrails", .kind = FIELD_ARRAY, .nullable = true},
    {.name = "prompt_cache_key", .kind = FIELD_STRING, .nullable = true},
    {.name = "safe_prompt", .kind = FIELD_BOOL},
};

static void check_stop(struct findings *f, const cJSON *stop)
{
    const cJSON *item;
    bool ok = !stop || cJSON_IsString(stop) || cJSON_IsArray(stop);
    cJSON_ArrayForEach(item, stop) ok = ok && cJSON_IsString(item);
    if (!ok)
        finding(f, "stop", "string_type", "Input should be a valid string", stop);
}

static void check_formats(struct findings *f, const cJSON *request)
{
    static const struct field format[] = {
        {.name = "type", .kind = FIELD_STRING, .values = "text|json_object|json_schema"},
        {.name = "json_schema", .kind = FIELD_OBJECT, .nullable = true},
    };
    static const struct field schema[] = {
        {.name = "name", .kind = FIELD_STRING, .required = true},
        {.name = "schema", .kind = FIELD_OBJECT, .required = true},
        {.name = "strict", .kind = FIELD_BOOL},
        {.name = "description", .kind = FIELD_STRING, .nullable = true},
    };
    static const struct field prediction[] = {
        {.name = "type", .kind = FIELD_STRING, .values = "content"},
        {.name = "content", .kind = FIELD_STRING},
    };
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(request, "response_format");
    if (cJSON_IsObject(j)) {
        place_name(f, "response_format");
        check_fields(f, j, format, KT_COUNT(format));
        j = cJSON_GetObjectItemCaseSensitive(j, "json_schema");
        place_name(f, "json_schema");
        if (cJSON_IsObject(j))
            check_fields(f, j, schema, KT_COUNT(schema));
        place_up(f);
        place_up(f);
    }
    j = cJSON_GetObjectItemCaseSensitive(request, "prediction");
    place_name(f, "prediction");
    if (cJSON_IsObject(j))
        check_fields(f, j, prediction, KT_COUNT(prediction));
    place_up(f);
}

static int report(const struct findings *f, struct kt_buf *out)
{
    char *detail = cJSON_PrintUnformatted(f->detail);
    kt_result r =
        detail ? kt_buf_puts(out, "{\"object\":\"error\",\"message\":{\"detail\":") : kt_err(KT_ERR_MEMORY);
    if (r.code == KT_OK)
        r = kt_buf_puts(out, detail);
    if (r.code == KT_OK)
        r = kt_buf_puts(
            out,
            "},\"type\":\"invalid_request_error\",\"param\":null,\"code\":null,\"raw_status_code\":422}");
    cJSON_free(detail);
    return r.code == KT_OK ? 422 : 500;
}

static bool is_zero(const cJSON *number)
{
    return cJSON_IsNumber(number) && fabs(number->valuedouble) < 1e-300;
}

/* Its compiler of grammars takes no schema that names itself. */
static bool names_itself(const cJSON *request)
{
    const cJSON *tool;
    bool named = false;
    cJSON_ArrayForEach(tool, cJSON_GetObjectItemCaseSensitive(request, "tools"))
    {
        const cJSON *f = cJSON_GetObjectItemCaseSensitive(tool, "function");
        const cJSON *schema = cJSON_GetObjectItemCaseSensitive(f, "parameters");
        named |= cJSON_HasObjectItem(schema, "$schema") || cJSON_HasObjectItem(schema, "$id");
    }
    return named;
}

/* Fields that are right by themselves. */
static int check_together(const cJSON *request, struct kt_buf *out)
{
    const cJSON *top_p = cJSON_GetObjectItemCaseSensitive(request, "top_p");
    bool greedy = is_zero(cJSON_GetObjectItemCaseSensitive(request, "temperature"));
    const char *what = is_zero(top_p) ? "top_p should be greater than 0"
                       : greedy && top_p && top_p->valuedouble < 1
                           ? "top_p must be 1 when using greedy sampling."
                       : names_itself(request) ? "Grammar error: failed to compile JSON schema"
                                               : NULL;
    if (!what)
        return 0;
    return mock_error_body(MOCK_MISTRAL, 400, what, "invalid_request_error", NULL, out).code == KT_OK ? 400
                                                                                                      : 500;
}

int mock_check_mistral(const cJSON *request, struct kt_buf *out)
{
    struct findings f = {.detail = cJSON_CreateArray()};
    const cJSON *messages = cJSON_GetObjectItemCaseSensitive(request, "messages"), *message;
    int i = 0;
    if (!cJSON_IsObject(request))
        finding(&f, NULL, "model_attributes_type",
                "Input should be a valid dictionary or object to extract fields from", request);
    else
        check_fields(&f, request, top, KT_COUNT(top));
    check_stop(&f, cJSON_GetObjectItemCaseSensitive(request, "stop"));
    check_formats(&f, request);
    check_tools(&f, request);
    place_name(&f, "messages");
    cJSON_ArrayForEach(message, messages)
    {
        place_index(&f, i++);
        check_message(&f, message);
        place_up(&f);
    }
    int status = cJSON_GetArraySize(f.detail) > 0 ? report(&f, out) : 0;
    if (!status)
        status = mock_check_model(cJSON_GetObjectItemCaseSensitive(request, "model")->valuestring,
                                  "/v1/chat/completions", out);
    if (!status)
        status = check_together(request, out);
    if (!status)
        status = mock_check_conversation(messages, out);
    cJSON_Delete(f.detail);
    return status;
}

int mock_check_openai(const cJSON *request, struct kt_buf *out)
{
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(request, "model");
    const cJSON *messages = cJSON_GetObjectItemCaseSensitive(request, "messages");
    const char *what = !cJSON_IsString(model)              ? "you must provide a model parameter"
                       : !cJSON_IsArray(messages)          ? "Missing required parameter: 'messages'."
                       : cJSON_GetArraySize(messages) == 0 ? "Invalid 'messages': empty array."
                                                           : NULL;
    if (!what)
        return 0;
    return mock_error_body(MOCK_OPENAI, 400, what, "invalid_request_error", NULL, out).code == KT_OK ? 400
                                                                                                     : 500;
}
