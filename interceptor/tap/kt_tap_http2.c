/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 on a tapped connection: each stream is a call. Its request is written down as HTTP/1.1 and read by
 * the parser that all lanes use. */
#include "interceptor/tap/kt_h2.h"
#include "interceptor/tap/kt_tap_private.h"

#include <stdlib.h>
#include <string.h>

#define STREAMS_MAX 256
#define MAX_FIELDS 256

struct stream {
    struct stream *next;
    uint32_t id;
    struct kt_buf method, path, authority, fields; /* of the request; owned, wiped */
    struct kt_buf body;
    const char *unread;       /* static: why the request is not looked at; NULL = it is */
    bool asked;               /* the request is whole */
    struct kt_tap_call *call; /* NULL: none yet, or none at all */
    int status;               /* of the block under way, then of the answer */
    bool answered;            /* the final head came */
    int64_t body_left;        /* of an answer with a length; -1 = unknown */
    struct kt_buf lines;      /* of the answer's block under way */
};

struct conn {
    struct kt_h2 *h2;
    struct kt_tap *t;
    struct stream *streams;
    size_t count, body_bytes, max_body;
};

/* ---- streams ---- */

static struct stream *find(struct conn *c, uint32_t id)
{
    struct stream *s = c->streams;
    while (s && s->id != id)
        s = s->next;
    return s;
}

static struct stream *open_stream(struct conn *c, uint32_t id)
{
    struct stream *s = c->count < STREAMS_MAX ? calloc(1, sizeof *s) : NULL;
    if (!s) {
        kt_tap_lose(c->t, "truncated", "more HTTP/2 streams at a time than are looked at");
        return NULL;
    }
    *s = (struct stream){.next = c->streams, .id = id, .body_left = -1};
    s->method = s->path = s->authority = (struct kt_buf)KT_BUF_INIT(KT_HTTP_MAX_TARGET);
    s->fields = s->lines = (struct kt_buf)KT_BUF_INIT(KT_HTTP_MAX_HEAD);
    s->body = (struct kt_buf)KT_BUF_INIT(c->max_body);
    c->streams = s;
    c->count++;
    return s;
}

static void drop_body(struct conn *c, struct stream *s)
{
    c->body_bytes -= s->body.len;
    kt_buf_free(&s->body);
}

static void close_stream(struct conn *c, struct stream *s, const char *error, const char *detail)
{
    struct stream **l = &c->streams;
    while (*l != s)
        l = &(*l)->next;
    *l = s->next;
    c->count--;
    drop_body(c, s);
    struct kt_tap_call *call = s->call;
    if (s->answered && s->body_left == 0)
        error = NULL; /* a client that has all of it need not wait for the stream's end */
    kt_buf_free(&s->method);
    kt_buf_free(&s->path);
    kt_buf_free(&s->authority);
    kt_buf_wipe_free(&s->fields); /* the program's own key */
    kt_buf_free(&s->lines);
    free(s);
    if (call)
        kt_tap_call_end(call, error, detail);
}

static void unseen(struct conn *c, const char *why)
{
    c->t->ts->o.event(c->t->ts->o.owner, "unseen", c->t->host, c->t->port, 0, why);
}

/* ---- a request ---- */

static kt_result write_request(const struct stream *s, struct kt_buf *out)
{
    KT_ENSURE(s->method.len && s->path.len, KT_ERR_SYNTAX);
    KT_GUARD(kt_buf_printf(out, "%s %s HTTP/1.1\r\n", s->method.data, s->path.data));
    KT_GUARD(kt_buf_printf(out, "host: %s\r\n", s->authority.len ? s->authority.data : "unknown"));
    KT_GUARD(kt_buf_append(out, kt_buf_span(&s->fields).data, s->fields.len));
    return kt_buf_printf(out, "content-length: %zu\r\n\r\n", s->body.len);
}

static KT_MUST kt_result read_request(struct conn *c, struct stream *s, struct kt_request *r,
                                      const char **why)
{
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf head = KT_BUF_INIT(KT_HTTP_MAX_HEAD * 2);
    struct kt_http_parser *p = NULL;
    size_t used = 0;
    *why = "an HTTP/2 request that makes no sense: no policy looked at it";
    KT_GUARD(write_request(s, &head));
    KT_GUARD(kt_http_parser_new(c->max_body, &p));
    enum kt_http_state state = kt_http_feed(p, head.data, head.len, &used);
    if (state == KT_HTTP_MORE && s->body.len)
        state = kt_http_feed(p, s->body.data, s->body.len, &used);
    if (state == KT_HTTP_COMPLETE)
        kt_http_take(p, r);
    else if (state == KT_HTTP_ERROR)
        kt_http_error(p, why);
    kt_http_parser_free(p);
    return state == KT_HTTP_COMPLETE ? kt_ok() : kt_err(KT_ERR_SYNTAX);
}

static void ask(struct conn *c, struct stream *s)
{
    struct kt_request r;
    const char *why = s->unread;
    if (s->asked)
        return;
    s->asked = true;
    if (!why && kt_is_ok(read_request(c, s, &r, &why)))
        s->call = kt_tap_call_new(c->t, &r);
    else
        unseen(c, why);
    drop_body(c, s);
}

static void put_text(struct stream *s, struct kt_buf *to, struct kt_span value)
{
    kt_buf_clear(to);
    if (memchr(value.data, '\0', value.len) || !kt_is_ok(kt_buf_append(to, value.data, value.len)))
        s->unread = "an HTTP/2 request whose head is too large: no policy looked at it";
}

/* Framing is ours here; the rest is what the program sent. */
static bool is_framing(struct kt_span name)
{
    static const char *const list[] = {"connection", "content-length", "transfer-encoding", "host",
                                       "expect",     "upgrade",        "keep-alive",        "te"};
    for (size_t i = 0; i < KT_COUNT(list); i++)
        if (kt_span_eq(name, list[i]))
            return true;
    return false;
}

static bool breaks_a_line(struct kt_span v)
{
    for (size_t i = 0; i < v.len; i++)
        if (v.data[i] == '\r' || v.data[i] == '\n' || v.data[i] == '\0')
            return true;
    return false;
}

static void put_line(struct stream *s, struct kt_buf *to, struct kt_span name, struct kt_span value)
{
    if (!name.len || name.data[0] == ':' || breaks_a_line(name) || breaks_a_line(value))
        return;
    if (!kt_is_ok(
            kt_buf_printf(to, "%.*s: %.*s\r\n", (int)name.len, name.data, (int)value.len, value.data)) &&
        to == &s->fields)
        s->unread = "an HTTP/2 request whose head is too large: no policy looked at it";
}

static void request_field(struct stream *s, struct kt_span name, struct kt_span value)
{
    if (kt_span_eq(name, ":method"))
        put_text(s, &s->method, value);
    else if (kt_span_eq(name, ":path"))
        put_text(s, &s->path, value);
    else if (kt_span_eq(name, ":authority"))
        put_text(s, &s->authority, value);
    else if (kt_span_eq(name, ":protocol"))
        s->unread = "what a WebSocket carries is not looked at";
    else if (kt_span_eq(name, "host") && !s->authority.len)
        put_text(s, &s->authority, value);
    else if (!is_framing(name))
        put_line(s, &s->fields, name, value);
}

/* ---- an answer ---- */

/* 0 = none. */
static int three_digits(const char *p)
{
    int n = 0;
    for (int i = 0; i < 3; i++) {
        if (p[i] < '0' || p[i] > '9')
            return 0;
        n = n * 10 + (p[i] - '0');
    }
    return n;
}

static void answer_field(struct stream *s, struct kt_span name, struct kt_span value)
{
    if (kt_span_eq(name, ":status") && value.len == 3)
        s->status = three_digits(value.data);
    else
        put_line(s, &s->lines, name, value);
}

/* -1 = not known. */
static int64_t length_of(const struct kt_call_head *head)
{
    const char *length = kt_call_head_get(head, "content-length");
    char *end = NULL;
    long long n = length ? strtoll(length, &end, 10) : -1;
    return length && *length >= '0' && *length <= '9' && *end == '\0' && n >= 0 ? n : -1;
}

static void answer_fields_end(struct conn *c, struct stream *s)
{
    struct kt_call_header fields[MAX_FIELDS];
    bool final = s->status >= 200 && !s->answered; /* else a 1xx, or trailers */
    if (final && !s->asked)
        ask(c, s); /* an answer before the whole request: what came of it is looked at */
    if (final && s->call) {
        struct kt_call_head head = {.status = s->status, .headers = fields};
        head.count =
            kt_tap_fields(s->lines.data ? s->lines.data : (char[1]){0}, s->lines.len, fields, MAX_FIELDS);
        kt_tap_call_head(s->call, &head);
        s->body_left = length_of(&head);
    }
    s->answered |= final;
    kt_buf_clear(&s->lines);
}

/* ---- what the walker sees ---- */

static bool may(void *arg, enum kt_h2_dir dir, uint32_t id)
{
    struct conn *c = arg;
    struct stream *s = dir == KT_H2_SERVER ? find(c, id) : NULL;
    return !s || !s->call || kt_tap_call_ready(s->call);
}

static void on_field(void *arg, enum kt_h2_dir dir, uint32_t id, struct kt_span name, struct kt_span value)
{
    struct conn *c = arg;
    struct stream *s = find(c, id);
    if (!s && dir == KT_H2_CLIENT && (id & 1) && !c->t->lost)
        s = open_stream(c, id);
    if (!s)
        return;
    if (dir == KT_H2_SERVER)
        answer_field(s, name, value);
    else if (!s->asked && !s->body.len)
        request_field(s, name, value);
}

static void on_fields_end(void *arg, enum kt_h2_dir dir, uint32_t id, bool cut)
{
    struct conn *c = arg;
    struct stream *s = find(c, id);
    if (!s)
        return;
    if (dir == KT_H2_SERVER)
        answer_fields_end(c, s);
    else if (cut)
        s->unread = "an HTTP/2 request whose head is too large: no policy looked at it";
}

static void request_data(struct conn *c, struct stream *s, const char *data, size_t len)
{
    if (s->asked || s->unread)
        return;
    if (c->body_bytes + len > c->max_body || !kt_is_ok(kt_buf_append(&s->body, data, len))) {
        s->unread = "a request that is larger than limits.max_body_bytes: no policy looked at it";
        drop_body(c, s);
        return;
    }
    c->body_bytes += len;
}

static void on_data(void *arg, enum kt_h2_dir dir, uint32_t id, const char *data, size_t len)
{
    struct conn *c = arg;
    struct stream *s = find(c, id);
    if (s && dir == KT_H2_CLIENT)
        request_data(c, s, data, len);
    else if (s && s->call && s->answered) {
        if (s->body_left > 0)
            s->body_left = (uint64_t)s->body_left > len ? s->body_left - (int64_t)len : 0;
        kt_tap_call_body(s->call, data, len);
    }
}

static void on_end_stream(void *arg, enum kt_h2_dir dir, uint32_t id)
{
    struct conn *c = arg;
    struct stream *s = find(c, id);
    if (!s)
        return;
    if (dir == KT_H2_CLIENT)
        ask(c, s);
    else
        close_stream(c, s, s->answered ? NULL : "unreadable_answer", "the answer has no head");
}

static void on_reset(void *arg, enum kt_h2_dir dir, uint32_t id)
{
    struct conn *c = arg;
    struct stream *s = find(c, id);
    if (!s)
        return;
    if (!s->asked)
        ask(c, s); /* what came of it reached the origin */
    close_stream(c, s, dir == KT_H2_CLIENT ? "client_gone" : "stream_interrupted", "the stream was reset");
}

static void on_goaway(void *arg, enum kt_h2_dir dir, uint32_t last)
{
    struct conn *c = arg;
    if (dir == KT_H2_CLIENT)
        return;
    for (struct stream *s = c->streams, *next; s; s = next) {
        next = s->next;
        if (s->id > last)
            close_stream(c, s, "not_processed",
                         "the origin ends the connection and has not looked at this call");
    }
}

/* ---- the protocol's slots ---- */

static bool begin(struct kt_tap *t)
{
    struct conn *c = calloc(1, sizeof *c);
    if (!c)
        return false;
    c->t = t;
    c->max_body = t->ts->o.max_body(t->ts->o.owner);
    const struct kt_h2_handler on = {.may = may,
                                     .field = on_field,
                                     .fields_end = on_fields_end,
                                     .data = on_data,
                                     .end_stream = on_end_stream,
                                     .reset = on_reset,
                                     .goaway = on_goaway,
                                     .arg = c};
    if (!kt_is_ok(kt_h2_new(&on, &c->h2))) {
        free(c);
        return false;
    }
    t->state = c;
    return true;
}

static size_t feed(struct kt_tap *t, enum kt_tap_dir dir, const char *data, size_t len)
{
    struct conn *c = t->state;
    size_t used = 0;
    enum kt_h2_dir from = dir == KT_TAP_OUT ? KT_H2_CLIENT : KT_H2_SERVER;
    if (kt_h2_feed(c->h2, from, data, len, &used) == KT_H2_BAD)
        kt_tap_lose(t, "unreadable_answer", kt_h2_error(c->h2));
    return used;
}

static void end(struct kt_tap *t, const char *error, const char *detail)
{
    struct conn *c = t->state;
    while (c->streams) {
        struct stream *s = c->streams;
        if (!s->asked && !t->lost)
            unseen(c, "a request was not sent whole: no policy looked at it");
        close_stream(c, s, error ? error : "connection_closed",
                     error ? detail : "the connection ended before the answer did");
    }
}

static void release(struct kt_tap *t)
{
    struct conn *c = t->state;
    kt_h2_free(c->h2);
    free(c);
    t->state = NULL;
}

const struct kt_tap_protocol kt_tap_http2 = {
    .name = "HTTP/2", .begin = begin, .feed = feed, .end = end, .free = release};
