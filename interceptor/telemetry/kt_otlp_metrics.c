/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client metrics of OpenTelemetry's conventions for generative AI. Each export holds what came since the
 * one before (delta): processes come and go, and their sums are the collector's to make. Series are bounded;
 * what comes beyond is counted in one that says otel.metric.overflow.
 */
#include "interceptor/telemetry/kt_otlp_metrics.h"
#include "interceptor/telemetry/kt_otlp_way.h"
#include "policyengine/config/kt_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABEL 96
#define BUCKETS 14

struct histogram {
    uint64_t bucket[BUCKETS + 1]; /* not cumulative */
    uint64_t count;
    double sum;
};

struct series {
    const char *operation; /* static */
    char provider[LABEL], model[LABEL], error[LABEL];
    struct histogram duration, first_chunk, input, output;
};

struct kt_otlp_metrics {
    struct series series[KT_OTLP_SERIES];
    size_t count;
    uint64_t since_ns;
};

static const double seconds[BUCKETS] = {0.01, 0.02, 0.04, 0.08,  0.16,  0.32,  0.64,
                                        1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92};
static const double tokens[BUCKETS] = {1,     4,     16,     64,      256,     1024,     4096,
                                       16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864};

kt_result kt_otlp_metrics_new(struct kt_otlp_metrics **out)
{
    *out = calloc(1, sizeof **out);
    KT_ENSURE(*out, KT_ERR_MEMORY);
    (*out)->since_ns = kt_now_real_ns();
    return kt_ok();
}

void kt_otlp_metrics_free(struct kt_otlp_metrics *m)
{
    free(m);
}

static void observe(struct histogram *h, const double bounds[BUCKETS], double value)
{
    size_t i = 0;
    while (i < BUCKETS && value > bounds[i])
        i++;
    h->bucket[i]++;
    h->count++;
    h->sum += value;
}

static bool same(const char *label, const char *value)
{
    return strncmp(label, value, LABEL - 1) == 0;
}

static void put(char label[LABEL], const char *value)
{
    size_t n = strnlen(value, LABEL - 1);
    memcpy(label, value, n);
    label[n] = '\0';
}

/* The last place is for all that found none. */
static struct series *series_of(struct kt_otlp_metrics *m, const struct kt_event *e, const char *error)
{
    const char *operation = kt_otlp_operation(e), *provider = kt_otlp_provider(e), *model = e->model;
    provider = provider ? provider : "";
    model = model ? model : "";
    for (size_t i = 0; i < m->count; i++) {
        struct series *s = &m->series[i];
        if (s->operation == operation && same(s->model, model) && same(s->error, error) &&
            same(s->provider, provider))
            return s;
    }
    if (m->count == KT_OTLP_SERIES)
        return &m->series[KT_OTLP_SERIES - 1];
    struct series *s = &m->series[m->count++];
    if (m->count == KT_OTLP_SERIES)
        return s;
    s->operation = operation;
    put(s->provider, provider);
    put(s->model, model);
    put(s->error, error);
    return s;
}

void kt_otlp_metrics_add(struct kt_otlp_metrics *m, const struct kt_seen *seen)
{
    const struct kt_event *e = seen->event;
    char status[16] = "";
    if (kt_otlp_failed(e) && !e->error)
        snprintf(status, sizeof status, "%d", e->status);
    const char *error = e->error ? e->error : status;
    observe(&series_of(m, e, error)->duration, seconds, (double)seen->latency_ns / 1e9);
    if (!seen->ttft_ns && !e->usage.known)
        return;
    struct series *s = series_of(m, e, ""); /* the others carry no error.type */
    if (seen->ttft_ns)
        observe(&s->first_chunk, seconds, (double)seen->ttft_ns / 1e9);
    if (e->usage.known) {
        observe(&s->input, tokens, (double)e->usage.prompt_tokens);
        observe(&s->output, tokens, (double)e->usage.completion_tokens);
    }
}

/* ---- out ---- */

static kt_result attributes(struct kt_buf *out, const struct series *s, const char *token_type)
{
    KT_GUARD(kt_buf_puts(out, "\"attributes\":["));
    if (!s->operation) {
        KT_GUARD(kt_buf_puts(out, "{\"key\":\"otel.metric.overflow\",\"value\":{\"boolValue\":true}}"));
    } else {
        KT_GUARD(kt_otlp_text(out, "gen_ai.operation.name", s->operation));
        KT_GUARD(kt_otlp_text(out, "gen_ai.provider.name", s->provider));
        KT_GUARD(kt_otlp_text(out, "gen_ai.request.model", s->model));
        KT_GUARD(kt_otlp_text(out, "error.type", token_type ? NULL : s->error));
    }
    KT_GUARD(kt_otlp_text(out, "gen_ai.token.type", token_type));
    return kt_buf_puts(out, "]");
}

static kt_result point(struct kt_buf *out, const struct kt_otlp_metrics *m, const struct series *s,
                       const struct histogram *h, const double bounds[BUCKETS], const char *token_type)
{
    if (!h->count)
        return kt_ok();
    bool first = out->data[out->len - 1] == '[';
    char number[32];
    kt_format_float(h->sum, number); /* printf follows the program's locale */
    KT_GUARD(kt_buf_puts(out, first ? "{" : ",{"));
    KT_GUARD(attributes(out, s, token_type));
    KT_GUARD(kt_buf_printf(out,
                           ",\"startTimeUnixNano\":\"%llu\",\"timeUnixNano\":\"%llu\",\"count\":\"%llu\","
                           "\"sum\":%s,\"bucketCounts\":[",
                           (unsigned long long)m->since_ns, (unsigned long long)kt_now_real_ns(),
                           (unsigned long long)h->count, number));
    for (size_t i = 0; i <= BUCKETS; i++)
        KT_GUARD(kt_buf_printf(out, "%s\"%llu\"", i ? "," : "", (unsigned long long)h->bucket[i]));
    KT_GUARD(kt_buf_puts(out, "],\"explicitBounds\":["));
    for (size_t i = 0; i < BUCKETS; i++) {
        kt_format_float(bounds[i], number);
        KT_GUARD(kt_buf_printf(out, "%s%s", i ? "," : "", number));
    }
    return kt_buf_puts(out, "]}");
}

static kt_result open_metric(struct kt_buf *out, const char *name, const char *unit, const char *what)
{
    bool first = out->data[out->len - 1] == '[';
    return kt_buf_printf(out,
                         "%s{\"name\":\"%s\",\"unit\":\"%s\",\"description\":\"%s\",\"histogram\":{"
                         "\"aggregationTemporality\":1,\"dataPoints\":[",
                         first ? "" : ",", name, unit, what);
}

static kt_result points(struct kt_buf *out, const struct kt_otlp_metrics *m)
{
    static const char end[] = "]}}";
    KT_GUARD(open_metric(out, "gen_ai.client.token.usage", "{token}",
                         "Tokens of a call, as its target counts them"));
    for (size_t i = 0; i < m->count; i++) {
        const struct series *s = &m->series[i];
        KT_GUARD(point(out, m, s, &s->input, tokens, "input"));
        KT_GUARD(point(out, m, s, &s->output, tokens, "output"));
    }
    KT_GUARD(kt_buf_puts(out, end));
    KT_GUARD(open_metric(out, "gen_ai.client.operation.duration", "s", "From request to answer"));
    for (size_t i = 0; i < m->count; i++)
        KT_GUARD(point(out, m, &m->series[i], &m->series[i].duration, seconds, NULL));
    KT_GUARD(kt_buf_puts(out, end));
    KT_GUARD(open_metric(out, "gen_ai.client.operation.time_to_first_chunk", "s",
                         "Of streams: from request to the first byte to the client"));
    for (size_t i = 0; i < m->count; i++)
        KT_GUARD(point(out, m, &m->series[i], &m->series[i].first_chunk, seconds, NULL));
    return kt_buf_puts(out, end);
}

kt_result kt_otlp_metrics_write(struct kt_otlp_metrics *m, const char *service, struct kt_buf *out)
{
    kt_result r = kt_otlp_open(out, "resourceMetrics", "scopeMetrics", "metrics", service);
    if (r.code == KT_OK)
        r = points(out, m);
    if (r.code == KT_OK)
        r = kt_otlp_close(out);
    memset(m, 0, sizeof *m); /* lost where it did not fit: never counted twice */
    m->since_ns = kt_now_real_ns();
    return r;
}
