/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls whose process ends, or becomes another program, in their middle. A signal leaves nothing but the
 * mark in the shared state. An exec is known before it happens: the event is written then, and since an exec
 * may fail, the call must be able to go on.
 */
#include "interceptor/exchange/kt_exchange_private.h"

#include "policyengine/base/kt_log.h"

void kt_x_mark(struct kt_exchange *x)
{
    x->mark = kt_mark_set(x->ctx->state, &x->ctx->runs, x->host, x->port, x->real_ns / 1000000u);
}

void kt_x_list(struct kt_exchange *x)
{
    struct kt_exchange **first = &x->ctx->under_way;
    x->next_under_way = *first;
    if (*first)
        (*first)->prev_under_way = x;
    *first = x;
}

void kt_x_unlist(struct kt_exchange *x)
{
    if (x->next_under_way)
        x->next_under_way->prev_under_way = x->prev_under_way;
    if (x->prev_under_way)
        x->prev_under_way->next_under_way = x->next_under_way;
    else if (x->ctx->under_way == x)
        x->ctx->under_way = x->next_under_way;
    x->next_under_way = x->prev_under_way = NULL;
}

static void interrupt(struct kt_exchange *x)
{
    const char *error = x->error, *how = x->stream.interruption;
    bool in_stream = x->head_sent && (x->stream.open || x->early);
    if (!error)
        x->error = "interrupted";
    if (in_stream && !how)
        x->stream.interruption = "client_gone";
    if (!kt_x_record(x))
        KT_TRACE(AUDIT, "exchange %s: event lost", x->id);
    x->error = error;
    x->stream.interruption = how;
    x->interrupted = true;
}

void kt_exchange_interrupt_all(struct kt_engine_ctx *ctx)
{
    for (struct kt_exchange *x = ctx->under_way; x; x = x->next_under_way)
        if (!x->recorded && !x->over)
            interrupt(x);
}

void kt_exchange_go_on_all(struct kt_engine_ctx *ctx)
{
    for (struct kt_exchange *x = ctx->under_way; x; x = x->next_under_way) {
        if (!x->interrupted)
            continue;
        x->interrupted = x->recorded = false;
        kt_x_mark(x);
    }
}
