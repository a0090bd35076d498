/* SPDX-License-Identifier: Apache-2.0 */
/* Birth and end of a gateway and its threads. */
#include "interceptor/gateway/kt_gateway_private.h"

#include "interceptor/loop/kt_fds.h"
#include "policyengine/base/kt_log.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1000000000ull
#define STOP_MS 5000
#define DEFAULT_MAX_BODY (64u << 20)

static size_t max_body(void *gateway)
{
    const struct kt_gateway *g = gateway;
    struct kt_runtime *rt = kt_engine_runtime(g->engine);
    int64_t n = rt->config ? rt->config->limits.max_body_bytes : 0;
    kt_runtime_unref(rt);
    return n > 0 ? (size_t)n : DEFAULT_MAX_BODY;
}

/* What is no HTTP request is counted and logged, but is no event: nothing could have left, and anybody who
 * can reach the port could fill the audit log. */
static void on_refused(void *gateway, const char *event_type, const char *host, uint16_t port, int status,
                       const char *message)
{
    (void)event_type;
    kt_gateway_count_refused(gateway, status);
    kt_warn("%s:%u: a client's request was refused with %d: %s", host, port, status, message);
}

static void witness(void *worker, const struct kt_seen *seen)
{
    const struct kt_gateway_worker *w = worker;
    kt_metrics_exchange(w->g->metrics, seen);
    kt_otlp_exchange(w->otlp, seen);
}

static kt_result make_worker(struct kt_gateway *g, struct kt_gateway_worker *w)
{
    const struct kt_flows_options o = {.door = &g->door,
                                       .ctx = &w->ctx,
                                       .service = &kt_gateway_service,
                                       .owner = g,
                                       .max_body = max_body,
                                       .event = on_refused};
    w->g = g;
    KT_GUARD(kt_engine_share(g->engine, &w->ctx));
    w->ctx.witness = (struct kt_witness){witness, w};
    KT_GUARD(kt_loop_new(&w->ctx.loop));
    KT_GUARD(kt_upstream_new(w->ctx.loop, &w->ctx.upstream));
    KT_GUARD(kt_commit_new(&w->ctx, &w->commit));
    KT_GUARD(kt_otlp_new(w->ctx.loop, w->ctx.upstream, &w->otlp));
    return kt_flows_new(&o, &w->flows);
}

static kt_result start(struct kt_gateway *g)
{
    KT_GUARD(kt_gateway_accept(g));
    for (size_t i = 0; i < g->count; i++) {
        KT_GUARD(kt_loop_start(g->workers[i].ctx.loop, NULL));
        g->workers[i].running = true;
    }
    return kt_ok();
}

static kt_result copy(const char *from, char **to)
{
    *to = from ? strdup(from) : NULL;
    return *to || !from ? kt_ok() : kt_err(KT_ERR_MEMORY);
}

static kt_result fill(struct kt_gateway *g, const struct kt_gateway_options *o, struct kt_error *err)
{
    KT_ENSURE(o->threads >= 1 && o->threads <= KT_GATEWAY_MAX_THREADS, KT_ERR_USAGE);
    g->max_concurrency = o->max_concurrency;
    g->door = (struct kt_flow_door){.lane = "gateway",
                                    .tls = o->tls_cert != NULL,
                                    .identify = kt_gateway_identify,
                                    .admits = kt_gateway_may_speak,
                                    .idle_ns = 75 * NS_PER_S,
                                    .head_ns = 20 * NS_PER_S,
                                    .piece_ns = 30 * NS_PER_S,
                                    .request_ns = 300 * NS_PER_S,
                                    .stall_ns = 60 * NS_PER_S};
    KT_GUARD(copy(o->tls_cert, &g->tls_cert));
    KT_GUARD(copy(o->tls_key, &g->tls_key));
    KT_GUARD(kt_gateway_tokens_set(&g->tokens, o->tokens));
    KT_GUARD(kt_metrics_new(&g->metrics));
    KT_GUARD(kt_gateway_tls_load(g, err));
    KT_GUARD(kt_gateway_listen(g, o->listen, err));
    g->workers = calloc(o->threads, sizeof *g->workers);
    KT_ENSURE(g->workers, KT_ERR_MEMORY);
    g->count = o->threads; /* also where one cannot be made in full: free knows */
    for (size_t i = 0; i < g->count; i++)
        KT_GUARD(make_worker(g, &g->workers[i]));
    KT_GUARD(kt_prober_new(&g->workers[0].ctx, &g->prober));
    return start(g);
}

kt_result kt_gateway_new(struct kt_engine *e, const struct kt_gateway_options *o, struct kt_gateway **out,
                         struct kt_error *err)
{
    struct kt_gateway *g = calloc(1, sizeof *g);
    KT_ENSURE(g, KT_ERR_MEMORY);
    g->engine = e;
    g->accepting.fd = -1;
    pthread_mutex_init(&g->tls_lock, NULL);
    kt_result r = fill(g, o, err);
    if (r.code != KT_OK) {
        kt_gateway_free(g);
        return err && err->text[0]
                   ? r
                   : kt_fail(err, r.code, "the gateway cannot start: %s", kt_code_name(r.code));
    }
    *out = g;
    return kt_ok();
}

const char *kt_gateway_url(const struct kt_gateway *g)
{
    return g->url;
}

uint16_t kt_gateway_port(const struct kt_gateway *g)
{
    return g->port;
}

bool kt_gateway_is_local(const struct kt_gateway *g)
{
    return g->local;
}

unsigned kt_gateway_in_flight(const struct kt_gateway *g)
{
    return atomic_load(&g->in_flight);
}

kt_result kt_gateway_reload(struct kt_gateway *g, struct kt_error *err)
{
    return kt_gateway_tls_load(g, err);
}

void kt_gateway_drain(struct kt_gateway *g)
{
    atomic_store(&g->draining, true);
    for (size_t i = 0; i < g->count; i++)
        kt_flows_drain(g->workers[i].flows);
}

static void close_worker(void *worker)
{
    struct kt_gateway_worker *w = worker;
    if (w == &w->g->workers[0])
        kt_gateway_stop_accepting(w->g);
    kt_flows_close(w->flows);
}

/* False where a thread did not end: then nothing may be freed. */
static bool stop(struct kt_gateway *g)
{
    bool ended = true;
    for (size_t i = 0; i < g->count; i++)
        if (g->workers[i].running &&
            kt_loop_post(g->workers[i].ctx.loop, close_worker, &g->workers[i]).code != KT_OK)
            kt_warn("the clients' connections cannot be closed: no memory");
    for (size_t i = 0; i < g->count; i++)
        if (g->workers[i].running)
            ended &= kt_loop_stop(g->workers[i].ctx.loop, STOP_MS);
    return ended;
}

void kt_gateway_free(struct kt_gateway *g)
{
    if (!g || !stop(g))
        return;
    kt_prober_free(g->prober);
    /* One that never ran may hold a watch. */
    if (g->accepting.fd >= 0 && g->workers && g->workers[0].ctx.loop)
        kt_gateway_stop_accepting(g);
    else
        kt_disown_close(g->accepting.fd);
    for (size_t i = 0; i < g->count; i++) {
        kt_otlp_free(g->workers[i].otlp);
        kt_upstream_free(g->workers[i].ctx.upstream);
        kt_flows_free(g->workers[i].flows);
        kt_commit_free(g->workers[i].commit);
        kt_loop_free(g->workers[i].ctx.loop);
    }
    free(g->workers);
    kt_metrics_free(g->metrics);
    kt_gateway_tokens_free(&g->tokens);
    SSL_CTX_free(g->tls);
    free(g->tls_cert);
    free(g->tls_key);
    pthread_mutex_destroy(&g->tls_lock);
    free(g);
}
