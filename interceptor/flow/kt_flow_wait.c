/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread of the program that waits for its answer: instead of sleeping until the loop's thread was woken,
 * has worked and has woken it in turn, it sleeps until the target's bytes come and does that work itself.
 * What it finds it takes right into its buffer. Everything stays right where it does not: the answer leaves
 * over the connection then, and a loan that nobody comes back for ends by itself.
 */
#include "interceptor/flow/kt_flow_private.h"

#include <openssl/err.h>

struct wait {
    struct kt_flow *f;
    enum kt_flow_wait how;
    uint64_t taken;
    struct kt_flow_reader reader;
    int fd;
};

static void serve(struct wait *w)
{
    struct kt_flow *f = w->f;
    bool held = f->holds; /* nothing has left since, and nobody was lent anything */
    bool first = f->phase == KT_PHASE_OPEN && f->sent == w->taken && (held || kt_flow_backlog(f) == 0);
    f->reader = first && w->reader.room ? &w->reader : NULL;
    if (held) {
        kt_flow_hold_drop(f);
        kt_flow_hold_took(f);
        kt_flow_defer(f, KT_WORK_FLUSH);
    } else {
        kt_loop_loan_serve(&f->loan);
    }
    kt_loop_turn(f->fs->loop);
    f->reader = NULL;
}

/* As the loop's guest. */
static void step(void *wait)
{
    struct wait *w = wait;
    struct kt_flow *f = w->f;
    const struct kt_flow_service *s = f->fs->o.service;
    uint64_t sent = f->sent;
    if (w->how == KT_FLOW_WAIT_READY || f->holds)
        serve(w);
    bool quiet = f->sent == sent && !w->reader.got;
    bool on = w->how != KT_FLOW_WAIT_END && f->phase == KT_PHASE_OPEN && quiet && f->x;
    struct kt_loop_watch *watch = on && s->waits_for ? s->waits_for(f->x) : NULL;
    if (watch && kt_loop_lend(f->fs->loop, watch, &f->loan))
        w->fd = watch->fd;
    else
        kt_loop_loan_end(f->fs->loop, &f->loan);
}

bool kt_flow_busy(const struct kt_flow *f)
{
    const struct kt_flows_options *o = &f->fs->o;
    return o->service->is_busy && o->service->is_busy(o->ctx);
}

int kt_flow_wait(struct kt_flow *f, enum kt_flow_wait how, uint64_t taken, void *buf, size_t *len)
{
    struct wait w = {f, how, taken, {buf, *len, 0}, -1};
    bool lent = atomic_load(&f->lent), ours = lent || atomic_load(&f->held);
    *len = 0;
    if (how == KT_FLOW_WAIT_BEGIN)
        kt_flow_hold_learn(f);
    if (atomic_load(&f->fs->forgotten) || (!ours && atomic_load(&f->input) != KT_INPUT_BUSY))
        return -1;
    /* libcurl's OpenSSL may be the program's, and with it the thread's queue of errors. */
    bool may = ERR_peek_error() == 0 && !kt_flow_busy(f);
    bool done = may && kt_loop_run_here(f->fs->loop, step, &w);
    if (done)
        ERR_clear_error();
    *len = w.reader.got;
    atomic_store(&f->lent, w.fd >= 0);
    if (ours && !done) /* the loop's thread is awake: it goes on from here */
        kt_flow_raise(f, KT_SIGNAL_AWAKE);
    return w.fd;
}
