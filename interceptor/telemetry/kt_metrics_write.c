/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers in Prometheus' text form. */
#include "interceptor/telemetry/kt_metrics_private.h"

#include <stdlib.h>
#include <string.h>

kt_result kt_metrics_head(struct kt_buf *out, const char *name, const char *type, const char *help)
{
    return kt_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

kt_result kt_metrics_label(struct kt_buf *out, const char *name, const char *value)
{
    KT_GUARD(kt_buf_printf(out, "%s=\"", name));
    for (const char *p = value; *p; p++) {
        if (*p == '\n')
            KT_GUARD(kt_buf_puts(out, "\\n"));
        else if (*p == '"' || *p == '\\')
            KT_GUARD(kt_buf_printf(out, "\\%c", *p));
        else
            KT_GUARD(kt_buf_append(out, p, 1));
    }
    return kt_buf_puts(out, "\"");
}

static kt_result requests(const struct kt_metrics *m, struct kt_buf *out)
{
    KT_GUARD(kt_metrics_head(out, "kt_requests_total", "counter",
                             "Exchanges by the target that answered, its model, the client's status and the "
                             "verdict."));
    for (size_t i = 0; i < m->request_count; i++) {
        const struct kt_m_request *r = &m->requests[i];
        KT_GUARD(kt_buf_puts(out, "kt_requests_total{"));
        KT_GUARD(kt_metrics_label(out, "target", r->target));
        KT_GUARD(kt_buf_puts(out, ","));
        KT_GUARD(kt_metrics_label(out, "model", r->model));
        KT_GUARD(kt_buf_printf(out, ",status=\"%d\",", r->status));
        KT_GUARD(kt_metrics_label(out, "verdict", r->verdict));
        KT_GUARD(kt_buf_printf(out, "} %llu\n", (unsigned long long)r->count));
    }
    return kt_ok();
}

/* name{target="...",<extra>} value */
static kt_result line(struct kt_buf *out, const char *name, const char *target, const char *extra,
                      double value)
{
    KT_GUARD(kt_buf_printf(out, "%s{", name));
    KT_GUARD(kt_metrics_label(out, "target", target));
    return kt_buf_printf(out, "%s%s} %.15g\n", *extra ? "," : "", extra, value);
}

static kt_result tokens(const struct kt_metrics *m, struct kt_buf *out)
{
    KT_GUARD(kt_metrics_head(out, "kt_tokens_total", "counter",
                             "Tokens as the targets count them; cached ones are among those of the input."));
    for (size_t i = 0; i < m->target_count; i++) {
        const struct kt_m_target *t = &m->targets[i];
        KT_GUARD(line(out, "kt_tokens_total", t->target, "type=\"input\"", (double)t->tokens_in));
        KT_GUARD(line(out, "kt_tokens_total", t->target, "type=\"output\"", (double)t->tokens_out));
        KT_GUARD(line(out, "kt_tokens_total", t->target, "type=\"cached\"", (double)t->tokens_cached));
    }
    KT_GUARD(kt_metrics_head(out, "kt_cost_usd_total", "counter", "Cost by the prices of the config."));
    for (size_t i = 0; i < m->target_count; i++)
        KT_GUARD(line(out, "kt_cost_usd_total", m->targets[i].target, "", m->targets[i].cost));
    return kt_ok();
}

static kt_result attempts(const struct kt_metrics *m, struct kt_buf *out)
{
    static const char *const words[KT_M_OUTCOMES] = {"outcome=\"ok\"", "outcome=\"failed\"",
                                                     "outcome=\"skipped\""};
    KT_GUARD(kt_metrics_head(out, "kt_attempts_total", "counter", "Tries of targets."));
    for (size_t i = 0; i < m->target_count; i++)
        for (size_t o = 0; o < KT_M_OUTCOMES; o++)
            KT_GUARD(line(out, "kt_attempts_total", m->targets[i].target, words[o],
                          (double)m->targets[i].attempts[o]));
    return kt_ok();
}

/* `labels`: without braces; "" = none. */
static kt_result histogram(struct kt_buf *out, const char *name, const char *labels, const double *bounds,
                           const struct kt_m_histogram *h)
{
    uint64_t sum = 0;
    const char *comma = *labels ? "," : "", *open = *labels ? "{" : "", *close = *labels ? "}" : "";
    for (size_t i = 0; i < KT_M_BUCKETS; i++) {
        sum += h->bucket[i];
        KT_GUARD(kt_buf_printf(out, "%s_bucket{%s%sle=\"%g\"} %llu\n", name, labels, comma, bounds[i],
                               (unsigned long long)sum));
    }
    KT_GUARD(kt_buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, labels, comma,
                           (unsigned long long)h->count));
    KT_GUARD(kt_buf_printf(out, "%s_sum%s%s%s %.9g\n", name, open, labels, close, h->sum));
    return kt_buf_printf(out, "%s_count%s%s%s %llu\n", name, open, labels, close,
                         (unsigned long long)h->count);
}

static kt_result target_histogram(const struct kt_metrics *m, struct kt_buf *out, const char *name,
                                  const char *help, bool ttft)
{
    KT_GUARD(kt_metrics_head(out, name, "histogram", help));
    for (size_t i = 0; i < m->target_count; i++) {
        const struct kt_m_target *t = &m->targets[i];
        const struct kt_m_histogram *h = ttft ? &t->ttft : &t->latency;
        KT_CLEANUP(kt_buf_free) struct kt_buf labels = KT_BUF_INIT(4096);
        KT_GUARD(kt_metrics_label(&labels, "target", t->target));
        if (h->count)
            KT_GUARD(histogram(out, name, labels.data, kt_m_seconds, h));
    }
    return kt_ok();
}

static kt_result policy_line(struct kt_buf *out, const char *name, const struct kt_m_policy *p,
                             const char *verdict, double value)
{
    KT_GUARD(kt_buf_printf(out, "%s{", name));
    KT_GUARD(kt_metrics_label(out, "policy", p->kind));
    KT_GUARD(kt_buf_puts(out, ","));
    KT_GUARD(kt_metrics_label(out, "phase", p->phase));
    if (verdict)
        KT_GUARD(kt_buf_printf(out, ",verdict=\"%s\"", verdict));
    return kt_buf_printf(out, "} %.15g\n", value);
}

static kt_result policies(const struct kt_metrics *m, struct kt_buf *out)
{
    KT_GUARD(kt_metrics_head(out, "kt_policy_verdicts_total", "counter", "What each policy decided."));
    for (size_t i = 0; i < m->policy_count; i++) {
        const struct kt_m_policy *p = &m->policies[i];
        const struct {
            const char *word;
            uint64_t n;
        } all[] = {{"allow", p->allow},       {"warn", p->warn},   {"redact", p->redact},
                   {"escalate", p->escalate}, {"block", p->block}, {"other", p->other}};
        for (size_t v = 0; v < KT_COUNT(all); v++)
            if (all[v].n)
                KT_GUARD(policy_line(out, "kt_policy_verdicts_total", p, all[v].word, (double)all[v].n));
    }
    KT_GUARD(kt_metrics_head(out, "kt_policy_seconds_total", "counter", "Time that each policy took."));
    for (size_t i = 0; i < m->policy_count; i++)
        KT_GUARD(policy_line(out, "kt_policy_seconds_total", &m->policies[i], NULL,
                             (double)m->policies[i].time_us / 1e6));
    return kt_ok();
}

static kt_result events(const struct kt_metrics *m, struct kt_buf *out)
{
    KT_GUARD(kt_metrics_head(out, "kt_events_total", "counter",
                             "Audit events: written, failed (see fail_mode), or not wanted by the config."));
    return kt_buf_printf(out,
                         "kt_events_total{result=\"written\"} %llu\nkt_events_total{result=\"failed\"} %llu\n"
                         "kt_events_total{result=\"unwanted\"} %llu\n",
                         (unsigned long long)m->written, (unsigned long long)m->lost,
                         (unsigned long long)m->unwanted);
}

static kt_result all(const struct kt_metrics *m, struct kt_buf *out)
{
    KT_GUARD(requests(m, out));
    KT_GUARD(tokens(m, out));
    KT_GUARD(attempts(m, out));
    KT_GUARD(target_histogram(m, out, "kt_request_duration_seconds", "From request to answer.", false));
    KT_GUARD(target_histogram(m, out, "kt_time_to_first_token_seconds",
                              "Of streams: from request to the first byte to the client.", true));
    KT_GUARD(kt_metrics_head(out, "kt_overhead_seconds", "histogram", "Of an exchange, what is ours."));
    KT_GUARD(histogram(out, "kt_overhead_seconds", "", kt_m_overhead, &m->overhead));
    KT_GUARD(policies(m, out));
    return events(m, out);
}

kt_result kt_metrics_write(struct kt_metrics *m, struct kt_buf *out)
{
    /* A copy, so that no exchange waits for a scrape; not on the stack. */
    struct kt_metrics *copy = malloc(sizeof *copy);
    KT_ENSURE(copy, KT_ERR_MEMORY);
    pthread_mutex_lock(&m->lock);
    memcpy(copy, m, sizeof *copy);
    pthread_mutex_unlock(&m->lock);
    kt_result r = all(copy, out);
    free(copy);
    return r;
}
