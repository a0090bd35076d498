/* SPDX-License-Identifier: Apache-2.0 */
/* Answers: the sink that exchanges write to, with HTTP/1.1's framing. */
#include "interceptor/flow/kt_flow_private.h"
#include "interceptor/http/kt_http_head.h"

#include <string.h>

#define FLUSH_BYTES                                                                                          \
    65536 /* more is written at once; less waits for the end of the callback, which saves records and calls  \
           */

/* Fields that concern one connection only (RFC 9110 7.6.1), and those that the framing writes itself. */
static bool ours(struct kt_span name)
{
    static const char *const names[] = {
        "connection", "keep-alive", "proxy-connection", "transfer-encoding",  "te",
        "trailer",    "upgrade",    "content-length",   "proxy-authenticate", "proxy-authentication-info"};
    for (size_t i = 0; i < KT_COUNT(names); i++)
        if (kt_span_ieq(name, names[i]))
            return true;
    return false;
}

/* A field with a line end in it would be read as more than one, one with a space behind its name by some as a
 * field of the framing (RFC 9112, 5.1). */
static bool clean(const struct kt_header *h)
{
    for (size_t i = 0; i < h->value.len; i++) {
        unsigned char c = (unsigned char)h->value.data[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return kt_http_is_token(h->name);
}

static void put(struct kt_flow *f, const char *text)
{
    kt_flow_queue(f, text, strlen(text));
}

static void choose_framing(struct kt_flow *f, int status, int64_t length)
{
    f->left = 0;
    if (f->asked.head || status == 204 || status == 304 || status < 200) {
        f->framing = KT_FRAME_NONE;
    } else if (length >= 0) {
        f->framing = KT_FRAME_LENGTH;
        f->left = (uint64_t)length;
    } else if (f->asked.minor >= 1) {
        f->framing = KT_FRAME_CHUNKED;
    } else {
        f->framing = KT_FRAME_CLOSE;
    }
}

static void put_framing(struct kt_flow *f, int status, int64_t length)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf line = KT_BUF_INIT(64);
    bool has_length = f->framing == KT_FRAME_LENGTH || (f->asked.head && length >= 0 && status != 204);
    if (has_length && kt_buf_printf(&line, "Content-Length: %lld\r\n", (long long)length).code == KT_OK)
        kt_flow_queue(f, line.data, line.len);
    if (f->framing == KT_FRAME_CHUNKED)
        put(f, "Transfer-Encoding: chunked\r\n");
    bool last =
        !f->asked.keep_alive || f->framing == KT_FRAME_CLOSE || atomic_load(&f->input) == KT_INPUT_DISCARD;
    if (last)
        put(f, "Connection: close\r\n");
    else if (f->asked.minor == 0)
        put(f, "Connection: keep-alive\r\n");
    if (last)
        f->asked.keep_alive = false;
    put(f, "\r\n");
}

static void sink_head(void *flow, int status, const struct kt_header *headers, size_t count, int64_t length)
{
    struct kt_flow *f = flow;
    KT_CLEANUP(kt_buf_free) struct kt_buf line = KT_BUF_INIT(128);
    choose_framing(f, status, length);
    if (kt_buf_printf(&line, "HTTP/1.1 %d %s\r\n", status, kt_http_reason(status)).code != KT_OK)
        f->failed = true;
    kt_flow_queue(f, line.data, line.len);
    for (size_t i = 0; i < count; i++) {
        if (ours(headers[i].name) || !clean(&headers[i]))
            continue;
        kt_flow_queue(f, headers[i].name.data, headers[i].name.len);
        put(f, ": ");
        kt_flow_queue(f, headers[i].value.data, headers[i].value.len);
        put(f, "\r\n");
    }
    put_framing(f, status, length);
    f->out_held = f->framing == KT_FRAME_NONE || (f->framing == KT_FRAME_LENGTH && f->left == 0);
    kt_flow_defer(f, KT_WORK_FLUSH);
}

static void put_body(struct kt_flow *f, const char *data, size_t len)
{
    char size[20];
    switch (f->framing) {
    case KT_FRAME_NONE:
        return;
    case KT_FRAME_LENGTH:
        if (len > f->left) /* more than the head promised: `end` breaks the connection */
            f->asked.keep_alive = false;
        len = len < f->left ? len : (size_t)f->left;
        f->left -= len;
        kt_flow_queue(f, data, len);
        f->out_held = f->left == 0; /* the last byte leaves with `end` */
        return;
    case KT_FRAME_CHUNKED: {
        size_t at = sizeof size;
        size[--at] = '\n';
        size[--at] = '\r';
        for (size_t n = len; n > 0; n >>= 4)
            size[--at] = "0123456789abcdef"[n & 15];
        kt_flow_queue(f, size + at, sizeof size - at);
        kt_flow_queue(f, data, len);
        put(f, "\r\n");
        return;
    }
    case KT_FRAME_CLOSE:
        kt_flow_queue(f, data, len);
    }
}

static void sink_body(void *flow, const char *data, size_t len)
{
    struct kt_flow *f = flow;
    if (len == 0 || f->phase == KT_PHASE_CLOSED)
        return;
    put_body(f, data, len);
    if (kt_flow_backlog(f) >= FLUSH_BYTES)
        kt_flow_flush(f);
    kt_flow_defer(f, KT_WORK_FLUSH);
}

static void finish(struct kt_flow *f, bool abortive)
{
    f->x = NULL;
    if (f->phase == KT_PHASE_CLOSED)
        return;
    abortive |= f->framing == KT_FRAME_LENGTH && f->left > 0;
    if (abortive) {
        f->out.len -= f->out_held; /* what was held must never leave: the answer would look whole */
        f->out_held = 0;
        f->abortive = f->close_after = true;
        atomic_store(&f->input, KT_INPUT_DISCARD);
        kt_flow_defer(f, KT_WORK_FLUSH);
        return;
    }
    f->out_held = 0;
    if (f->framing == KT_FRAME_CHUNKED)
        put(f, "0\r\n\r\n");
    /* Open again before the last byte leaves: in the handoff lane the next request may come while we are
     * still here. */
    int busy = KT_INPUT_BUSY;
    bool go_on = f->asked.keep_alive && (!f->half_closed || atomic_load(&f->waits)) &&
                 atomic_compare_exchange_strong(&f->input, &busy, KT_INPUT_OPEN);
    if (!go_on) {
        f->close_after = true;
        atomic_store(&f->input, KT_INPUT_DISCARD);
    } else if (atomic_load(&f->waits)) {
        kt_flow_defer(f, KT_WORK_NEXT);
    }
    /* A stream ends inside of libcurl's callback. What libcurl does behind it (it ends its transfer) comes
     * first: the client's next request would wait for it. */
    bool later = f->framing == KT_FRAME_CHUNKED;
    if (!later)
        kt_flow_flush(f);
    if (later || !go_on || f->failed || kt_flow_backlog(f) > 0)
        kt_flow_defer(f, KT_WORK_FLUSH);
}

static void sink_end(void *flow)
{
    finish(flow, false);
}

static void sink_abort(void *flow)
{
    finish(flow, true);
}

static size_t sink_backlog(void *flow)
{
    return kt_flow_backlog(flow);
}

/* Once a turn: what comes behind it in the same turn leaves with the turn's end, in one record. */
static void sink_push(void *flow)
{
    struct kt_flow *f = flow;
    if (f->pushed || kt_flow_backlog(f) == f->out_held)
        return;
    f->pushed = true;
    kt_flow_flush(f);
    kt_flow_defer(f, KT_WORK_FLUSH);
}

void kt_flow_start(struct kt_flow *f)
{
    const struct kt_reply_sink sink = {.head = sink_head,
                                       .body = sink_body,
                                       .end = sink_end,
                                       .abort = sink_abort,
                                       .backlog = sink_backlog,
                                       .push = sink_push,
                                       .flow = f};
    struct kt_exchange *x = f->ready;
    f->ready = NULL;
    f->x = x;
    f->asked = f->ready_asked;
    f->framing = KT_FRAME_NONE;
    f->left = 0;
    f->fs->o.service->start(x, &sink);
    /* The client left before its request could start: it is started all the same, so that its event is
     * written. */
    if (f->phase == KT_PHASE_CLOSED && f->x) {
        f->x = NULL;
        f->fs->o.service->client_gone(x);
    }
}

void kt_flow_refusal(struct kt_flow *f)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf body = KT_BUF_INIT(4096);
    static const struct kt_header headers[] = {
        {{"content-type", 12}, {"application/json", 16}},
        {{"x-should-retry", 14}, {"false", 5}},
    };
    f->asked = f->ready_asked;
    f->asked.keep_alive = false;
    if (kt_openai_error(&body, f->refuse_text, "invalid_request_error", f->refuse_code, NULL).code != KT_OK)
        kt_buf_clear(&body);
    sink_head(f, f->refuse_status, headers, KT_COUNT(headers), (int64_t)body.len);
    sink_body(f, body.data, body.len);
    finish(f, false);
}
