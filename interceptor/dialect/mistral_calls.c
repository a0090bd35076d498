/* SPDX-License-Identifier: Apache-2.0 */
/* Tool calls inside of messages, and the ids that tie results to them. */
#include "interceptor/dialect/mistral.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static bool valid_id(const char *id, size_t len)
{
    return len == KT_MISTRAL_ID_LEN && strspn(id, base62) == len;
}

kt_result kt_mistral_id(const char *foreign, size_t len, char out[KT_MISTRAL_ID_LEN + 1])
{
    char digest[KT_SHA256_HEX], head[17];
    KT_GUARD(kt_sha256_hex(foreign, len, digest));
    snprintf(head, sizeof head, "%.16s", digest);
    unsigned long long bits = strtoull(head, NULL, 16);
    for (size_t i = 0; i < KT_MISTRAL_ID_LEN; i++, bits /= 62)
        out[i] = base62[bits % 62];
    out[KT_MISTRAL_ID_LEN] = '\0';
    return kt_ok();
}

kt_result kt_mistral_fix_id(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    (void)object;
    if (!kt_rule_is(t, value, KT_JSON_STRING))
        return kt_ok();
    KT_CLEANUP(kt_buf_free) struct kt_buf id = KT_BUF_INIT(kt_json_raw(t->j, value).len);
    KT_GUARD(kt_json_unescape(t->j, value, &id));
    if (valid_id(kt_buf_span(&id).data, id.len))
        return kt_ok();
    char mapped[KT_MISTRAL_ID_LEN + 1], raw[KT_MISTRAL_ID_LEN + 3];
    KT_GUARD(kt_mistral_id(kt_buf_span(&id).data, id.len, mapped));
    snprintf(raw, sizeof raw, "\"%s\"", mapped);
    return kt_rule_set(t, value, raw);
}

static const struct kt_rule function_fields[] = {{.key = "name"}, {.key = "arguments"}, {0}};

static const struct kt_rule call_fields[] = {
    {.key = "id", .fix = kt_mistral_fix_id},
    {.key = "type", .flags = KT_RULE_NOT_NULL},
    {.key = "function", .fields = function_fields},
    {.key = "index", .flags = KT_RULE_NOT_NULL},
    {0},
};

static kt_result type_function(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    (void)object;
    return kt_rule_set(t, value, "\"function\"");
}

static kt_result to_function(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    (void)object;
    return kt_rule_rename(t, value, "function");
}

static kt_result to_arguments(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    (void)object;
    return kt_rule_rename(t, value, "arguments");
}

/* A call of a custom tool has free text where a function has arguments. */
static const struct kt_rule custom_fields[] = {{.key = "name"}, {.key = "input", .fix = to_arguments}, {0}};

static const struct kt_rule custom_call_fields[] = {
    {.key = "id", .fix = kt_mistral_fix_id},
    {.key = "type", .fix = type_function},
    {.key = "custom", .fields = custom_fields, .fix = to_function},
    {.key = "index", .flags = KT_RULE_NOT_NULL},
    {0},
};

kt_result kt_mistral_tool_calls(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    if (!kt_rule_is(t, value, KT_JSON_ARRAY))
        return kt_ok();
    if (t->j->tok[value].size == 0)
        return kt_rule_drop(t, object, value);
    for (uint32_t i = value + 1; i < t->j->tok[value].next; i = t->j->tok[i].next) {
        uint32_t type = kt_rule_given(t, i, "type");
        bool custom = type && kt_json_str_eq(t->j, type, "custom");
        KT_GUARD(kt_rules_apply(t, i, custom ? custom_call_fields : call_fields));
    }
    return kt_ok();
}

kt_result kt_mistral_legacy_call(const struct kt_translation *t, uint32_t value, const char *id)
{
    char open[64];
    snprintf(open, sizeof open, "[{\"id\":\"%s\",\"type\":\"function\",\"function\":", id);
    KT_GUARD(kt_rule_rename(t, value, "tool_calls"));
    KT_GUARD(kt_rules_apply(t, value, function_fields));
    return kt_rule_wrap(t, value, open, "}]");
}
