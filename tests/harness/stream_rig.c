/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/harness/stream_rig.h"

#include "interceptor/exchange/kt_exchange_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct stream_rig {
    struct kt_engine_ctx ctx;
    struct kt_runtime *runtime;
    struct kt_span prompt;
};

/* ---- the client ---- */

static void on_head(void *flow, int status, const struct kt_header *headers, size_t count, int64_t length)
{
    (void)headers, (void)count, (void)length;
    ((struct stream_rig_reply *)flow)->status = status;
}

static void on_body(void *flow, const char *data, size_t len)
{
    struct stream_rig_reply *r = flow;
    if (!r->status || r->ended || r->aborted || !kt_is_ok(kt_buf_append(&r->body, data, len)))
        abort();
}

static void on_end(void *flow)
{
    struct stream_rig_reply *r = flow;
    if (!r->status || r->ended || r->aborted)
        abort();
    r->ended = true;
}

static void on_abort(void *flow)
{
    ((struct stream_rig_reply *)flow)->aborted = true;
}

static size_t on_backlog(void *flow)
{
    (void)flow;
    return 0;
}

/* ---- the rig ---- */

static struct kt_runtime *current(void *owner)
{
    return kt_runtime_ref(((struct stream_rig *)owner)->runtime);
}

struct stream_rig *stream_rig_new(const char *yaml)
{
    struct stream_rig *rig = calloc(1, sizeof *rig);
    struct kt_runtime *rt = calloc(1, sizeof *rt);
    struct kt_diags diags = {0};
    struct kt_error err = {KT_OK, ""};
    if (!rig || !rt)
        abort();
    rt->refs = 1;
    rt->mode = KT_MODE_ENFORCE;
    rt->fail_mode = KT_FAIL_BLOCK;
    rig->runtime = rt;
    rig->ctx.runtime = current;
    rig->ctx.owner = rig;
    rig->prompt = kt_span("hi", 2);
    bool ok = kt_is_ok(kt_config_parse("rig.yaml", yaml, strlen(yaml), &rt->config, &diags)) &&
              kt_is_ok(kt_chain_new(rt->config, &rt->chain, &err)) && kt_is_ok(kt_loop_new(&rig->ctx.loop)) &&
              rt->config->providers.target_count == 1;
    kt_diags_free(&diags);
    if (ok)
        return rig;
    stream_rig_free(rig);
    return NULL;
}

void stream_rig_free(struct stream_rig *rig)
{
    kt_runtime_unref(rig->runtime);
    if (rig->ctx.loop)
        kt_loop_free(rig->ctx.loop);
    free(rig);
}

static void must(kt_result r)
{
    if (!kt_is_ok(r))
        abort();
}

static struct kt_request request(const struct stream_rig *rig, bool stream)
{
    struct kt_buf body = KT_BUF_INIT(1u << 20), text = KT_BUF_INIT(1u << 20);
    struct kt_request r;
    struct kt_http_parser *p = NULL;
    size_t used = 0;
    must(kt_buf_puts(&body, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\""));
    must(kt_buf_json(&body, rig->prompt.data, rig->prompt.len));
    must(kt_buf_printf(&body, "\"}]%s}", stream ? ",\"stream\":true" : ""));
    must(kt_buf_printf(&text, "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n",
                       body.len));
    must(kt_buf_append(&text, body.data, body.len));
    if (!kt_is_ok(kt_http_parser_new(1u << 20, &p)) ||
        kt_http_feed(p, text.data, text.len, &used) != KT_HTTP_COMPLETE)
        abort();
    kt_http_take(p, &r);
    kt_http_parser_free(p);
    kt_buf_free(&body);
    kt_buf_free(&text);
    return r;
}

static struct kt_exchange *prepared(struct stream_rig *rig, bool stream)
{
    struct kt_request r = request(rig, stream);
    struct kt_exchange_origin origin = {.host = "127.0.0.1", .port = 9, .lane = "divert"};
    struct kt_exchange *x = NULL;
    must(kt_exchange_new(&rig->ctx, &r, &origin, &x));
    kt_exchange_prepare(x);
    if (x->plan != KT_X_TARGETS)
        abort();
    return x;
}

/* Up to the moment at which the target's head has come. Nobody else can be tried. */
static struct kt_exchange *begin(struct stream_rig *rig, bool stream, struct stream_rig_reply *out)
{
    struct kt_exchange *x = prepared(rig, stream);
    *out = (struct stream_rig_reply){.body = KT_BUF_INIT(64u << 20), .after = out->after, .arg = out->arg};
    kt_x_enter(x);
    x->started = x->recorded = x->record_ok = true;
    x->sink = (struct kt_reply_sink){on_head, on_body, on_end, on_abort, on_backlog, NULL, out};
    x->route.steps = calloc(1, sizeof *x->route.steps);
    x->tries = 1;
    x->tries_here = 1000; /* no second try of it either */
    if (!x->route.steps || !kt_x_attempt_begin(x, &rig->runtime->config->providers.targets[0], "m"))
        abort();
    x->status = x->attempts[0].status = 200;
    return x;
}

static void end(struct kt_exchange *x)
{
    x->over = true;
    kt_x_leave(x);
}

static void note_held(const struct kt_exchange *x, struct stream_rig_reply *out)
{
    size_t held = 0;
    for (size_t i = 0; i < x->filter.count; i++)
        held += x->filter.channels[i].text.len;
    if (x->stream.held_max > out->held_max)
        out->held_max = x->stream.held_max;
    if (out->after)
        out->after(out->arg, held);
}

void stream_rig_run(struct stream_rig *rig, const struct kt_span *pieces, size_t count,
                    struct stream_rig_reply *out)
{
    struct kt_exchange *x = begin(rig, true, out);
    kt_x_stream_begin(x);
    for (size_t i = 0; i < count && !x->over && x->mode == KT_X_STREAM && !x->stream.broken; i++) {
        kt_x_stream_data(x, pieces[i].data, pieces[i].len);
        note_held(x, out);
    }
    if (!x->over && !x->stream.broken)
        kt_x_stream_done(x, KT_CALL_OK, "");
    end(x);
}

void stream_rig_whole(struct stream_rig *rig, struct kt_span json, struct stream_rig_reply *out)
{
    struct kt_exchange *x = begin(rig, false, out);
    x->mode = KT_X_BUFFER;
    if (!kt_is_ok(kt_buf_append(&x->answer, json.data, json.len)))
        abort();
    kt_x_target_done(x);
    end(x);
}

void stream_rig_prompt(struct stream_rig *rig, struct kt_span text)
{
    rig->prompt = text;
}

void stream_rig_sent(struct stream_rig *rig, struct kt_buf *out)
{
    struct kt_exchange *x = prepared(rig, false);
    must(kt_edits_apply(&x->req.edits, x->request.body.data, x->request.body.len, out));
    x->started = x->recorded = x->record_ok = true;
    kt_x_enter(x);
    end(x);
}
