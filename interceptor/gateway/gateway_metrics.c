/* SPDX-License-Identifier: Apache-2.0 */
/* What /metrics has beside the numbers of the exchanges. */
#include "interceptor/gateway/kt_gateway_private.h"

#include "interceptor/route/kt_route.h"

static const int statuses[] = {400, 401, 403, 413, 503};

void kt_gateway_count_refused(struct kt_gateway *g, int status)
{
    size_t i = 0;
    while (i < KT_COUNT(statuses) && statuses[i] != status)
        i++;
    atomic_fetch_add(&g->refused[i], 1);
}

static kt_result gauge(struct kt_buf *out, const char *name, const char *help, unsigned long long value)
{
    KT_GUARD(kt_metrics_head(out, name, "gauge", help));
    return kt_buf_printf(out, "%s %llu\n", name, value);
}

static kt_result connections(struct kt_gateway *g, struct kt_buf *out)
{
    size_t n = 0;
    for (size_t i = 0; i < g->count; i++)
        n += kt_flows_count(g->workers[i].flows);
    KT_GUARD(gauge(out, "kt_gateway_connections", "Clients' connections that are open.", n));
    KT_GUARD(kt_metrics_head(out, "kt_gateway_connections_total", "counter", "Connections accepted."));
    KT_GUARD(kt_buf_printf(out, "kt_gateway_connections_total %llu\n", atomic_load(&g->connections)));
    KT_GUARD(gauge(out, "kt_gateway_in_flight", "Exchanges under way.", atomic_load(&g->in_flight)));
    uint64_t dropped = 0;
    for (size_t i = 0; i < g->count; i++)
        dropped += kt_otlp_dropped(g->workers[i].otlp);
    KT_GUARD(kt_metrics_head(out, "kt_spans_dropped_total", "counter", "Spans that no collector got."));
    KT_GUARD(kt_buf_printf(out, "kt_spans_dropped_total %llu\n", (unsigned long long)dropped));
    KT_GUARD(gauge(out, "kt_gateway_threads", "Event threads.", g->count));
    KT_GUARD(gauge(out, "kt_gateway_draining", "1 while the gateway is about to stop.",
                   atomic_load(&g->draining)));
    KT_GUARD(kt_metrics_head(out, "kt_gateway_refused_total", "counter",
                             "Requests that were refused at the door, by status."));
    for (size_t i = 0; i < KT_COUNT(statuses); i++)
        KT_GUARD(kt_buf_printf(out, "kt_gateway_refused_total{status=\"%d\"} %llu\n", statuses[i],
                               atomic_load(&g->refused[i])));
    return kt_buf_printf(out, "kt_gateway_refused_total{status=\"other\"} %llu\n",
                         atomic_load(&g->refused[KT_COUNT(statuses)]));
}

static kt_result breakers(const struct kt_gateway_worker *w, const struct kt_config *c, struct kt_buf *out)
{
    static const char *const words[] = {"closed", "open", "half_open"};
    uint64_t now = kt_state_now_ms();
    KT_GUARD(
        kt_metrics_head(out, "kt_breaker_state", "gauge", "1 for the state that a target's breaker has."));
    for (size_t i = 0; i < c->providers.target_count && i < KT_METRICS_MAX_TARGETS; i++) {
        const struct kt_target *t = &c->providers.targets[i];
        const struct kt_breaker_rules rules = kt_breaker_rules_of(c, t);
        struct kt_tstate *state = kt_state_target(w->ctx.state, kt_target_key(t), now);
        enum kt_breaker_state b = kt_breaker_look(state, &rules, now, NULL, NULL);
        for (size_t s = 0; s < KT_COUNT(words); s++) {
            KT_GUARD(kt_buf_puts(out, "kt_breaker_state{"));
            KT_GUARD(kt_metrics_label(out, "target", t->id ? t->id : ""));
            KT_GUARD(kt_buf_printf(out, ",state=\"%s\"} %d\n", words[s], b == (enum kt_breaker_state)s));
        }
    }
    return kt_ok();
}

static kt_result config_info(const struct kt_runtime *rt, struct kt_buf *out)
{
    KT_GUARD(kt_metrics_head(out, "kt_config_info", "gauge", "The policy configuration in force."));
    KT_GUARD(kt_buf_puts(out, "kt_config_info{"));
    KT_GUARD(kt_metrics_label(out, "name", rt->config->pack.name ? rt->config->pack.name : ""));
    KT_GUARD(kt_buf_puts(out, ","));
    KT_GUARD(kt_metrics_label(out, "version", rt->config->pack.version ? rt->config->pack.version : ""));
    return kt_buf_printf(out, ",sha256=\"%.12s\"} 1\n", rt->config->sha256);
}

kt_result kt_gateway_metrics(const struct kt_gateway_worker *w, struct kt_buf *out)
{
    KT_GUARD(kt_metrics_write(w->g->metrics, out));
    KT_GUARD(connections(w->g, out));
    struct kt_runtime *rt = w->ctx.runtime(w->ctx.owner);
    kt_result r = rt->config ? config_info(rt, out) : kt_ok();
    if (r.code == KT_OK && rt->config && rt->config->has_providers)
        r = breakers(w, rt->config, out);
    kt_runtime_unref(rt);
    return r;
}
