/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors of all providers in OpenAI's shape, with strings where its SDKs expect strings. What the provider
 * said is kept, cut short; of a validation error the places and reasons are kept and the echoed input is not,
 * for that is the user's prompt.
 */
#include "interceptor/dialect/kt_dialect.h"

#define MESSAGE_MAX 1536 /* with the words below no more than 2 KiB of an answer are echoed */
#define WORD_MAX 128
#define WORK_MAX (64u << 20)

static uint32_t first(const struct kt_json *j, uint32_t object, const char *a, const char *b)
{
    uint32_t v = kt_json_member(j, object, a, NULL);
    return v ? v : kt_json_member(j, object, b, NULL);
}

/* Where the error's fields stand: below "error", or at the top; some wrap it all into a list. */
static uint32_t error_object(const struct kt_json *j)
{
    uint32_t top = j->tok[0].type == KT_JSON_ARRAY && j->count > 1 ? 1 : 0;
    uint32_t inner = kt_json_member(j, top, "error", NULL);
    return inner && j->tok[inner].type == KT_JSON_OBJECT ? inner : top;
}

static bool is_text(const struct kt_json *j, uint32_t tok)
{
    return tok && j->tok[tok].type == KT_JSON_STRING && kt_json_raw(j, tok).len > 2;
}

/* "body.messages.0.name" */
static KT_MUST kt_result add_place(const struct kt_json *j, uint32_t loc, struct kt_buf *out)
{
    if (!loc || j->tok[loc].type != KT_JSON_ARRAY)
        return kt_ok();
    for (uint32_t i = loc + 1; i < j->tok[loc].next; i = j->tok[i].next) {
        if (i > loc + 1)
            KT_GUARD(kt_buf_puts(out, "."));
        if (j->tok[i].type == KT_JSON_STRING)
            KT_GUARD(kt_json_unescape(j, i, out));
        else if (j->tok[i].type == KT_JSON_NUMBER)
            KT_GUARD(kt_buf_append(out, kt_json_raw(j, i).data, kt_json_raw(j, i).len));
    }
    return kt_buf_puts(out, ": ");
}

/* Pydantic's list of complaints: [{loc, msg, ...}]. */
static KT_MUST kt_result add_detail(const struct kt_json *j, uint32_t list, struct kt_buf *out)
{
    for (uint32_t i = list + 1; i < j->tok[list].next && out->len < MESSAGE_MAX; i = j->tok[i].next) {
        uint32_t msg = first(j, i, "msg", "message");
        if (!is_text(j, msg))
            continue;
        if (out->len > 0)
            KT_GUARD(kt_buf_puts(out, "; "));
        KT_GUARD(add_place(j, kt_json_member(j, i, "loc", NULL), out));
        KT_GUARD(kt_json_unescape(j, msg, out));
    }
    return kt_ok();
}

static KT_MUST kt_result find_message(const struct kt_json *j, struct kt_buf *out)
{
    uint32_t object = error_object(j);
    uint32_t m = first(j, object, "message", "detail");
    if (m && j->tok[m].type == KT_JSON_OBJECT)
        m = first(j, m, "detail", "message");
    if (!m)
        m = first(j, object, "error", "msg"); /* {"error":"text"} */
    if (m && j->tok[m].type == KT_JSON_ARRAY)
        return add_detail(j, m, out);
    return is_text(j, m) ? kt_json_unescape(j, m, out) : kt_ok();
}

/* Cuts at `max` bytes, at the start of a character. */
static struct kt_span cut(const struct kt_buf *b, size_t max)
{
    struct kt_span s = kt_buf_span(b);
    if (s.len <= max)
        return s;
    while (max > 0 && ((unsigned char)s.data[max] & 0xC0) == 0x80)
        max--;
    return kt_span(s.data, max);
}

/* `,"name":"text"`, or null where the answer has no such word. */
static KT_MUST kt_result add_word(const struct kt_json *j, uint32_t object, const char *name,
                                  const char *fallback, struct kt_buf *out)
{
    uint32_t v = j->count ? kt_json_member(j, object, name, NULL) : 0;
    KT_CLEANUP(kt_buf_free) struct kt_buf word = KT_BUF_INIT(WORK_MAX);
    if (is_text(j, v))
        KT_GUARD(kt_json_unescape(j, v, &word));
    else if (v && j->tok[v].type == KT_JSON_NUMBER)
        KT_GUARD(kt_buf_append(&word, kt_json_raw(j, v).data, kt_json_raw(j, v).len));
    else if (fallback)
        KT_GUARD(kt_buf_puts(&word, fallback));
    if (word.len == 0)
        return kt_buf_printf(out, ",\"%s\":null", name);
    struct kt_span s = cut(&word, WORD_MAX);
    KT_GUARD(kt_buf_printf(out, ",\"%s\":\"", name));
    KT_GUARD(kt_buf_json(out, s.data, s.len));
    return kt_buf_puts(out, "\"");
}

static const char *type_for(int status)
{
    switch (status) {
    case 401:
        return "authentication_error";
    case 403:
        return "permission_error";
    case 429:
        return "rate_limit_error";
    default:
        return status >= 400 && status < 500 ? "invalid_request_error" : "server_error";
    }
}

static KT_MUST kt_result write_error(int status, const struct kt_json *j, struct kt_buf *out)
{
    uint32_t object = j->count ? error_object(j) : 0;
    KT_CLEANUP(kt_buf_free) struct kt_buf message = KT_BUF_INIT(WORK_MAX);
    if (j->count)
        KT_GUARD(find_message(j, &message));
    if (message.len == 0)
        KT_GUARD(kt_buf_printf(
            &message, "The model provider answered with HTTP status %d and no readable error message",
            status));
    struct kt_span s = cut(&message, MESSAGE_MAX);
    KT_GUARD(kt_buf_puts(out, "{\"error\":{\"message\":\""));
    KT_GUARD(kt_buf_json(out, s.data, s.len));
    KT_GUARD(kt_buf_puts(out, "\""));
    KT_GUARD(add_word(j, object, "type", type_for(status), out));
    KT_GUARD(add_word(j, object, "param", NULL, out));
    KT_GUARD(add_word(j, object, "code", NULL, out));
    return kt_buf_puts(out, "}}");
}

kt_result kt_error_wrap(int status, const char *body, size_t len, struct kt_buf *out)
{
    KT_CLEANUP(kt_json_free) struct kt_json j = {0};
    kt_result r = kt_json_parse(&j, body ? body : "", body ? len : 0, NULL);
    if (r.code == KT_ERR_MEMORY)
        return r;
    /* Anything else that is no JSON (HTML of a proxy, a cut body) becomes a plain message: j is empty then.
     */
    return write_error(status, &j, out);
}

kt_result kt_error_message(struct kt_span body, size_t max, struct kt_buf *out)
{
    KT_CLEANUP(kt_json_free) struct kt_json j = {0};
    KT_CLEANUP(kt_buf_free) struct kt_buf message = KT_BUF_INIT(WORK_MAX);
    if (!body.len || !kt_is_ok(kt_json_parse(&j, body.data, body.len, NULL)) || !j.count)
        return kt_ok();
    KT_GUARD(find_message(&j, &message));
    struct kt_span s = cut(&message, max);
    return kt_buf_append(out, s.data, s.len);
}
