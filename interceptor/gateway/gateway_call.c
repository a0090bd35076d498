/* SPDX-License-Identifier: Apache-2.0 */
/* One request at the door: who may come in, what the gateway answers itself, and the exchange for all else.
 */
#include "interceptor/gateway/kt_gateway_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES KT_METRICS_BYTES

/* What flows know as a kt_exchange. */
struct call {
    struct kt_gateway *g;
    struct kt_exchange *x; /* NULL: the answer below */
    struct kt_reply_sink sink;
    int status;
    const char *type; /* static */
    bool keep_trying; /* the client may ask again soon */
    struct kt_buf page;
};

static struct call *call_of(struct kt_exchange *x)
{
    return (struct call *)(void *)x;
}

static void end_call(struct call *c)
{
    if (c->x)
        atomic_fetch_sub(&c->g->in_flight, 1);
    kt_buf_free(&c->page);
    free(c);
}

/* ---- the sink of an exchange: the flow's, and the call ends with it ---- */

static void on_head(void *call, int status, const struct kt_header *headers, size_t count, int64_t length)
{
    const struct call *c = call;
    c->sink.head(c->sink.flow, status, headers, count, length);
}

static void on_body(void *call, const char *data, size_t len)
{
    const struct call *c = call;
    c->sink.body(c->sink.flow, data, len);
}

static void on_end(void *call)
{
    struct call *c = call;
    const struct kt_reply_sink sink = c->sink;
    end_call(c);
    sink.end(sink.flow);
}

static void on_abort(void *call)
{
    struct call *c = call;
    const struct kt_reply_sink sink = c->sink;
    end_call(c);
    sink.abort(sink.flow);
}

static size_t on_backlog(void *call)
{
    const struct call *c = call;
    return c->sink.backlog(c->sink.flow);
}

static void on_push(void *call)
{
    const struct call *c = call;
    c->sink.push(c->sink.flow);
}

/* ---- our own answers ---- */

static void refuse(struct call *c, int status, const char *type, const char *code, const char *message)
{
    c->status = status;
    c->keep_trying = status == 503;
    kt_gateway_count_refused(c->g, status);
    if (kt_openai_error(&c->page, message, type, code, NULL).code != KT_OK)
        kt_buf_clear(&c->page); /* an answer without a body then */
}

static void put_page(struct call *c, const char *type, kt_result made)
{
    c->status = 200;
    c->type = type;
    if (made.code != KT_OK) {
        kt_buf_clear(&c->page);
        refuse(c, 503, "server_error", "out_of_memory", "ktwrap: the page could not be made");
    }
}

static void ready(struct call *c, const struct kt_gateway_worker *w)
{
    char text[512];
    const char *why = kt_gateway_unready(w, text, sizeof text);
    c->type = "text/plain; charset=utf-8";
    c->status = why ? 503 : 200;
    (void)!kt_is_ok(kt_buf_printf(&c->page, "%s\n", why ? why : "ready"));
}

/* True where the path is the gateway's own and needs no token: what a supervisor asks. */
static bool health_page(struct call *c, const struct kt_gateway_worker *w, struct kt_span path)
{
    if (kt_span_eq(path, "/healthz") || kt_span_eq(path, "/health"))
        put_page(c, "text/plain; charset=utf-8", kt_buf_puts(&c->page, "ok\n"));
    else if (kt_span_eq(path, "/readyz"))
        ready(c, w);
    else
        return false;
    return true;
}

/* A web page in somebody's browser must not spend their keys: it can reach loopback, but it cannot hide where
 * it comes from. Where there are tokens, they decide. */
static bool from_web_page(const struct kt_gateway *g, const struct kt_request *r)
{
    return !g->tokens.count && kt_request_header(r, "origin").data;
}

bool kt_gateway_may_speak(void *gateway, const struct kt_request *head)
{
    const struct kt_gateway *g = gateway;
    return kt_gateway_admits(&g->tokens, head) && !from_web_page(g, head);
}

/* True where the request goes on to an exchange, which is counted then. */
static bool let_in(struct call *c, const struct kt_gateway_worker *w, const struct kt_request *r)
{
    struct kt_gateway *g = c->g;
    struct kt_span path = kt_request_path(r);
    const char *query = path.len ? memchr(path.data, '?', path.len) : NULL;
    bool get = kt_span_eq(r->method, "GET") || kt_span_eq(r->method, "HEAD");
    if (query)
        path.len = (size_t)(query - path.data);
    if (get && health_page(c, w, path))
        return false;
    if (!kt_gateway_admits(&g->tokens, r)) {
        refuse(c, 401, "authentication_error", "invalid_api_key",
               "ktwrap: this gateway wants one of its own tokens: 'Authorization: Bearer <token>'");
        return false;
    }
    if (from_web_page(g, r)) {
        refuse(c, 403, "permission_error", "web_page_refused",
               "ktwrap: calls of web pages (with an Origin header) are served only by a gateway with tokens; "
               "see --api-token-file");
        return false;
    }
    if (get && kt_span_eq(path, "/metrics")) {
        put_page(c, "text/plain; version=0.0.4; charset=utf-8", kt_gateway_metrics(w, &c->page));
        return false;
    }
    if (atomic_load(&g->draining)) {
        refuse(c, 503, "server_error", "gateway_stopping",
               "ktwrap: this gateway is about to stop; try again");
        return false;
    }
    unsigned now = atomic_fetch_add(&g->in_flight, 1);
    if (!g->max_concurrency || now < g->max_concurrency)
        return true;
    atomic_fetch_sub(&g->in_flight, 1);
    refuse(c, 503, "server_error", "gateway_overloaded",
           "ktwrap: this gateway serves as many calls as --max-concurrency allows; try again");
    return false;
}

/* ---- the slots ---- */

static kt_result open_call(struct kt_engine_ctx *ctx, struct kt_request *request,
                           const struct kt_exchange_origin *origin, struct kt_exchange **out)
{
    struct kt_gateway_worker *w = (struct kt_gateway_worker *)(void *)ctx;
    struct call *c = calloc(1, sizeof *c);
    KT_ENSURE(c, KT_ERR_MEMORY);
    c->g = w->g;
    c->type = "application/json";
    c->page.max = PAGE_BYTES;
    if (let_in(c, w, request)) {
        const uint64_t caller = kt_gateway_caller(&w->g->tokens, request);
        kt_result r = kt_exchange_new(ctx, request, origin, &c->x);
        if (r.code != KT_OK) {
            atomic_fetch_sub(&w->g->in_flight, 1);
            free(c);
            return r;
        }
        kt_exchange_caller(c->x, caller);
    } else {
        kt_request_free(request);
    }
    *out = (struct kt_exchange *)(void *)c;
    return kt_ok();
}

static void prepare(struct kt_exchange *x)
{
    if (call_of(x)->x)
        kt_exchange_prepare(call_of(x)->x);
}

static struct kt_header header(const char *name, const char *value)
{
    return (struct kt_header){kt_span(name, strlen(name)), kt_span(value, strlen(value))};
}

static void answer(struct call *c, const struct kt_reply_sink *sink)
{
    struct kt_header h[3];
    size_t n = 0;
    h[n++] = header("content-type", c->type);
    if (c->status == 401)
        h[n++] = header("www-authenticate", "Bearer");
    if (c->keep_trying)
        h[n++] = header("retry-after", "1");
    else if (c->status >= 400)
        h[n++] = header("x-should-retry", "false");
    sink->head(sink->flow, c->status, h, n, (int64_t)c->page.len);
    if (c->page.len)
        sink->body(sink->flow, c->page.data, c->page.len);
    const struct kt_reply_sink last = *sink;
    end_call(c);
    last.end(last.flow);
}

static void start(struct kt_exchange *x, const struct kt_reply_sink *sink)
{
    struct call *c = call_of(x);
    if (!c->x) {
        answer(c, sink);
        return;
    }
    const struct kt_reply_sink mine = {.head = on_head,
                                       .body = on_body,
                                       .end = on_end,
                                       .abort = on_abort,
                                       .backlog = on_backlog,
                                       .push = sink->push ? on_push : NULL,
                                       .flow = c};
    c->sink = *sink;
    kt_exchange_start(c->x, &mine);
}

static void client_gone(struct kt_exchange *x)
{
    struct call *c = call_of(x);
    if (c->x)
        kt_exchange_client_gone(c->x);
    end_call(c);
}

static void writable(struct kt_exchange *x)
{
    kt_exchange_writable(call_of(x)->x);
}

static void drop(struct kt_exchange *x)
{
    struct call *c = call_of(x);
    kt_exchange_free(c->x);
    end_call(c);
}

const struct kt_flow_service kt_gateway_service = {.open = open_call,
                                                   .prepare = prepare,
                                                   .start = start,
                                                   .client_gone = client_gone,
                                                   .writable = writable,
                                                   .drop = drop};
