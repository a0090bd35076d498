/* SPDX-License-Identifier: Apache-2.0 */
/* The tap lane: the program talks to its origin itself, and the exchange is told what was said. */
#include "interceptor/exchange/kt_exchange_private.h"

#include "policyengine/base/kt_log.h"

#include <stdio.h>

static void no_head(void *owner, int status, const struct kt_header *headers, size_t count, int64_t length)
{
    (void)owner, (void)status, (void)headers, (void)count, (void)length;
}

static void no_body(void *owner, const char *data, size_t len)
{
    (void)owner, (void)data, (void)len;
}

static void no_end(void *owner)
{
    (void)owner;
}

static size_t no_backlog(void *owner)
{
    (void)owner;
    return 0;
}

void kt_exchange_tapped(struct kt_exchange *x)
{
    x->tapped = true;
}

void kt_exchange_watch(struct kt_exchange *x, const struct kt_exchange_watcher *w)
{
    const struct kt_reply_sink nowhere = {
        .head = no_head, .body = no_body, .end = no_end, .abort = no_end, .backlog = no_backlog};
    x->watcher = *w;
    kt_exchange_start(x, &nowhere);
}

void kt_x_tap_ready(struct kt_exchange *x)
{
    x->pass_left = -1;
    x->tries = 1;
    if (!kt_x_attempt_begin(x, NULL, x->parsed ? x->chat.model : NULL))
        KT_TRACE(HTTP, "exchange %s: no memory for the attempt", x->id);
    x->watcher.ready(x->watcher.owner);
}

void kt_exchange_answer_head(struct kt_exchange *x, const struct kt_call_head *head)
{
    if (x->attempt_count)
        kt_x_origin_head(x, head);
}

void kt_exchange_answer_data(struct kt_exchange *x, const char *data, size_t len)
{
    if (x->attempt_count)
        kt_x_origin_data(x, data, len);
}

/* What was seen of the answer is judged all the same. */
static void incomplete(struct kt_exchange *x, const char *error, const char *detail)
{
    x->error = error;
    if (!x->message || !*x->message)
        kt_x_keep_message(x, detail);
    x->stream.interruption = "cut";
    kt_x_origin_watch_end(x);
    kt_x_attempt_end(x, error, detail);
    if (!kt_x_record(x))
        KT_TRACE(AUDIT, "exchange %s: event lost", x->id);
    x->over = true;
}

void kt_exchange_answer_done(struct kt_exchange *x, const char *error, const char *detail)
{
    kt_x_enter(x);
    if (x->over)
        ; /* the stream's [DONE] was its end */
    else if (error || !x->attempt_count)
        incomplete(x, error ? error : "out_of_memory", detail ? detail : "");
    else
        kt_x_origin_answered(x);
    kt_x_leave(x);
}
