/* SPDX-License-Identifier: Apache-2.0 */
/* The event thread and what lives on it: started by the first flow, forgotten by a fork child, ended at exit.
 */
#include "interceptor/engine/kt_engine_private.h"

#include "interceptor/exchange/kt_prober.h"
#include "interceptor/loop/kt_fds.h"
#include "interceptor/upstream/kt_upstream.h"
#include "policyengine/base/kt_log.h"

#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_MAX_BODY (64u << 20)

static const struct kt_flow_service exchanges = {.open = kt_exchange_new,
                                                 .prepare = kt_exchange_prepare,
                                                 .start = kt_exchange_start,
                                                 .client_gone = kt_exchange_client_gone,
                                                 .writable = kt_exchange_writable,
                                                 .waits_for = kt_exchange_waits_for,
                                                 .is_busy = kt_exchange_busy,
                                                 .drop = kt_exchange_free};

/* A thread's start function gets no argument; a process has one shim, so that one variable does. */
static void (*guard)(void);

static void on_start(void)
{
    if (guard)
        guard();
    pthread_setname_np(pthread_self(), "kt-engine");
}

static struct kt_ca *ca(void *engine)
{
    return kt_engine_ca(engine);
}

static size_t max_body(void *engine)
{
    struct kt_engine *e = engine;
    struct kt_runtime *rt = kt_runtimes_peek(e->runtimes);
    int64_t n = rt->config ? rt->config->limits.max_body_bytes : 0;
    kt_runtime_unref(rt);
    return n > 0 ? (size_t)n : DEFAULT_MAX_BODY;
}

/* Lock held. Parts that were made before a failure stay for the next try. */
kt_result kt_engine_start(struct kt_engine *e)
{
    KT_ENSURE(!e->stopped, KT_ERR_STATE);
    if (e->flows)
        return kt_ok();
    KT_ENSURE(kt_engine_usable_locked(e), KT_ERR_STATE);
    if (!e->ctx.state) /* first: it counts the events that cannot be written */
        KT_GUARD(kt_state_open(e->paths.state_dir, &e->ctx.state));
    if (!e->loop)
        KT_GUARD(kt_loop_new(&e->loop));
    e->ctx.loop = e->loop;
    if (!e->ctx.upstream)
        KT_GUARD(kt_upstream_new(e->loop, &e->ctx.upstream));
    if (!e->otlp)
        KT_GUARD(kt_otlp_new(e->loop, e->ctx.upstream, &e->otlp));
    e->ctx.witness = (struct kt_witness){kt_otlp_exchange, e->otlp};
    if (!e->prober)
        KT_GUARD(kt_prober_new(&e->ctx, &e->prober));
    const struct kt_flows_options o = {.ctx = &e->ctx,
                                       .service = &exchanges,
                                       .owner = e,
                                       .ca = ca,
                                       .max_body = max_body,
                                       .event = kt_engine_event};
    const struct kt_tap_options to = {
        .ctx = &e->ctx, .owner = e, .max_body = max_body, .event = kt_engine_event};
    if (!e->taps)
        KT_GUARD(kt_taps_new(&to, &e->taps));
    struct kt_flows *flows = NULL;
    KT_GUARD(kt_flows_new(&o, &flows));
    guard = e->guard_thread;
    kt_result r = kt_loop_start(e->loop, on_start);
    if (r.code != KT_OK) {
        kt_flows_free(flows);
        return r;
    }
    e->flows = flows;
    if (!kt_is_ok(kt_loop_post_job(e->loop, &e->sweep)))
        KT_TRACE(FLOW, "%s", "calls that others left are not looked for");
    return r;
}

kt_result kt_engine_adopt(struct kt_engine *e, int fd, const char *host, uint16_t port)
{
    return kt_engine_adopt_of(e, fd, host, port, NULL);
}

kt_result kt_engine_adopt_of(struct kt_engine *e, int fd, const char *host, uint16_t port,
                             struct kt_event_program *program)
{
    kt_engine_enter(e);
    pthread_mutex_lock(&e->lock);
    kt_result r = kt_engine_start(e);
    struct kt_flows *flows = e->flows;
    pthread_mutex_unlock(&e->lock);
    if (r.code == KT_OK)
        r = kt_flows_adopt_of(flows, fd, host, port, program);
    else
        kt_disown_close(kt_own_fd(fd)); /* through the registry, so that the shim's mark goes, too */
    if (r.code != KT_OK)
        kt_warn("%s: a connection to port %u could not be taken: %s", host, port, kt_code_name(r.code));
    kt_engine_leave(e);
    return r;
}

struct kt_flow *kt_engine_flow_by_random(struct kt_engine *e, const uint8_t random[32])
{
    kt_engine_enter(e);
    pthread_mutex_lock(&e->lock);
    struct kt_flow *f = e->flows ? kt_flows_by_random(e->flows, random) : NULL;
    pthread_mutex_unlock(&e->lock);
    kt_engine_leave(e);
    return f;
}

ssize_t kt_engine_flow_write(struct kt_engine *e, struct kt_flow *f, const void *data, size_t len)
{
    kt_engine_enter(e);
    ssize_t n = kt_flow_write(f, data, len);
    kt_engine_leave(e);
    return n;
}

int kt_engine_flow_wait(struct kt_engine *e, struct kt_flow *f, enum kt_flow_wait how, uint64_t taken,
                        void *buf, size_t *len)
{
    kt_engine_enter(e);
    int fd = kt_flow_wait(f, how, taken, buf, len);
    kt_engine_leave(e);
    return fd;
}

size_t kt_engine_flow_count(struct kt_engine *e)
{
    kt_engine_enter(e);
    pthread_mutex_lock(&e->lock);
    size_t n = e->flows ? kt_flows_count(e->flows) : 0;
    pthread_mutex_unlock(&e->lock);
    kt_engine_leave(e);
    return n;
}

void kt_engine_close_all(void *engine)
{
    struct kt_engine *e = engine;
    kt_engine_report_more(e);
    kt_flows_close(e->flows);
    kt_taps_end(e->taps);
}

static bool stop(struct kt_engine *e, bool (*end)(struct kt_loop *, unsigned), unsigned timeout_ms)
{
    kt_engine_enter(e);
    pthread_mutex_lock(&e->lock);
    e->stopped = true;
    struct kt_loop *loop = e->loop;
    struct kt_flows *flows = e->flows;
    pthread_mutex_unlock(&e->lock);
    /* By the loop's thread, because a handler may have interrupted malloc in this one. Refused where an
     * earlier stop posted it. */
    if (!flows)
        kt_engine_report_more(e);
    else if (!kt_is_ok(kt_loop_post_job(loop, &e->close)))
        KT_TRACE(FLOW, "%s", "stopped already");
    bool ended = !flows || end(loop, timeout_ms);
    kt_engine_leave(e);
    return ended;
}

bool kt_engine_stop(struct kt_engine *e, unsigned timeout_ms)
{
    return stop(e, kt_loop_stop, timeout_ms);
}

bool kt_engine_end(struct kt_engine *e, unsigned timeout_ms)
{
    return stop(e, kt_loop_let_end, timeout_ms);
}

void kt_engine_leak(struct kt_engine *e, void *a, void *b, void *c)
{
    struct kt_engine_leak *l = calloc(1, sizeof *l);
    if (!l)
        return; /* then a leak checker complains, which is all that this prevents */
    l->what[0] = a;
    l->what[1] = b;
    l->what[2] = c;
    l->next = e->leaks;
    e->leaks = l;
}
