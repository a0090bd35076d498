/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a message's content, by their type. A part of a type that is not in the table is left to Mistral's
 * own answer. */
#include "interceptor/dialect/mistral.h"

/* OpenAI: {data, format}; Mistral: the data alone. */
static kt_result input_audio(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    (void)object;
    uint32_t data = kt_rule_given(t, value, "data");
    return data ? kt_rule_unwrap(t, value, data) : kt_ok();
}

/* OpenAI: {file_id} or {file_data, filename} below `file`; Mistral: file_id, or a document by its (data) URL.
 */
static kt_result file(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    uint32_t id = kt_rule_given(t, value, "file_id"), data = kt_rule_given(t, value, "file_data");
    uint32_t type = kt_json_member(t->j, object, "type", NULL);
    if (!id && !data)
        return kt_ok();
    KT_GUARD(kt_rule_rename(t, value, id ? "file_id" : "document_url"));
    KT_GUARD(kt_rule_unwrap(t, value, id ? id : data));
    return id ? kt_ok() : kt_rule_set(t, type, "\"document_url\"");
}

static kt_result type_text(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    (void)object;
    return kt_rule_set(t, value, "\"text\"");
}

static kt_result to_text(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    (void)object;
    return kt_rule_rename(t, value, "text");
}

static const struct kt_rule text_fields[] = {{.key = "type"}, {.key = "text"}, {0}};
static const struct kt_rule refusal_fields[] = {
    {.key = "type", .fix = type_text},
    {.key = "refusal", .fix = to_text},
    {0},
};
static const struct kt_rule image_fields[] = {
    {.key = "url"}, {.key = "detail", .flags = KT_RULE_NOT_NULL}, {0}};
static const struct kt_rule image_url_fields[] = {
    {.key = "type"},
    {.key = "image_url", .fields = image_fields},
    {0},
};
static const struct kt_rule audio_fields[] = {
    {.key = "type"}, {.key = "input_audio", .fix = input_audio}, {0}};
static const struct kt_rule file_fields[] = {{.key = "type"}, {.key = "file", .fix = file}, {0}};
static const struct kt_rule file_id_fields[] = {{.key = "type"}, {.key = "file_id"}, {0}};
static const struct kt_rule document_fields[] = {
    {.key = "type"},
    {.key = "document_url"},
    {.key = "document_name"},
    {0},
};

static const struct {
    const char *type, *key; /* applies where the part has this type and this key */
    const struct kt_rule *fields;
} parts[] = {
    {"text", "text", text_fields},
    {"refusal", "refusal", refusal_fields},
    {"image_url", "image_url", image_url_fields},
    {"input_audio", "input_audio", audio_fields},
    {"file", "file", file_fields},
    {"file", "file_id", file_id_fields},
    {"document_url", "document_url", document_fields},
};

static KT_MUST kt_result fix_part(const struct kt_translation *t, uint32_t part)
{
    uint32_t type = kt_rule_given(t, part, "type");
    for (size_t i = 0; type && i < KT_COUNT(parts); i++)
        if (kt_json_str_eq(t->j, type, parts[i].type) && kt_rule_given(t, part, parts[i].key))
            return kt_rules_apply(t, part, parts[i].fields);
    return kt_ok();
}

kt_result kt_mistral_content(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    (void)object;
    if (!kt_rule_is(t, value, KT_JSON_ARRAY))
        return kt_ok();
    for (uint32_t i = value + 1; i < t->j->tok[value].next; i = t->j->tok[i].next)
        KT_GUARD(fix_part(t, i));
    return kt_ok();
}
