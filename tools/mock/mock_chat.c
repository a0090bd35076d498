/* SPDX-License-Identifier: Apache-2.0 */
/* The good answer, whole or as a stream, in the form of either provider. */
#include "policyengine/audit/kt_event.h"
#include "tools/mock/mock.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEFAULT_CHUNKS 5
#define CHOICES_MAX 16

struct chat {
    const struct mock_options *o;
    bool openai, stream, include_usage;
    int choices;
    char id[48];
    long created;
    struct kt_buf model; /* inside of a JSON string */
    struct kt_buf text;  /* plain, whole characters */
    size_t prompt_tokens, completion_tokens;
};

static void chat_free(struct chat *c)
{
    kt_buf_free(&c->model);
    kt_buf_free(&c->text);
}

static size_t characters(struct kt_span s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.data[i] & 0xC0) != 0x80;
    return n;
}

/* About four bytes are a token; exact figures are nobody's business here, equal ones for equal requests are.
 */
static size_t tokens_in(const cJSON *content)
{
    const cJSON *part;
    size_t n = 0;
    if (cJSON_IsString(content))
        return (strlen(content->valuestring) + 3) / 4;
    cJSON_ArrayForEach(part, content)
    {
        const cJSON *text = cJSON_GetObjectItemCaseSensitive(part, "text");
        n += cJSON_IsString(text) ? (strlen(text->valuestring) + 3) / 4 : 1;
    }
    return n;
}

static size_t words(struct kt_span s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += s.data[i] > ' ' && (i == 0 || s.data[i - 1] <= ' ');
    return n ? n : 1;
}

static kt_result make_text(struct chat *c, const char *model, int messages)
{
    char greeting[200];
    size_t need = c->o->chunks;
    snprintf(greeting, sizeof greeting, "Hello from kt mock. You asked %.100s with %d message%s.", model,
             messages, messages == 1 ? "" : "s");
    const char *text = c->o->text ? c->o->text : greeting;
    KT_GUARD(kt_buf_puts(&c->text, text));
    /* A piece for every chunk that was asked for. */
    while (*text && c->stream && characters(kt_buf_span(&c->text)) < need) {
        size_t was = c->text.len;
        KT_GUARD(kt_buf_reserve(&c->text, was + 1)); /* first, or the source of the copy would move */
        KT_GUARD(kt_buf_puts(&c->text, " "));
        KT_GUARD(kt_buf_append(&c->text, c->text.data, was));
    }
    return kt_ok();
}

static kt_result prepare(struct chat *c, const struct mock_options *o, const cJSON *request)
{
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(request, "model"), *message;
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(request, "n");
    const cJSON *options = cJSON_GetObjectItemCaseSensitive(request, "stream_options");
    const cJSON *messages = cJSON_GetObjectItemCaseSensitive(request, "messages");
    char id[33];
    c->o = o;
    c->openai = o->dialect == MOCK_OPENAI;
    c->stream = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(request, "stream"));
    c->include_usage = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(options, "include_usage"));
    c->choices =
        cJSON_IsNumber(n) && n->valuedouble >= 1 && n->valuedouble <= CHOICES_MAX ? (int)n->valuedouble : 1;
    c->created = (long)time(NULL);
    cJSON_ArrayForEach(message, messages) c->prompt_tokens +=
        3 + tokens_in(cJSON_GetObjectItemCaseSensitive(message, "content"));
    KT_GUARD(kt_event_new_id(id));
    snprintf(c->id, sizeof c->id, "%s%s", c->openai ? "chatcmpl-" : "", id);
    KT_GUARD(kt_event_text(&c->model, model->valuestring, strlen(model->valuestring)));
    KT_GUARD(make_text(c, model->valuestring, cJSON_GetArraySize(messages)));
    c->completion_tokens = words(kt_buf_span(&c->text)) * (size_t)c->choices;
    return kt_ok();
}

static kt_result put_usage(struct kt_buf *b, const struct chat *c)
{
    return kt_buf_printf(b,
                         ",\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":%zu,\"total_tokens\":%zu}",
                         c->prompt_tokens, c->completion_tokens, c->prompt_tokens + c->completion_tokens);
}

static kt_result put_start(struct kt_buf *b, const struct chat *c, const char *object)
{
    KT_GUARD(kt_buf_printf(b, "{\"id\":\"%s\",\"object\":\"%s\",\"created\":%ld,\"model\":\"", c->id, object,
                           c->created));
    KT_GUARD(kt_buf_append(b, c->model.data, c->model.len));
    return kt_buf_puts(b, "\",\"choices\":[");
}

/* ---- JSON ---- */

static kt_result put_whole(struct kt_buf *b, const struct chat *c)
{
    KT_GUARD(put_start(b, c, "chat.completion"));
    for (int i = 0; i < c->choices; i++) {
        KT_GUARD(kt_buf_printf(b, "%s{\"index\":%d,\"message\":{\"role\":\"assistant\",\"content\":\"",
                               i ? "," : "", i));
        KT_GUARD(kt_event_text(b, c->text.data, c->text.len));
        KT_GUARD(kt_buf_puts(
            b, c->openai ? "\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}"
                         : "\",\"tool_calls\":null,\"prefix\":false},\"finish_reason\":\"stop\"}"));
    }
    KT_GUARD(kt_buf_puts(b, "]"));
    KT_GUARD(put_usage(b, c));
    return kt_buf_puts(b, c->openai ? ",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_ktmock\"}"
                                    : "}");
}

/* cut: the head promises the whole body, half of it comes. */
static bool send_whole(struct mock_conn *conn, const struct kt_request *r, const struct chat *c,
                       const struct mock_fault *f)
{
    KT_CLEANUP(kt_buf_free)
    struct kt_buf body = KT_BUF_INIT(MOCK_MAX_ANSWER), out = KT_BUF_INIT(MOCK_MAX_ANSWER + 4096);
    if (put_whole(&body, c).code != KT_OK)
        return false;
    if (!f || f->cut < 0)
        return mock_send(conn, r, 200, "application/json", "", kt_buf_span(&body));
    conn->cut = true;
    if (kt_buf_printf(&out,
                      "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n",
                      body.len)
                .code == KT_OK &&
        kt_buf_append(&out, body.data, body.len / 2).code == KT_OK && mock_write(conn, out.data, out.len) &&
        f->hang)
        mock_pause(conn, -1);
    return false;
}

/* ---- stream ---- */

struct stream {
    struct mock_conn *conn;
    const struct chat *c;
    const struct mock_fault *f;
    struct kt_buf out; /* of the next write */
    struct kt_buf event;
    bool chunked;
    int sent; /* events, for cut */
};

/* Frames the event, sends it, pauses. False where the stream ends here. */
static bool send_event(struct stream *s, bool pause)
{
    kt_result r = s->chunked ? kt_buf_printf(&s->out, "%zx\r\n", s->event.len) : kt_ok();
    if (r.code == KT_OK)
        r = kt_buf_append(&s->out, s->event.data, s->event.len);
    if (r.code == KT_OK && s->chunked)
        r = kt_buf_puts(&s->out, "\r\n");
    if (r.code != KT_OK || !mock_write(s->conn, s->out.data, s->out.len))
        return false;
    kt_buf_clear(&s->out);
    kt_buf_clear(&s->event);
    s->sent++;
    if (s->f && s->f->cut >= 0 && s->sent >= s->f->cut) {
        s->conn->cut = true;
        if (s->f->hang)
            mock_pause(s->conn, -1);
        return false;
    }
    return !pause || s->c->o->chunk_delay_ms == 0 || mock_pause(s->conn, (int)s->c->o->chunk_delay_ms);
}

/* `role`: the first delta; `finish`: the last one. */
static kt_result put_delta(struct stream *s, int index, bool role, struct kt_span text, bool finish)
{
    struct kt_buf *b = &s->event;
    const struct chat *c = s->c;
    KT_GUARD(kt_buf_puts(b, "data: "));
    KT_GUARD(put_start(b, c, "chat.completion.chunk"));
    KT_GUARD(kt_buf_printf(b, "{\"index\":%d,\"delta\":{", index));
    if (role)
        KT_GUARD(kt_buf_puts(b, "\"role\":\"assistant\","));
    if (!finish || !c->openai) { /* OpenAI's last delta is empty, Mistral's holds an empty text */
        KT_GUARD(kt_buf_puts(b, "\"content\":\""));
        KT_GUARD(kt_event_text(b, text.data, text.len));
        KT_GUARD(kt_buf_puts(b, "\""));
    }
    KT_GUARD(kt_buf_printf(b, "},%s\"finish_reason\":%s}]", c->openai ? "\"logprobs\":null," : "",
                           finish ? "\"stop\"" : "null"));
    if (!c->openai && finish && index == c->choices - 1)
        KT_GUARD(put_usage(b, c));
    if (c->openai && c->include_usage)
        KT_GUARD(kt_buf_puts(b, ",\"usage\":null"));
    return kt_buf_puts(b, "}\n\n");
}

static bool send_delta(struct stream *s, int index, bool role, struct kt_span text, bool finish)
{
    return put_delta(s, index, role, text, finish).code == KT_OK && send_event(s, !finish);
}

/* Piece i of n, whole characters only; the pieces put together are the text. */
static struct kt_span piece(struct kt_span text, size_t *at, size_t total, size_t i, size_t n)
{
    size_t take = total * (i + 1) / n - total * i / n, start = *at;
    while (*at < text.len && (take > 0 || ((unsigned char)text.data[*at] & 0xC0) == 0x80)) {
        if (((unsigned char)text.data[*at] & 0xC0) != 0x80)
            take--;
        ++*at;
    }
    return kt_span(text.data + start, *at - start);
}

static bool send_contents(struct stream *s)
{
    const struct chat *c = s->c;
    struct kt_span text = kt_buf_span(&c->text);
    size_t total = characters(text), n = c->o->chunks ? c->o->chunks : DEFAULT_CHUNKS;
    n = n > total ? total : n;
    for (int index = 0; index < c->choices; index++)
        if (!send_delta(s, index, true, kt_span("", 0), false))
            return false;
    for (int index = 0; index < c->choices; index++) {
        size_t at = 0;
        for (size_t i = 0; i < n; i++)
            if (!send_delta(s, index, false, piece(text, &at, total, i, n), false))
                return false;
    }
    for (int index = 0; index < c->choices; index++)
        if (!send_delta(s, index, false, kt_span("", 0), true))
            return false;
    return true;
}

static bool send_end(struct stream *s)
{
    const struct chat *c = s->c;
    if (c->openai && c->include_usage &&
        (kt_buf_puts(&s->event, "data: ").code != KT_OK ||
         put_start(&s->event, c, "chat.completion.chunk").code != KT_OK ||
         kt_buf_puts(&s->event, "]").code != KT_OK || put_usage(&s->event, c).code != KT_OK ||
         kt_buf_puts(&s->event, "}\n\n").code != KT_OK || !send_event(s, false)))
        return false;
    return kt_buf_puts(&s->event, "data: [DONE]\n\n").code == KT_OK && send_event(s, false) &&
           (!s->chunked || mock_write(s->conn, "0\r\n\r\n", 5));
}

static bool send_stream(struct mock_conn *conn, const struct kt_request *r, const struct chat *c,
                        const struct mock_fault *f)
{
    struct stream s = {.conn = conn, .c = c, .f = f, .chunked = r->minor >= 1};
    s.out.max = s.event.max = MOCK_MAX_ANSWER;
    bool ok = kt_buf_printf(&s.out,
                            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; "
                            "charset=utf-8\r\ncache-control: no-cache\r\n%s%s\r\n",
                            s.chunked ? "transfer-encoding: chunked\r\n" : "",
                            r->keep_alive && s.chunked ? "" : "connection: close\r\n")
                  .code == KT_OK;
    if (ok && f && f->cut == 0) { /* only the head */
        conn->cut = true;
        if (mock_write(conn, s.out.data, s.out.len) && f->hang)
            mock_pause(conn, -1);
        ok = false;
    }
    ok = ok && send_contents(&s) && send_end(&s);
    kt_buf_free(&s.out);
    kt_buf_free(&s.event);
    return ok && s.chunked;
}

bool mock_chat(struct mock_conn *conn, const struct kt_request *r, const cJSON *request,
               const struct mock_fault *f)
{
    KT_CLEANUP(chat_free) struct chat c = {0};
    c.model.max = c.text.max = MOCK_MAX_ANSWER / 8;
    if (prepare(&c, conn->o, request).code != KT_OK)
        return false;
    return c.stream ? send_stream(conn, r, &c, f) : send_whole(conn, r, &c, f);
}
