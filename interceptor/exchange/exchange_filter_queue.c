/* SPDX-License-Identifier: Apache-2.0 */
/* What comes of a stream while a policy asks outside waits here, in its order. */
#include "interceptor/exchange/kt_exchange_filter.h"

#include <string.h>

static size_t size_of(const struct kt_x_queued *q)
{
    return sizeof *q + q->name_len + q->len;
}

/* A finish_reason that comes together with a text, as some servers have it in every chunk: only what follows
 * tells whether it is the end. Others have the two apart, and wait for nothing. */
static bool waits_for_next(const struct kt_x_queued *q)
{
    return (q->says & q->finished) != 0;
}

/* The choices of `q`, the first in the queue, of which the event behind it has more. */
static uint64_t go_on(const struct kt_x_filter *f, const struct kt_x_queued *q)
{
    struct kt_x_queued next;
    if (!waits_for_next(q))
        return 0;
    memcpy(&next, f->queue.data + size_of(q), sizeof next);
    return q->finished & next.says;
}

void kt_x_filter_next(struct kt_exchange *x)
{
    struct kt_x_filter *f = &x->filter;
    while (!x->over && !f->dead && !f->busy && f->queue.len) {
        struct kt_x_queued q;
        memcpy(&q, f->queue.data, sizeof q);
        bool last = f->queue.len == size_of(&q);
        if (waits_for_next(&q) && last && !f->nothing_follows)
            return;
        f->goes_on = last ? 0 : go_on(f, &q);
        if (q.finish_only && f->goes_on == q.finished) { /* it was no end, and nobody misses it */
            kt_buf_consume(&f->queue, size_of(&q));
            continue;
        }
        KT_CLEANUP(kt_buf_free) struct kt_buf json = KT_BUF_INIT(KT_X_HELD_MAX);
        KT_CLEANUP(kt_buf_free) struct kt_buf name = KT_BUF_INIT(KT_X_MAX_HEAD);
        if (kt_x_filter_failed(x, kt_buf_append(&name, f->queue.data + sizeof q, q.name_len)) ||
            kt_x_filter_failed(x, kt_buf_append(&json, f->queue.data + sizeof q + q.name_len, q.len)))
            return;
        kt_buf_consume(&f->queue, size_of(&q));
        KT_CLEANUP(kt_json_free) struct kt_json parsed = {0};
        if (q.len && kt_x_filter_failed(x, kt_json_parse(&parsed, json.data, json.len, NULL)))
            return;
        kt_x_filter_take(x, kt_buf_span(&name), kt_buf_span(&json), &parsed, &q);
    }
}

void kt_x_filter_nothing_follows(struct kt_exchange *x)
{
    x->filter.nothing_follows = true;
    kt_x_filter_next(x);
}

/* At once where nothing waits. */
static void put(struct kt_exchange *x, struct kt_span name, struct kt_span json, struct kt_json *parsed,
                struct kt_x_queued q)
{
    struct kt_x_filter *f = &x->filter;
    if (f->dead)
        return;
    q.name_len = name.len;
    q.len = json.len;
    if (!x->over && !f->busy && !f->queue.len && !waits_for_next(&q)) {
        f->goes_on = 0;
        kt_x_filter_take(x, name, json, parsed, &q);
        return;
    }
    if (kt_x_filter_failed(x, kt_buf_append(&f->queue, &q, sizeof q)) ||
        kt_x_filter_failed(x, kt_buf_append(&f->queue, name.data, name.len)) ||
        kt_x_filter_failed(x, kt_buf_append(&f->queue, json.data, json.len)))
        return;
    kt_x_filter_next(x);
}

static void put_in_two(struct kt_exchange *x, const struct kt_json *whole, struct kt_x_queued q)
{
    uint64_t both = q.says & q.finished;
    KT_CLEANUP(kt_buf_free) struct kt_buf text = KT_BUF_INIT(KT_X_HELD_MAX);
    KT_CLEANUP(kt_buf_free) struct kt_buf finish = KT_BUF_INIT(KT_X_HELD_MAX);
    KT_CLEANUP(kt_json_free) struct kt_json parsed = {0}, none = {0};
    if (kt_x_filter_failed(x, kt_x_split_chunk(x, whole, both, &text, &finish)) ||
        kt_x_filter_failed(x, kt_json_parse(&parsed, text.data, text.len, NULL)))
        return;
    q.finished &= ~both;
    put(x, kt_span("", 0), kt_buf_span(&text), &parsed, q);
    put(x, kt_span("", 0), kt_buf_span(&finish), &none,
        (struct kt_x_queued){.content = true, .says = both, .finished = both, .finish_only = true});
}

void kt_x_filter_chunk(struct kt_exchange *x, struct kt_span json, struct kt_json *j,
                       const struct kt_x_chunk *is)
{
    struct kt_x_queued q = {
        .content = is->content, .says = is->says, .finished = is->finished, .as_is = is->error};
    if (waits_for_next(&q) && !q.as_is && !kt_x_observe(x))
        put_in_two(x, j, q);
    else
        put(x, kt_span("", 0), json, j, q);
}

/* A ping binds to no target: what comes in front of the first content waits for it. */
void kt_x_filter_aside(struct kt_exchange *x, const struct kt_sse_event *e, struct kt_json *j)
{
    put(x, e->name, e->data, j, (struct kt_x_queued){.aside = true});
}

void kt_x_filter_end(struct kt_exchange *x)
{
    struct kt_json none = {0};
    put(x, kt_span("", 0), kt_span("", 0), &none, (struct kt_x_queued){.len = 0});
}
