/* SPDX-License-Identifier: Apache-2.0 */
/* Counting. Places are found by walking: there are few, and the usual one comes first. */
#include "interceptor/telemetry/kt_metrics_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const double kt_m_seconds[KT_M_BUCKETS] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                           1,     2.5,  5,     10,   30,  60,   120};
const double kt_m_overhead[KT_M_BUCKETS] = {0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                            0.01,    0.025,  0.05,    0.1,    0.25,  0.5,    1};

kt_result kt_metrics_new(struct kt_metrics **out)
{
    *out = calloc(1, sizeof **out);
    KT_ENSURE(*out, KT_ERR_MEMORY);
    pthread_mutex_init(&(*out)->lock, NULL);
    return kt_ok();
}

void kt_metrics_free(struct kt_metrics *m)
{
    if (!m)
        return;
    pthread_mutex_destroy(&m->lock);
    free(m);
}

static void put(char *label, size_t size, const char *value)
{
    snprintf(label, size, "%s", value ? value : "");
}

static bool same(const char *label, const char *value)
{
    value = value ? value : "";
    size_t n = strlen(label);
    return strncmp(label, value, n) == 0 && (value[n] == '\0' || n == KT_METRICS_LABEL - 1);
}

static void observe(struct kt_m_histogram *h, const double *bounds, double value)
{
    size_t i = 0;
    while (i < KT_M_BUCKETS && value > bounds[i])
        i++;
    h->bucket[i]++;
    h->count++;
    h->sum += value;
}

static void count_request(struct kt_metrics *m, const struct kt_event *e)
{
    size_t i = 0;
    while (i < m->request_count &&
           !(m->requests[i].status == e->status && same(m->requests[i].target, e->target) &&
             same(m->requests[i].model, e->upstream_model) && same(m->requests[i].verdict, e->verdict)))
        i++;
    if (i == m->request_count && i < KT_METRICS_MAX_REQUESTS) {
        bool last = ++m->request_count == KT_METRICS_MAX_REQUESTS;
        m->requests[i].status = last ? 0 : e->status;
        put(m->requests[i].target, sizeof m->requests[i].target, last ? "other" : e->target);
        put(m->requests[i].model, sizeof m->requests[i].model, last ? "other" : e->upstream_model);
        put(m->requests[i].verdict, sizeof m->requests[i].verdict, last ? "other" : e->verdict);
    }
    m->requests[i < KT_METRICS_MAX_REQUESTS ? i : KT_METRICS_MAX_REQUESTS - 1].count++;
}

static struct kt_m_target *target_of(struct kt_metrics *m, const char *name)
{
    for (size_t i = 0; i < m->target_count; i++)
        if (same(m->targets[i].target, name))
            return &m->targets[i];
    if (m->target_count == KT_METRICS_MAX_TARGETS)
        return &m->targets[KT_METRICS_MAX_TARGETS - 1];
    struct kt_m_target *t = &m->targets[m->target_count++];
    put(t->target, sizeof t->target, m->target_count == KT_METRICS_MAX_TARGETS ? "other" : name);
    return t;
}

static enum kt_m_outcome outcome_of(const char *word)
{
    if (!word || strcmp(word, "ok") == 0)
        return KT_M_OK;
    return strcmp(word, "unavailable") == 0 || strcmp(word, "excluded") == 0 ? KT_M_SKIPPED : KT_M_FAILED;
}

static void count_target(struct kt_metrics *m, const struct kt_seen *seen)
{
    const struct kt_event *e = seen->event;
    for (size_t i = 0; i < e->attempt_count; i++)
        target_of(m, e->attempts[i].target)->attempts[outcome_of(e->attempts[i].outcome)]++;
    struct kt_m_target *t = target_of(m, e->target);
    observe(&t->latency, kt_m_seconds, (double)seen->latency_ns / 1e9);
    if (seen->ttft_ns)
        observe(&t->ttft, kt_m_seconds, (double)seen->ttft_ns / 1e9);
    if (e->usage.known) {
        t->tokens_in += (uint64_t)(e->usage.prompt_tokens > 0 ? e->usage.prompt_tokens : 0);
        t->tokens_out += (uint64_t)(e->usage.completion_tokens > 0 ? e->usage.completion_tokens : 0);
        t->tokens_cached += (uint64_t)(e->usage.cached_tokens > 0 ? e->usage.cached_tokens : 0);
    }
    if (e->cost_usd > 0)
        t->cost += e->cost_usd;
}

static struct kt_m_policy *policy_of(struct kt_metrics *m, const char *kind, const char *phase)
{
    for (size_t i = 0; i < m->policy_count; i++)
        if (same(m->policies[i].kind, kind) && same(m->policies[i].phase, phase))
            return &m->policies[i];
    if (m->policy_count == KT_METRICS_MAX_POLICIES)
        return &m->policies[KT_METRICS_MAX_POLICIES - 1];
    struct kt_m_policy *p = &m->policies[m->policy_count++];
    bool last = m->policy_count == KT_METRICS_MAX_POLICIES;
    put(p->kind, sizeof p->kind, last ? "other" : kind);
    put(p->phase, sizeof p->phase, last ? "other" : phase);
    return p;
}

static void count_policies(struct kt_metrics *m, const struct kt_event *e)
{
    for (size_t i = 0; e->policies && i < e->policy_count; i++) {
        const struct kt_event_policy *in = &e->policies[i];
        struct kt_m_policy *p = policy_of(m, in->kind, in->phase);
        const char *v = in->verdict ? in->verdict : "";
        uint64_t *n = strcmp(v, "allow") == 0      ? &p->allow
                      : strcmp(v, "warn") == 0     ? &p->warn
                      : strcmp(v, "redact") == 0   ? &p->redact
                      : strcmp(v, "escalate") == 0 ? &p->escalate
                      : strcmp(v, "block") == 0    ? &p->block
                                                   : &p->other;
        ++*n;
        p->time_us += in->time_us;
    }
}

void kt_metrics_exchange(void *metrics, const struct kt_seen *seen)
{
    struct kt_metrics *m = metrics;
    pthread_mutex_lock(&m->lock);
    count_request(m, seen->event);
    count_target(m, seen);
    count_policies(m, seen->event);
    observe(&m->overhead, kt_m_overhead, (double)seen->event->overhead_us / 1e6);
    m->written += seen->written;
    m->lost += seen->lost;
    m->unwanted += !seen->written && !seen->lost;
    pthread_mutex_unlock(&m->lock);
}
