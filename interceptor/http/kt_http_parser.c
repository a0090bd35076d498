/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/http/kt_http_chunked.h"
#include "interceptor/http/kt_http_head.h"
#include "interceptor/http/kt_http_inflate.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BLANK_LINES 4 /* in front of a request (RFC 9112 2.2: some clients send one behind a body) */
#define EXACT_RESERVE                                                                                        \
    (256u                                                                                                    \
     << 10) /* a declared length is believed up to here; beyond, the buffer grows with what really comes */

enum phase { PH_HEAD, PH_BODY, PH_COMPLETE, PH_ERROR };

struct kt_http_parser {
    size_t max_body;
    kt_http_wants_fn wants_body; /* NULL = all */
    void *wants_arg;
    enum phase phase;
    struct kt_http_fault fault;
    struct kt_request req;
    size_t line_start, lines; /* head: offset of the current line, complete field lines */
    unsigned blank_lines;
    uint64_t raw; /* body bytes so far, before content decoding */
    struct kt_chunked chunked;
    struct kt_inflate *inflate; /* NULL = identity */
};

static void reset(struct kt_http_parser *p)
{
    kt_inflate_free(p->inflate);
    const struct kt_http_parser was = *p;
    memset(p, 0, sizeof *p);
    p->max_body = was.max_body;
    p->wants_body = was.wants_body;
    p->wants_arg = was.wants_arg;
    p->req.head.max = KT_HTTP_MAX_HEAD;
    p->req.body.max = was.max_body;
    p->req.content_length = -1;
}

kt_result kt_http_parser_new(size_t max_body, struct kt_http_parser **out)
{
    KT_ENSURE(max_body < SIZE_MAX / 4, KT_ERR_USAGE);
    struct kt_http_parser *p = calloc(1, sizeof *p);
    KT_ENSURE(p, KT_ERR_MEMORY);
    p->max_body = max_body;
    reset(p);
    *out = p;
    return kt_ok();
}

void kt_http_parser_ask(struct kt_http_parser *p, kt_http_wants_fn wants_body, void *arg)
{
    p->wants_body = wants_body;
    p->wants_arg = arg;
}

void kt_http_parser_free(struct kt_http_parser *p)
{
    if (!p)
        return;
    kt_inflate_free(p->inflate);
    kt_request_free(&p->req);
    free(p);
}

/* Frees early: an attacker's 64 MiB need not wait for the connection's end. */
static enum kt_http_state fail(struct kt_http_parser *p, int status, const char *text)
{
    kt_request_free(&p->req);
    reset(p);
    p->phase = PH_ERROR;
    p->fault.status = status;
    p->fault.text = text;
    return KT_HTTP_ERROR;
}

static enum kt_http_state fail_result(struct kt_http_parser *p, kt_result r)
{
    if (r.code == KT_ERR_LIMIT)
        return fail(p, 413, "the body is too large");
    if (r.code == KT_ERR_MEMORY)
        return fail(p, 503, "out of memory");
    return fail(p, 400, "the compressed body is damaged");
}

static enum kt_http_state complete(struct kt_http_parser *p)
{
    if (p->inflate) {
        kt_result r = kt_inflate_finish(p->inflate);
        if (!kt_is_ok(r))
            return fail_result(p, r);
        kt_inflate_free(KT_TAKE(p->inflate));
        p->req.decoded = true;
    }
    p->req.body.max = p->max_body;
    p->phase = PH_COMPLETE;
    return KT_HTTP_COMPLETE;
}

static kt_result prepare_body(struct kt_http_parser *p, enum kt_http_coding coding)
{
    struct kt_request *r = &p->req;
    p->phase = PH_BODY;
    p->chunked.budget = p->max_body;
    if (coding != KT_CODING_IDENTITY)
        return kt_inflate_new(coding, &p->inflate);
    if (r->content_length > 0) {
        size_t length = (size_t)r->content_length;
        r->body.max = length; /* growth ends exactly there */
        return kt_buf_reserve(&r->body, length < EXACT_RESERVE ? length : EXACT_RESERVE);
    }
    return kt_ok();
}

static enum kt_http_state head_complete(struct kt_http_parser *p)
{
    struct kt_request *r = &p->req;
    enum kt_http_coding coding = KT_CODING_IDENTITY;
    struct kt_http_fault f = kt_http_parse_head(r, p->lines - 1);
    if (!f.status)
        f = kt_http_read_fields(r, &coding);
    if (f.status)
        return fail(p, f.status, f.text);
    if (r->content_length > 0 && (uint64_t)r->content_length > p->max_body)
        return fail(p, 413, "the body is too large");
    if (!r->chunked && r->content_length <= 0)
        return complete(p);
    if (p->wants_body && !p->wants_body(p->wants_arg, r)) {
        r->unread = true;
        return complete(p);
    }
    kt_result prepared = prepare_body(p, coding);
    if (!kt_is_ok(prepared))
        return fail_result(p, prepared);
    return r->expect_continue ? KT_HTTP_CONTINUE : KT_HTTP_MORE;
}

/* A line has just ended in LF. MORE goes on with the head. */
static enum kt_http_state line_complete(struct kt_http_parser *p)
{
    struct kt_buf *head = &p->req.head;
    size_t n = head->len - p->line_start;
    if (n < 2 || head->data[head->len - 2] != '\r')
        return fail(p, 400, "lines end in CRLF");
    if (n > 2) {
        p->line_start = head->len;
        if (++p->lines > KT_HTTP_MAX_FIELDS + 1)
            return fail(p, 431, "too many header fields");
        return KT_HTTP_MORE;
    }
    if (p->lines > 0)
        return head_complete(p);
    kt_buf_clear(head);
    if (++p->blank_lines > MAX_BLANK_LINES)
        return fail(p, 400, "a request line is missing");
    return KT_HTTP_MORE;
}

static enum kt_http_state feed_head(struct kt_http_parser *p, const char *data, size_t len, size_t *used)
{
    struct kt_buf *head = &p->req.head;
    while (*used < len && p->phase == PH_HEAD) {
        const char *from = data + *used;
        const char *nl = memchr(from, '\n', len - *used);
        size_t n = nl ? (size_t)(nl - from) + 1 : len - *used;
        if (p->lines == 0 && head->len + n > KT_HTTP_MAX_TARGET)
            return fail(p, 414, "the request line is too long");
        kt_result r = kt_buf_append(head, from, n);
        if (r.code == KT_ERR_MEMORY)
            return fail_result(p, r);
        if (!kt_is_ok(r))
            return fail(p, 431, "the request head is too large");
        *used += n;
        /* Not HTTP at all: say so at the first byte instead of waiting for a line that never ends. */
        if (head->data[0] != '\r' && head->data[0] != '\n' && !kt_http_is_token(kt_span(head->data, 1)))
            return fail(p, 400, "this is not an HTTP request");
        enum kt_http_state s = nl ? line_complete(p) : KT_HTTP_MORE;
        if (s != KT_HTTP_MORE)
            return s;
    }
    return KT_HTTP_MORE;
}

static kt_result take_body(struct kt_http_parser *p, struct kt_span bytes)
{
    KT_ENSURE(bytes.len <= p->max_body && p->raw <= p->max_body - bytes.len, KT_ERR_LIMIT);
    p->raw += bytes.len;
    if (p->inflate)
        return kt_inflate_feed(p->inflate, bytes.data, bytes.len, &p->req.body);
    return kt_buf_append(&p->req.body, bytes.data, bytes.len);
}

static enum kt_http_state feed_sized(struct kt_http_parser *p, const char *data, size_t len, size_t *used)
{
    uint64_t left = (uint64_t)p->req.content_length - p->raw;
    size_t n = len - *used < left ? len - *used : (size_t)left;
    kt_result r = take_body(p, kt_span(data + *used, n));
    if (!kt_is_ok(r))
        return fail_result(p, r);
    *used += n;
    return n == left ? complete(p) : KT_HTTP_MORE;
}

static enum kt_http_state feed_chunked(struct kt_http_parser *p, const char *data, size_t len, size_t *used)
{
    while (*used < len) {
        size_t n = 0;
        struct kt_span payload = {0};
        enum kt_chunked_event e = kt_chunked_next(&p->chunked, data + *used, len - *used, &n, &payload);
        *used += n;
        if (e == KT_CHUNKED_END)
            return complete(p);
        if (e == KT_CHUNKED_BAD)
            return fail(p, 400, "malformed chunked body");
        if (e == KT_CHUNKED_TRAILERS)
            return fail(p, 431, "too many trailers");
        kt_result r = e == KT_CHUNKED_DATA ? take_body(p, payload) : kt_ok();
        if (e == KT_CHUNKED_LARGE)
            r = kt_err(KT_ERR_LIMIT);
        if (!kt_is_ok(r))
            return fail_result(p, r);
    }
    return KT_HTTP_MORE;
}

enum kt_http_state kt_http_feed(struct kt_http_parser *p, const char *data, size_t len, size_t *used)
{
    *used = 0;
    if (p->phase == PH_HEAD) {
        enum kt_http_state s = feed_head(p, data, len, used);
        if (s != KT_HTTP_MORE)
            return s;
    }
    if (p->phase == PH_BODY && *used < len)
        return p->req.chunked ? feed_chunked(p, data, len, used) : feed_sized(p, data, len, used);
    if (p->phase == PH_COMPLETE)
        return KT_HTTP_COMPLETE;
    return p->phase == PH_ERROR ? KT_HTTP_ERROR : KT_HTTP_MORE;
}

void kt_http_take(struct kt_http_parser *p, struct kt_request *out)
{
    memset(out, 0, sizeof *out);
    if (p->phase != PH_COMPLETE)
        return;
    *out = p->req; /* the spans point into head.data, which moves along */
    reset(p);
}

int kt_http_error(const struct kt_http_parser *p, const char **text)
{
    if (text)
        *text = p->fault.text ? p->fault.text : "";
    return p->fault.status;
}

bool kt_http_in_head(const struct kt_http_parser *p)
{
    return p->phase == PH_HEAD;
}

bool kt_http_idle(const struct kt_http_parser *p)
{
    return p->phase == PH_HEAD && p->req.head.len == 0;
}
