/* SPDX-License-Identifier: Apache-2.0 */
/* An exchange as a span, and the words that spans and metrics share. */
#include "interceptor/telemetry/kt_otlp_way.h"
#include "policyengine/config/kt_read.h"

#include <string.h>

#ifndef KT_VERSION
#define KT_VERSION "0"
#endif
#define SPAN_KIND_CLIENT 3
#define STATUS_ERROR 2

static kt_result key(struct kt_buf *out, const char *name)
{
    bool first = out->len && out->data[out->len - 1] == '[';
    return kt_buf_printf(out, "%s{\"key\":\"%s\",\"value\":", first ? "" : ",", name);
}

kt_result kt_otlp_text(struct kt_buf *out, const char *name, const char *value)
{
    if (!value || !*value)
        return kt_ok();
    KT_GUARD(key(out, name));
    KT_GUARD(kt_buf_puts(out, "{\"stringValue\":\""));
    KT_GUARD(kt_event_text(out, value, strlen(value)));
    return kt_buf_puts(out, "\"}}");
}

/* 64-bit numbers are strings in OTLP's JSON. */
static kt_result put_int(struct kt_buf *out, const char *name, int64_t value)
{
    KT_GUARD(key(out, name));
    return kt_buf_printf(out, "{\"intValue\":\"%lld\"}}", (long long)value);
}

static kt_result put_double(struct kt_buf *out, const char *name, double value)
{
    char number[32];
    kt_format_float(value, number); /* printf follows the program's locale */
    KT_GUARD(key(out, name));
    return kt_buf_printf(out, "{\"doubleValue\":%s}}", number);
}

static kt_result put_bool(struct kt_buf *out, const char *name, bool value)
{
    KT_GUARD(key(out, name));
    return kt_buf_printf(out, "{\"boolValue\":%s}}", value ? "true" : "false");
}

static bool ends_in(const char *path, const char *tail)
{
    size_t n = path ? strlen(path) : 0, m = strlen(tail);
    return n >= m && strcmp(path + n - m, tail) == 0;
}

const char *kt_otlp_operation(const struct kt_event *e)
{
    if (ends_in(e->path, "/embeddings"))
        return "embeddings";
    if (ends_in(e->path, "/chat/completions"))
        return "chat";
    return ends_in(e->path, "/completions") ? "text_completion" : "other";
}

/* The conventions' names, where they differ from ours. */
const char *kt_otlp_provider(const struct kt_event *e)
{
    if (e->provider && strcmp(e->provider, "mistral") == 0)
        return "mistral_ai";
    return e->provider;
}

bool kt_otlp_failed(const struct kt_event *e)
{
    return e->status >= 400 || e->status == 0 || e->error;
}

kt_result kt_otlp_error_type(struct kt_buf *out, const struct kt_event *e)
{
    if (!kt_otlp_failed(e))
        return kt_ok();
    if (e->error)
        return kt_otlp_text(out, "error.type", e->error);
    KT_GUARD(key(out, "error.type"));
    return kt_buf_printf(out, "{\"stringValue\":\"%d\"}}", e->status);
}

static kt_result usage(struct kt_buf *out, const struct kt_event *e)
{
    if (!e->usage.known)
        return kt_ok();
    KT_GUARD(put_int(out, "gen_ai.usage.input_tokens", e->usage.prompt_tokens));
    KT_GUARD(put_int(out, "gen_ai.usage.output_tokens", e->usage.completion_tokens));
    if (e->usage.cached_tokens > 0)
        KT_GUARD(put_int(out, "gen_ai.usage.cache_read.input_tokens", e->usage.cached_tokens));
    return e->cost_usd >= 0 ? put_double(out, "kt.cost_usd", e->cost_usd) : kt_ok();
}

static kt_result attributes(struct kt_buf *out, const struct kt_seen *seen)
{
    const struct kt_event *e = seen->event;
    KT_GUARD(kt_otlp_text(out, "gen_ai.operation.name", kt_otlp_operation(e)));
    KT_GUARD(kt_otlp_text(out, "gen_ai.provider.name", kt_otlp_provider(e)));
    KT_GUARD(kt_otlp_text(out, "gen_ai.request.model", e->model));
    KT_GUARD(put_bool(out, "gen_ai.request.stream", e->stream));
    KT_GUARD(kt_otlp_text(out, "kt.upstream_model", e->upstream_model));
    if (seen->ttft_ns)
        KT_GUARD(put_double(out, "gen_ai.response.time_to_first_chunk", (double)seen->ttft_ns / 1e9));
    KT_GUARD(usage(out, e));
    KT_GUARD(kt_otlp_error_type(out, e));
    if (e->status)
        KT_GUARD(put_int(out, "http.response.status_code", e->status));
    KT_GUARD(kt_otlp_text(out, "kt.event_id", e->id));
    KT_GUARD(kt_otlp_text(out, "kt.verdict", e->verdict));
    KT_GUARD(kt_otlp_text(out, "kt.reason_code", e->reason_code));
    KT_GUARD(kt_otlp_text(out, "kt.target", e->target));
    KT_GUARD(kt_otlp_text(out, "kt.origin", e->origin));
    KT_GUARD(kt_otlp_text(out, "kt.lane", e->lane));
    KT_GUARD(put_int(out, "kt.attempts", (int64_t)e->attempt_count));
    return put_double(out, "kt.overhead", (double)e->overhead_us / 1e6);
}

kt_result kt_otlp_span(struct kt_buf *out, const struct kt_seen *seen)
{
    const struct kt_event *e = seen->event;
    KT_GUARD(kt_buf_printf(out, "{\"traceId\":\"%s\",\"spanId\":\"%s\",", seen->trace->trace_id,
                           seen->trace->span_id));
    if (*seen->trace->parent_id)
        KT_GUARD(kt_buf_printf(out, "\"parentSpanId\":\"%s\",", seen->trace->parent_id));
    KT_GUARD(kt_buf_printf(out, "\"name\":\"%s", kt_otlp_operation(e)));
    if (e->model) {
        KT_GUARD(kt_buf_puts(out, " "));
        KT_GUARD(kt_event_text(out, e->model, strlen(e->model)));
    }
    KT_GUARD(kt_buf_printf(out,
                           "\",\"kind\":%d,\"startTimeUnixNano\":\"%llu\",\"endTimeUnixNano\":\"%llu\","
                           "\"attributes\":[",
                           SPAN_KIND_CLIENT, (unsigned long long)e->timestamp_ns,
                           (unsigned long long)(e->timestamp_ns + seen->latency_ns)));
    KT_GUARD(attributes(out, seen));
    return kt_buf_printf(out, "],\"status\":{\"code\":%d}}", kt_otlp_failed(e) ? STATUS_ERROR : 0);
}

kt_result kt_otlp_open(struct kt_buf *out, const char *resources, const char *scopes, const char *items,
                       const char *service)
{
    KT_GUARD(kt_buf_printf(out, "{\"%s\":[{\"resource\":{\"attributes\":[", resources));
    KT_GUARD(kt_otlp_text(out, "service.name", service));
    return kt_buf_printf(
        out, "]},\"%s\":[{\"scope\":{\"name\":\"ktwrap\",\"version\":\"" KT_VERSION "\"},\"%s\":[", scopes,
        items);
}

kt_result kt_otlp_close(struct kt_buf *out)
{
    return kt_buf_puts(out, "]}]}]}");
}
