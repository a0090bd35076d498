/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group commit. Locking, proving and writing the audit log costs the same for one event as for thirty, and
 * more than the rest of a small call: so whole answers wait for the end of the loop's turn, their events go
 * into the log with one write, and only then the answers leave.
 */
#include "interceptor/exchange/kt_exchange_draft.h"

#include <stdlib.h>

#define COMMIT_MAX 32 /* events of one turn of the log; others of its writers wait for it */

struct kt_commit {
    struct kt_engine_ctx *ctx;
    struct kt_timer due; /* behind the callbacks of this turn */
    struct kt_exchange *first, *last;
    struct kt_x_draft drafts[COMMIT_MAX];
};

static void take_out(struct kt_commit *c, struct kt_exchange *x)
{
    struct kt_x_waiting *w = &x->waiting;
    *(w->prev ? &w->prev->waiting.next : &c->first) = w->next;
    *(w->next ? &w->next->waiting.prev : &c->last) = w->prev;
    *w = (struct kt_x_waiting){0};
}

bool kt_x_commit_later(struct kt_exchange *x, int status, struct kt_span body)
{
    struct kt_commit *c = x->ctx->commit;
    if (!c || x->recorded || !x->ctx->audit)
        return false;
    kt_x_keepalive_stop(x);
    x->waiting = (struct kt_x_waiting){.on = true, .status = status, .body = body, .prev = c->last};
    *(c->last ? &c->last->waiting.next : &c->first) = x;
    c->last = x;
    if (!c->due.due_ns)
        kt_loop_timer_set(x->ctx->loop, &c->due, 1);
    return true;
}

void kt_x_commit_cancel(struct kt_exchange *x)
{
    if (x->waiting.on)
        take_out(x->ctx->commit, x);
}

/* Writes the events of some that wait. */
static size_t record(struct kt_commit *c, struct kt_exchange *all[COMMIT_MAX])
{
    struct kt_audit_item items[COMMIT_MAX];
    struct kt_error err = {KT_OK, ""};
    size_t count = 0, drafts = 0, written = 0;
    for (struct kt_exchange *x = c->first; x && count < COMMIT_MAX; x = x->waiting.next) {
        struct kt_x_draft *d = &c->drafts[drafts];
        all[count++] = x;
        x->recorded = !kt_x_draft_begin(x, d);
        x->record_ok = x->recorded;
        if (x->recorded)
            kt_mark_clear(&x->mark);
        drafts += !x->recorded;
    }
    for (size_t i = 0; i < drafts; i++)
        if (c->drafts[i].wanted)
            items[written++] = (struct kt_audit_item){.event = &c->drafts[i].e};
    if (written)
        kt_audit_append_all(c->ctx->audit, items, written, &err);
    written = 0;
    for (size_t i = 0; i < drafts; i++) {
        kt_result r = c->drafts[i].wanted ? items[written++].result : kt_ok();
        kt_x_draft_end(&c->drafts[i], r);
        kt_x_recorded(c->drafts[i].x, r, &err);
    }
    return count;
}

static void on_due(void *commit)
{
    struct kt_commit *c = commit;
    struct kt_exchange *all[COMMIT_MAX];
    while (c->first) {
        size_t count = record(c, all);
        for (size_t i = 0; i < count; i++) {
            struct kt_exchange *x = all[i];
            /* An answer that leaves reaches other exchanges only by way of the loop: none of these is gone.
             */
            const struct kt_x_waiting w = x->waiting;
            take_out(c, x);
            kt_x_enter(x);
            kt_x_reply_recorded(x, w.status, w.body);
            kt_x_leave(x);
        }
    }
}

kt_result kt_commit_new(struct kt_engine_ctx *ctx, struct kt_commit **out)
{
    struct kt_commit *c = malloc(sizeof *c);
    KT_ENSURE(c, KT_ERR_MEMORY);
    c->ctx = ctx;
    c->due = (struct kt_timer){.fn = on_due, .arg = c};
    c->first = c->last = NULL;
    *out = ctx->commit = c;
    return kt_ok();
}

void kt_commit_free(struct kt_commit *c)
{
    if (!c)
        return;
    if (c->due.due_ns)
        kt_loop_timer_set(c->ctx->loop, &c->due, 0);
    c->ctx->commit = NULL;
    free(c);
}
