/* SPDX-License-Identifier: Apache-2.0 */
/* Messages and tools as Mistral accepts them. */
#include "tools/mock/mock_check.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define FIELDS(list) (list), KT_COUNT(list)

struct part {
    const char *type;
    const struct field *fields;
    size_t count;
};

static const struct field text_part[] = {{.name = "type"},
                                         {.name = "text", .kind = FIELD_STRING, .required = true}};
static const struct field image_part[] = {{.name = "type"}, {.name = "image_url", .required = true}};
static const struct field audio_part[] = {{.name = "type"},
                                          {.name = "input_audio", .kind = FIELD_STRING, .required = true}};
static const struct field file_part[] = {{.name = "type"},
                                         {.name = "file_id", .kind = FIELD_STRING, .required = true}};
static const struct field document_part[] = {
    {.name = "type"},
    {.name = "document_url", .kind = FIELD_STRING, .required = true},
    {.name = "document_name", .kind = FIELD_STRING, .nullable = true}};
static const struct field reference_part[] = {
    {.name = "type"}, {.name = "reference_ids", .kind = FIELD_ARRAY, .required = true}};
static const struct field thinking_part[] = {{.name = "type"},
                                             {.name = "thinking", .kind = FIELD_ARRAY, .required = true},
                                             {.name = "closed", .kind = FIELD_BOOL}};

/* text and thinking first: a system message knows only these. */
static const struct part parts[] = {
    {"text", FIELDS(text_part)},           {"thinking", FIELDS(thinking_part)},
    {"image_url", FIELDS(image_part)},     {"input_audio", FIELDS(audio_part)},
    {"file", FIELDS(file_part)},           {"document_url", FIELDS(document_part)},
    {"reference", FIELDS(reference_part)},
};
#define SYSTEM_PARTS 2

static const struct field system_fields[] = {{.name = "role"}, {.name = "content", .required = true}};
static const struct field user_fields[] = {{.name = "role"}, {.name = "content", .required = true}};
static const struct field assistant_fields[] = {{.name = "role"},
                                                {.name = "content", .nullable = true},
                                                {.name = "tool_calls", .kind = FIELD_ARRAY, .nullable = true},
                                                {.name = "prefix", .kind = FIELD_BOOL}};
static const struct field tool_fields[] = {{.name = "role"},
                                           {.name = "content", .required = true},
                                           {.name = "tool_call_id", .kind = FIELD_STRING, .nullable = true},
                                           {.name = "name", .kind = FIELD_STRING, .nullable = true}};

static const struct role {
    const char *name;
    const struct field *fields;
    size_t count, parts;
    bool null_content;
} roles[] = {
    {"system", FIELDS(system_fields), SYSTEM_PARTS, false},
    {"user", FIELDS(user_fields), KT_COUNT(parts), false},
    {"assistant", FIELDS(assistant_fields), KT_COUNT(parts), true},
    {"tool", FIELDS(tool_fields), KT_COUNT(parts), false},
};

static const char *text_of(const cJSON *object, const char *name)
{
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(j) ? j->valuestring : "";
}

static void check_part(struct findings *f, const cJSON *part, size_t known)
{
    const char *type = text_of(part, "type");
    for (size_t i = 0; i < known; i++)
        if (strcmp(parts[i].type, type) == 0) {
            place_name(f, type);
            check_fields(f, part, parts[i].fields, parts[i].count);
            place_up(f);
            return;
        }
    finding(f, NULL, "union_tag_invalid",
            "Input tag found using 'type' does not match any of the expected tags", part);
}

static void check_content(struct findings *f, const cJSON *content, const struct role *role)
{
    const cJSON *part;
    int i = 0;
    bool absent = !content || (cJSON_IsNull(content) && role->null_content);
    if (absent || cJSON_IsString(content))
        return;
    if (!cJSON_IsArray(content)) {
        finding(f, "content", "string_type", "Input should be a valid string", content);
        return;
    }
    place_name(f, "content");
    cJSON_ArrayForEach(part, content)
    {
        place_index(f, i++);
        check_part(f, part, role->parts);
        place_up(f);
    }
    place_up(f);
}

static void check_calls(struct findings *f, const cJSON *calls)
{
    static const struct field call_fields[] = {{.name = "id", .kind = FIELD_STRING},
                                               {.name = "type", .kind = FIELD_STRING, .values = "function"},
                                               {.name = "function", .kind = FIELD_OBJECT, .required = true},
                                               {.name = "index", .kind = FIELD_INT}};
    static const struct field function_fields[] = {{.name = "name", .kind = FIELD_STRING, .required = true},
                                                   {.name = "arguments", .required = true}};
    const cJSON *call;
    int i = 0;
    place_name(f, "tool_calls");
    cJSON_ArrayForEach(call, calls)
    {
        place_index(f, i++);
        check_fields(f, call, FIELDS(call_fields));
        place_name(f, "function");
        check_fields(f, cJSON_GetObjectItemCaseSensitive(call, "function"), FIELDS(function_fields));
        place_up(f);
        place_up(f);
    }
    place_up(f);
}

void check_message(struct findings *f, const cJSON *message)
{
    const char *name = text_of(message, "role");
    const struct role *role = NULL;
    for (size_t i = 0; i < KT_COUNT(roles); i++)
        if (strcmp(roles[i].name, name) == 0)
            role = &roles[i];
    if (!role) {
        finding(f, NULL, "union_tag_invalid",
                "Input tag found using 'role' does not match any of the expected tags: 'assistant', "
                "'system', 'tool', 'user'",
                message);
        return;
    }
    place_name(f, role->name);
    check_fields(f, message, role->fields, role->count);
    check_content(f, cJSON_GetObjectItemCaseSensitive(message, "content"), role);
    if (strcmp(role->name, "assistant") == 0)
        check_calls(f, cJSON_GetObjectItemCaseSensitive(message, "tool_calls"));
    place_up(f);
}

static void check_choice(struct findings *f, const cJSON *choice)
{
    static const struct field choice_fields[] = {
        {.name = "type", .kind = FIELD_STRING, .values = "function"},
        {.name = "function", .kind = FIELD_OBJECT, .required = true}};
    static const struct field name_fields[] = {{.name = "name", .kind = FIELD_STRING, .required = true}};
    if (!choice)
        return;
    if (cJSON_IsString(choice)) {
        const char *v = choice->valuestring;
        if (strcmp(v, "auto") != 0 && strcmp(v, "none") != 0 && strcmp(v, "any") != 0 &&
            strcmp(v, "required") != 0)
            finding(f, "tool_choice", "enum", "Input should be 'auto', 'none', 'any' or 'required'", choice);
        return;
    }
    if (!cJSON_IsObject(choice)) {
        finding(f, "tool_choice", "enum", "Input should be 'auto', 'none', 'any' or 'required'", choice);
        return;
    }
    place_name(f, "tool_choice");
    check_fields(f, choice, FIELDS(choice_fields));
    place_name(f, "function");
    check_fields(f, cJSON_GetObjectItemCaseSensitive(choice, "function"), FIELDS(name_fields));
    place_up(f);
    place_up(f);
}

void check_tools(struct findings *f, const cJSON *request)
{
    static const struct field tool[] = {{.name = "type", .kind = FIELD_STRING, .values = "function"},
                                        {.name = "function", .kind = FIELD_OBJECT, .required = true}};
    static const struct field function[] = {{.name = "name", .kind = FIELD_STRING, .required = true},
                                            {.name = "description", .kind = FIELD_STRING},
                                            {.name = "strict", .kind = FIELD_BOOL},
                                            {.name = "parameters", .kind = FIELD_OBJECT, .required = true}};
    const cJSON *tools = cJSON_GetObjectItemCaseSensitive(request, "tools"), *item;
    int i = 0;
    check_choice(f, cJSON_GetObjectItemCaseSensitive(request, "tool_choice"));
    if (cJSON_IsArray(tools) && cJSON_GetArraySize(tools) == 0)
        finding(f, "tools", "too_short", "List should have at least 1 item after validation, not 0", tools);
    place_name(f, "tools");
    cJSON_ArrayForEach(item, tools)
    {
        place_index(f, i++);
        check_fields(f, item, FIELDS(tool));
        place_name(f, "function");
        check_fields(f, cJSON_GetObjectItemCaseSensitive(item, "function"), FIELDS(function));
        place_up(f);
        place_up(f);
    }
    place_up(f);
}

/* ---- what is only wrong in its order ---- */

static int refuse(struct kt_buf *out, const char *type, const char *code, const char *text)
{
    return mock_error_body(MOCK_MISTRAL, 400, text, type, code, out).code == KT_OK ? 400 : 500;
}

static int refuse_order(struct kt_buf *out, const char *text)
{
    return refuse(out, "invalid_request_message_order", "3230", text);
}

static bool good_id(const char *id)
{
    size_t n = 0;
    while (isalnum((unsigned char)id[n]))
        n++;
    return n == 9 && id[n] == '\0';
}

static int check_id(const cJSON *id, struct kt_buf *out)
{
    char text[200];
    if (!cJSON_IsString(id) || good_id(id->valuestring))
        return 0;
    snprintf(text, sizeof text, "Tool call id was %.80s but must be a-z, A-Z, 0-9, with a length of 9.",
             id->valuestring);
    return refuse(out, "invalid_function_call", "3280", text);
}

static int check_one(const cJSON *message, const char *before, struct kt_buf *out)
{
    const char *role = text_of(message, "role");
    const cJSON *calls = cJSON_GetObjectItemCaseSensitive(message, "tool_calls"), *call;
    const cJSON *content = cJSON_GetObjectItemCaseSensitive(message, "content");
    int status = check_id(cJSON_GetObjectItemCaseSensitive(message, "tool_call_id"), out);
    cJSON_ArrayForEach(call, calls) status =
        status ? status : check_id(cJSON_GetObjectItemCaseSensitive(call, "id"), out);
    if (status)
        return status;
    if (strcmp(role, "user") == 0 && strcmp(before, "tool") == 0)
        return refuse_order(out, "Unexpected role 'user' after role 'tool'");
    if (strcmp(role, "tool") == 0 && strcmp(before, "tool") != 0 && strcmp(before, "assistant") != 0) {
        char text[100];
        snprintf(text, sizeof text, "Unexpected role 'tool' after role '%.20s'", before);
        return refuse_order(out, text);
    }
    bool empty = !content || cJSON_IsNull(content) || (cJSON_IsString(content) && !content->valuestring[0]) ||
                 (cJSON_IsArray(content) && cJSON_GetArraySize(content) == 0);
    if (strcmp(role, "assistant") == 0 && empty && cJSON_GetArraySize(calls) == 0)
        return refuse(out, "invalid_request_assistant_message", "3240",
                      "Assistant message must have either content or tool_calls, but not none.");
    return 0;
}

int mock_check_conversation(const cJSON *messages, struct kt_buf *out)
{
    const char *before = "start";
    const cJSON *message, *last = NULL;
    char text[160];
    cJSON_ArrayForEach(message, messages)
    {
        int status = check_one(message, before, out);
        if (status)
            return status;
        before = text_of(message, "role");
        last = message;
    }
    if (!last)
        return refuse_order(out, "Conversation must have at least one message");
    bool prefix =
        strcmp(before, "assistant") == 0 && cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(last, "prefix"));
    if (prefix || strcmp(before, "user") == 0 || strcmp(before, "tool") == 0)
        return 0;
    snprintf(text, sizeof text,
             "Expected last role User or Tool (or Assistant with prefix True) for serving but got %.20s",
             before);
    return refuse_order(out, text);
}
