/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 on a tapped connection: each request with its answer, pipelined ones in their order. */
#include "interceptor/tap/kt_tap_private.h"

#include <stdlib.h>
#include <string.h>

#define PIPELINE_MAX 32

struct pair {
    struct kt_http_parser *parser;
    struct kt_tap_answer answer;
    struct kt_tap_call *calls[PIPELINE_MAX]; /* answered in this order */
    size_t count;
    struct kt_buf held; /* of an answer whose request is not whole yet */
};

static bool begin(struct kt_tap *t)
{
    struct pair *p = calloc(1, sizeof *p);
    if (!p)
        return false;
    if (!kt_is_ok(kt_http_parser_new(t->ts->o.max_body(t->ts->o.owner), &p->parser))) {
        free(p);
        return false;
    }
    kt_tap_answer_init(&p->answer);
    p->held = (struct kt_buf)KT_BUF_INIT(KT_TAP_HELD_BYTES);
    t->state = p;
    return true;
}

static void release(struct kt_tap *t)
{
    struct pair *p = t->state;
    kt_http_parser_free(p->parser);
    kt_tap_answer_free(&p->answer);
    kt_buf_free(&p->held);
    free(p);
    t->state = NULL;
}

static void pop(struct pair *p, const char *error, const char *detail)
{
    struct kt_tap_call *c = p->calls[0];
    memmove(p->calls, p->calls + 1, --p->count * sizeof p->calls[0]);
    kt_tap_call_end(c, error, detail);
}

/* As far as the calls that wait go. */
static size_t answers(struct kt_tap *t, const char *data, size_t len)
{
    struct pair *p = t->state;
    size_t at = 0;
    while (p->count && at < len && !t->opaque && !t->lost) {
        size_t n = 0;
        enum kt_tap_step s = kt_tap_answer_feed(&p->answer, p->calls[0], data + at, len - at, &n);
        at += n;
        if (s == KT_TAP_STALL)
            return at;
        if (s == KT_TAP_SWITCHED)
            t->opaque = true;
        if (s == KT_TAP_END || s == KT_TAP_SWITCHED)
            pop(p, NULL, NULL);
        else if (s == KT_TAP_BAD)
            kt_tap_lose(t, "unreadable_answer", "what the origin sent is not HTTP/1.1");
    }
    return at;
}

static bool stalled(const struct pair *p)
{
    return p->count && !kt_tap_call_ready(p->calls[0]);
}

/* What came before its request was whole. False where it still waits. */
static bool answers_held(struct kt_tap *t)
{
    struct pair *p = t->state;
    if (p->held.len && p->count)
        kt_buf_consume(&p->held, answers(t, p->held.data, p->held.len));
    return !p->held.len;
}

static void take_request(struct kt_tap *t)
{
    struct pair *p = t->state;
    struct kt_request r;
    kt_http_take(p->parser, &r);
    if (p->count == PIPELINE_MAX) {
        kt_request_free(&r);
        kt_tap_lose(t, "truncated", "too many pipelined requests");
        return;
    }
    struct kt_tap_call *c = kt_tap_call_new(t, &r);
    if (!c) {
        kt_tap_lose(t, "out_of_memory", "no memory to look at a request");
        return;
    }
    p->calls[p->count++] = c;
    answers_held(t);
}

static size_t requests(struct kt_tap *t, const char *data, size_t len)
{
    struct pair *p = t->state;
    size_t at = 0;
    while (at < len && !t->lost && !t->opaque) {
        size_t n = 0;
        const char *text = "";
        enum kt_http_state s = kt_http_feed(p->parser, data + at, len - at, &n);
        at += n;
        if (s == KT_HTTP_COMPLETE)
            take_request(t);
        else if (s == KT_HTTP_ERROR) {
            kt_http_error(p->parser, &text);
            kt_tap_lose(t, "unreadable_request", text);
        }
    }
    return len;
}

static size_t feed(struct kt_tap *t, enum kt_tap_dir dir, const char *data, size_t len)
{
    struct pair *p = t->state;
    if (dir == KT_TAP_OUT)
        return requests(t, data, len);
    if (!answers_held(t) && stalled(p))
        return 0;
    size_t used = p->held.len ? 0 : answers(t, data, len);
    if (used == len || stalled(p) || t->lost || t->opaque)
        return used;
    if (!kt_is_ok(kt_buf_append(&p->held, data + used, len - used)))
        kt_tap_lose(t, "truncated",
                    "the origin answered more than is kept before the request was sent whole");
    return len;
}

static void end(struct kt_tap *t, const char *error, const char *detail)
{
    struct pair *p = t->state;
    bool begun = !kt_http_idle(p->parser) && !t->lost && !t->opaque;
    if (p->count && p->answer.phase == KT_ANSWER_TO_CLOSE && !t->lost)
        pop(p, error, detail);
    while (p->count)
        pop(p, error ? error : "connection_closed",
            error ? detail : "the connection ended before the answer did");
    if (begun)
        t->ts->o.event(t->ts->o.owner, "unseen", t->host, t->port, 0,
                       "a request was not sent whole: no policy looked at it");
}

const struct kt_tap_protocol kt_tap_http1 = {
    .name = "HTTP/1.1", .begin = begin, .feed = feed, .end = end, .free = release};
