/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events in a stream of chat chunks that are none: pings, a router's status, what a provider invented. Nobody
 * knows which of their strings a model wrote, so that all are texts, but for ids and names of the protocol.
 */
#include "interceptor/dialect/kt_segments.h"

#include <ctype.h>
#include <string.h>

#define ID_MAX 128u /* bytes */

static bool is_one_of(const struct kt_json *j, uint32_t key, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (kt_json_str_eq(j, key, names[i]))
            return true;
    return false;
}

static bool ends_in_id(struct kt_span key)
{
    return key.len > 5 && memcmp(key.data + key.len - 4, "_id\"", 4) == 0;
}

/* "msg_0123", "openai/gpt-4o", "response.created": what has another letter in it may be a text. */
static bool looks_like_id(struct kt_span text)
{
    for (size_t i = 1; i + 1 < text.len; i++)
        if (!isalnum((unsigned char)text.data[i]) && !strchr("._:/-", text.data[i]))
            return false;
    return text.len <= ID_MAX;
}

bool kt_answer_is_id(const struct kt_json *j, uint32_t key)
{
    static const char *const names[] = {"id",           "object",        "type",
                                        "model",        "provider",      "event",
                                        "status",       "role",          "system_fingerprint",
                                        "service_tier", "finish_reason", "native_finish_reason",
                                        "stop_reason",  "obfuscation"};
    bool named = is_one_of(j, key, names, KT_COUNT(names)) || ends_in_id(kt_json_raw(j, key));
    return named && looks_like_id(kt_json_raw(j, key + 1));
}

bool kt_answer_is_piece(const struct kt_json *j, uint32_t key)
{
    static const char *const names[] = {
        "delta",    "content",        "text",       "reasoning",  "reasoning_content",
        "thinking", "refusal",        "arguments",  "input",      "partial_json",
        "output",   "output_text",    "transcript", "completion", "token",
        "response", "generated_text", "answer",     "thought",    "thoughts",
        "tool_plan"};
    return is_one_of(j, key, names, KT_COUNT(names));
}

/* No deeper than KT_JSON_MAX_DEPTH. */
static KT_MUST kt_result visit(struct kt_chat *a, uint32_t tok, bool piece, struct kt_error *err)
{
    const struct kt_json *j = &a->json;
    const struct kt_json_tok *t = &j->tok[tok];
    if (t->type == KT_JSON_STRING)
        return kt_segments_text(a, tok, piece ? KT_FROM_REASONING : KT_FROM_LABEL, 0, err);
    if (t->type == KT_JSON_ARRAY)
        for (uint32_t e = tok + 1; e < j->tok[tok].next; e = j->tok[e].next)
            KT_GUARD(visit(a, e, piece, err));
    if (t->type == KT_JSON_OBJECT)
        for (uint32_t k = tok + 1; k < j->tok[tok].next; k = j->tok[k + 1].next)
            if (j->tok[k + 1].type != KT_JSON_STRING || !kt_answer_is_id(j, k))
                KT_GUARD(visit(a, k + 1, piece || kt_answer_is_piece(j, k), err));
    return kt_ok();
}

kt_result kt_answer_take_aside(struct kt_chat *a, struct kt_json *json, struct kt_error *err)
{
    *a = (struct kt_chat){.endpoint = KT_EP_UNKNOWN, .answer = true, .json = *json};
    memset(json, 0, sizeof *json);
    kt_result r = visit(a, 0, false, err);
    if (!kt_is_ok(r))
        kt_chat_free(a);
    return r;
}
