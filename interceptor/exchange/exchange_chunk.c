/* SPDX-License-Identifier: Apache-2.0 */
/* One chat.completion.chunk, as far as the stream's fate depends on it. */
#include "interceptor/exchange/kt_exchange_filter.h"

#include <string.h>

static bool says_something(const struct kt_json *j, uint32_t tok)
{
    switch (j->tok[tok].type) {
    case KT_JSON_NULL:
        return false;
    case KT_JSON_STRING:
        return j->tok[tok].end - j->tok[tok].start > 2;
    case KT_JSON_ARRAY:
    case KT_JSON_OBJECT:
        return j->tok[tok].size > 0;
    default:
        return true;
    }
}

/* The first chunk of most providers is a role with an empty content: nothing that a client could not get from
 * another target. */
static bool delta_has_content(const struct kt_json *j, uint32_t delta)
{
    if (!delta || j->tok[delta].type != KT_JSON_OBJECT)
        return false;
    for (uint32_t key = delta + 1; key < j->tok[delta].next; key = j->tok[key + 1].next)
        if (!kt_json_str_eq(j, key, "role") && says_something(j, key + 1))
            return true;
    return false;
}

static void read_choices(const struct kt_json *j, uint32_t choices, struct kt_x_chunk *out)
{
    unsigned place = 0;
    for (uint32_t c = choices + 1; c < j->tok[choices].next; c = j->tok[c].next, place++) {
        if (j->tok[c].type != KT_JSON_OBJECT)
            continue;
        uint64_t bit = kt_x_choice_bit(j, c, place);
        out->begun |= bit;
        uint32_t finish = kt_json_member(j, c, "finish_reason", NULL);
        if (kt_x_has_finish(j, c))
            out->finished |= bit;
        out->failed |= finish && kt_json_str_eq(j, finish, "error"); /* Mistral's */
        uint32_t text = kt_json_member(j, c, "text", NULL);          /* of the old completions */
        if ((text && says_something(j, text)) || delta_has_content(j, kt_json_member(j, c, "delta", NULL)))
            out->says |= bit;
        out->content |= ((out->finished | out->says) & bit) != 0;
    }
}

/* An error in a shape that OpenAI's clients do not know, Mistral's {"object":"error"}, {"detail":...} and
 * {"message":"..."}: they would take it for an empty chunk. */
static bool is_foreign_error(const struct kt_json *j)
{
    uint32_t object = kt_json_member(j, 0, "object", NULL);
    uint32_t message = kt_json_member(j, 0, "message", NULL);
    return (object && kt_json_str_eq(j, object, "error")) || kt_json_member(j, 0, "detail", NULL) ||
           (message && j->tok[message].type == KT_JSON_STRING);
}

/* Clients raise on an `error` that says something: not on null, false or "". */
static bool is_error(const struct kt_json *j, uint32_t error)
{
    return error && says_something(j, error) && !kt_span_eq(kt_json_raw(j, error), "false");
}

static kt_result put_raw(struct kt_buf *out, const struct kt_json *j, const char *name)
{
    uint32_t tok = kt_json_member(j, 0, name, NULL);
    struct kt_span raw = tok ? kt_json_raw(j, tok) : kt_span("null", 4);
    KT_GUARD(kt_buf_printf(out, "\"%s\":", name));
    return kt_buf_append(out, raw.data, raw.len);
}

static kt_result put_usage_chunk(struct kt_buf *out, const struct kt_json *j)
{
    kt_buf_clear(out);
    KT_GUARD(kt_buf_puts(out, "data: {"));
    KT_GUARD(put_raw(out, j, "id"));
    KT_GUARD(kt_buf_puts(out, ",\"object\":\"chat.completion.chunk\","));
    KT_GUARD(put_raw(out, j, "created"));
    KT_GUARD(kt_buf_puts(out, ","));
    KT_GUARD(put_raw(out, j, "model"));
    KT_GUARD(kt_buf_puts(out, ",\"choices\":[],"));
    KT_GUARD(put_raw(out, j, "usage"));
    /* Raw values may hold line ends between their tokens, which would tear the event apart. */
    kt_x_one_line(out->data, out->len);
    return kt_buf_puts(out, "}\n\n");
}

static void read_usage(const struct kt_json *j, bool no_choices, struct kt_usage *usage,
                       struct kt_buf *usage_chunk, struct kt_x_chunk *out)
{
    uint32_t tok = kt_json_member(j, 0, "usage", NULL);
    if (!tok || j->tok[tok].type != KT_JSON_OBJECT)
        return;
    if (usage)
        kt_usage_of(j, usage);
    out->usage_only = no_choices;
    if (usage_chunk && !kt_is_ok(put_usage_chunk(usage_chunk, j)))
        kt_buf_clear(usage_chunk);
}

struct kt_x_chunk kt_x_chunk_read(struct kt_span json, struct kt_json *j, struct kt_usage *usage,
                                  struct kt_buf *usage_chunk)
{
    struct kt_x_chunk out = {.valid = false};
    if (!kt_is_ok(kt_json_parse(j, json.data, json.len, NULL)))
        return out;
    out.valid = j->tok[0].type == KT_JSON_OBJECT;
    if (!out.valid)
        return out;
    uint32_t error = kt_json_member(j, 0, "error", NULL);
    uint32_t choices = kt_json_member(j, 0, "choices", NULL);
    if (choices && j->tok[choices].type == KT_JSON_NULL) /* Go's empty list */
        choices = 0;
    bool listed = choices && j->tok[choices].type == KT_JSON_ARRAY;
    out.error = is_error(j, error);
    out.foreign_error = !choices && !out.error && is_foreign_error(j);
    out.aside = !choices && !out.error && !out.foreign_error;
    out.content = out.aside && j->tok[0].size > 0; /* not the shape that we know: the client may */
    if (listed)
        read_choices(j, choices, &out);
    read_usage(j, listed && j->tok[choices].size == 0, usage, usage_chunk, &out);
    return out;
}

kt_result kt_x_mend_calls(struct kt_x_stream *s, struct kt_span *data, struct kt_json *j)
{
    KT_CLEANUP(kt_edits_free) struct kt_edits edits = {0};
    KT_GUARD(kt_answer_mend_calls(j, s->calls, &edits));
    if (!edits.count)
        return kt_ok();
    if (!s->mended.max)
        s->mended = (struct kt_buf)KT_BUF_INIT(KT_X_HELD_MAX);
    kt_buf_clear(&s->mended);
    KT_GUARD(kt_edits_apply(&edits, data->data, data->len, &s->mended));
    kt_json_free(j);
    *j = (struct kt_json){0};
    *data = kt_buf_span(&s->mended);
    return kt_json_parse(j, data->data, data->len, NULL);
}

/* ---- errors ---- */

static bool holds(struct kt_span text, const char *word)
{
    return text.data && memmem(text.data, text.len, word, strlen(word)) != NULL;
}

/* 0 = the member tells nothing. */
static int status_told(const struct kt_json *j, uint32_t object, const char *name)
{
    static const struct {
        const char *word;
        int status;
    } words[] = {{"rate_limit", 429},      {"quota", 429},        {"overloaded", 503},
                 {"unavailable", 503},     {"timeout", 504},      {"authentication", 401},
                 {"invalid_api_key", 401}, {"permission", 403},   {"content_", 400},
                 {"context_length", 400},  {"server_error", 500}, {"invalid_request", 400}};
    uint32_t tok = kt_json_member(j, object, name, NULL);
    struct kt_span raw = tok ? kt_json_raw(j, tok) : kt_span("", 0);
    if (tok && j->tok[tok].type == KT_JSON_NUMBER && raw.len == 3 &&
        (raw.data[0] == '4' || raw.data[0] == '5'))
        return (raw.data[0] - '0') * 100 + (raw.data[1] - '0') * 10 + raw.data[2] - '0';
    for (size_t i = 0; tok && j->tok[tok].type == KT_JSON_STRING && i < KT_COUNT(words); i++)
        if (holds(raw, words[i].word))
            return words[i].status;
    return 0;
}

/* Of Mistral's bare errors only the words tell. */
static int bare_status(const struct kt_json *j)
{
    static const char *const names[] = {"detail", "message"};
    for (size_t i = 0; i < KT_COUNT(names); i++) {
        uint32_t tok = kt_json_member(j, 0, names[i], NULL);
        struct kt_span raw = tok ? kt_json_raw(j, tok) : kt_span("", 0);
        if (tok && j->tok[tok].type == KT_JSON_ARRAY)
            return 422; /* what of the request was not accepted */
        if (holds(raw, "Unauthorized"))
            return 401;
        if (holds(raw, "rate limit") || holds(raw, "Rate limit") || holds(raw, "capacity exceeded"))
            return 429;
    }
    return 500;
}

int kt_x_error_status(const struct kt_json *j)
{
    static const char *const names[] = {"status", "code", "type", "raw_status_code"};
    uint32_t inner = kt_json_member(j, 0, "error", NULL);
    uint32_t object = inner && j->tok[inner].type == KT_JSON_OBJECT ? inner : 0;
    for (size_t i = 0; i < KT_COUNT(names); i++) {
        int status = status_told(j, object, names[i]);
        if (status)
            return status;
    }
    return object ? 500 : bare_status(j);
}
