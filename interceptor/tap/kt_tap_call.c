/* SPDX-License-Identifier: Apache-2.0 */
/* One request and what came back, told to a watched exchange. */
#include "interceptor/tap/kt_tap_private.h"

#include "policyengine/base/kt_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP (16u << 10) /* compressed bytes at a time: bounds what one step can unpack to */

struct kt_tap_call {
    struct kt_tap *t;
    struct kt_tap_call *next;
    struct kt_exchange *x; /* NULL = gone */
    bool head_only, ready, ended;
    struct kt_inflate *inflate; /* NULL = identity */
    const char *unread;         /* static: why the rest of the body is not looked at; NULL = it is */
    char detail[96];
    uint64_t decoded;
    struct kt_buf out; /* of one step */
};

static void unlink_call(struct kt_tap_call *c)
{
    struct kt_tap_call **l = &c->t->calls;
    while (*l != c)
        l = &(*l)->next;
    *l = c->next;
}

static void drop_if_over(struct kt_tap_call *c)
{
    if (!c->ended || c->x)
        return;
    unlink_call(c);
    kt_inflate_free(c->inflate);
    kt_buf_free(&c->out);
    free(c);
}

static void on_ready(void *owner)
{
    struct kt_tap_call *c = owner;
    c->ready = true;
    kt_tap_work(c->t);
}

static void on_gone(void *owner)
{
    struct kt_tap_call *c = owner;
    c->x = NULL;
    c->ready = true; /* nobody waits for it */
    drop_if_over(c);
}

static struct kt_exchange *open_exchange(struct kt_tap *t, struct kt_request *request)
{
    const struct kt_exchange_origin origin = {.host = t->host, .port = t->port, .tls = t->tls, .lane = "tap"};
    struct kt_exchange *x = NULL;
    if (!kt_is_ok(kt_exchange_new(t->ts->o.ctx, request, &origin, &x))) {
        kt_request_free(request);
        return NULL;
    }
    kt_exchange_tapped(x);
    pthread_mutex_lock(&t->ts->lock);
    kt_mark_clear(&t->mark); /* the exchange has its own */
    pthread_mutex_unlock(&t->ts->lock);
    return x;
}

struct kt_tap_call *kt_tap_call_new(struct kt_tap *t, struct kt_request *request)
{
    struct kt_tap_call *c = calloc(1, sizeof *c);
    bool head_only = kt_span_eq(request->method, "HEAD");
    struct kt_exchange *x = open_exchange(t, request);
    if (!c || !x) {
        free(c);
        kt_exchange_free(x);
        t->ts->o.event(t->ts->o.owner, "unseen", t->host, t->port, 0, "no memory to look at a request");
        return NULL;
    }
    *c = (struct kt_tap_call){.t = t, .next = t->calls, .x = x, .head_only = head_only};
    c->out = (struct kt_buf)KT_BUF_INIT(STEP * 1100u); /* zlib unpacks to at most 1032 times */
    t->calls = c;
    kt_exchange_prepare(x);
    const struct kt_exchange_watcher w = {on_ready, on_gone, c};
    kt_exchange_watch(x, &w);
    return c;
}

bool kt_tap_call_ready(const struct kt_tap_call *c)
{
    return c->ready;
}

bool kt_tap_call_head_only(const struct kt_tap_call *c)
{
    return c->head_only;
}

static void choose_coding(struct kt_tap_call *c, const struct kt_call_head *head)
{
    const char *coding = kt_call_head_get(head, "content-encoding");
    if (!coding || !*coding || strcasecmp(coding, "identity") == 0)
        return;
    bool gzip = strcasecmp(coding, "gzip") == 0 || strcasecmp(coding, "x-gzip") == 0;
    if (gzip || strcasecmp(coding, "deflate") == 0) {
        if (kt_is_ok(kt_inflate_new(gzip ? KT_CODING_GZIP : KT_CODING_DEFLATE, &c->inflate)))
            return;
    }
    c->unread = "undecoded";
    snprintf(c->detail, sizeof c->detail, "the answer's content-encoding (%.40s) is not one that is read",
             coding);
}

void kt_tap_call_head(struct kt_tap_call *c, const struct kt_call_head *head)
{
    choose_coding(c, head);
    if (c->x)
        kt_exchange_answer_head(c->x, head);
}

static void stop_reading(struct kt_tap_call *c, const char *error, const char *detail)
{
    c->unread = error;
    snprintf(c->detail, sizeof c->detail, "%s", detail);
}

static void give(struct kt_tap_call *c, const char *data, size_t len)
{
    if (c->decoded + len > KT_TAP_DECODED_BYTES) {
        stop_reading(c, "truncated", "the answer is larger than what is looked at");
        return;
    }
    c->decoded += len;
    if (c->x && len)
        kt_exchange_answer_data(c->x, data, len);
}

void kt_tap_call_body(struct kt_tap_call *c, const char *data, size_t len)
{
    while (len > 0 && !c->unread) {
        size_t n = !c->inflate || len < STEP ? len : STEP;
        if (!c->inflate) {
            give(c, data, n);
        } else {
            kt_buf_clear(&c->out);
            if (kt_is_ok(kt_inflate_feed(c->inflate, data, n, &c->out)))
                give(c, kt_buf_span(&c->out).data, c->out.len);
            else
                stop_reading(c, "undecoded", "the answer's compressed body is damaged");
        }
        data += n;
        len -= n;
    }
}

void kt_tap_call_end(struct kt_tap_call *c, const char *error, const char *detail)
{
    if (!error && !c->unread && c->inflate && !c->head_only && !kt_is_ok(kt_inflate_finish(c->inflate)))
        stop_reading(c, "undecoded", "the answer's compressed body is not complete");
    if (!error && c->unread && !c->head_only) {
        error = c->unread;
        detail = c->detail;
    }
    c->ended = true;
    if (c->x)
        kt_exchange_answer_done(c->x, error, detail);
    else
        drop_if_over(c);
}

void kt_tap_calls_drop(struct kt_tap *t)
{
    for (struct kt_tap_call *c = t->calls, *next; c; c = next) {
        next = c->next;
        c->ended = true;
        if (c->x)
            kt_exchange_client_gone(c->x);
        else
            drop_if_over(c);
    }
}
