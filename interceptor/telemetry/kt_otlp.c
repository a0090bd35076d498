/* SPDX-License-Identifier: Apache-2.0 */
/* What exchanges leave for a collector: spans, which queue, and numbers, which add up. */
#include "interceptor/telemetry/kt_otlp_metrics.h"
#include "interceptor/telemetry/kt_otlp_way.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kt_otlp {
    struct kt_loop *loop;
    struct kt_otlp_way traces, metrics;
    struct kt_buf spans;             /* JSON objects, separated by commas */
    struct kt_otlp_metrics *numbers; /* NULL before the first */
    char service[128];
};

static kt_result compose_spans(void *otlp, struct kt_buf *out)
{
    struct kt_otlp *o = otlp;
    kt_result r = kt_otlp_open(out, "resourceSpans", "scopeSpans", "spans", o->service);
    if (r.code == KT_OK)
        r = kt_buf_append(out, o->spans.data, o->spans.len);
    if (r.code == KT_OK)
        r = kt_otlp_close(out);
    kt_buf_clear(&o->spans);
    return r;
}

static kt_result compose_numbers(void *otlp, struct kt_buf *out)
{
    struct kt_otlp *o = otlp;
    return kt_otlp_metrics_write(o->numbers, o->service, out);
}

kt_result kt_otlp_new(struct kt_loop *loop, struct kt_upstream *upstream, struct kt_otlp **out)
{
    struct kt_otlp *o = calloc(1, sizeof *o);
    KT_ENSURE(o, KT_ERR_MEMORY);
    o->loop = loop;
    o->spans.max = KT_OTLP_QUEUE_BYTES;
    o->traces = (struct kt_otlp_way){.path = "v1/traces", .what = "spans", .compose = compose_spans};
    o->metrics =
        (struct kt_otlp_way){.path = "v1/metrics", .what = "measurements", .compose = compose_numbers};
    for (struct kt_otlp_way *w = &o->traces; w; w = w == &o->traces ? &o->metrics : NULL) {
        w->loop = loop;
        w->upstream = upstream;
        w->arg = o;
        w->sending.max = KT_OTLP_QUEUE_BYTES + 4096u;
    }
    *out = o;
    return kt_ok();
}

void kt_otlp_free(struct kt_otlp *o)
{
    if (!o)
        return;
    kt_otlp_way_free(&o->traces);
    kt_otlp_way_free(&o->metrics);
    kt_otlp_metrics_free(o->numbers);
    kt_buf_free(&o->spans);
    free(o);
}

uint64_t kt_otlp_dropped(const struct kt_otlp *o)
{
    return atomic_load(&o->traces.dropped);
}

static bool take_span(struct kt_otlp *o, const struct kt_seen *seen)
{
    size_t before = o->spans.len;
    bool fits =
        (!before || kt_buf_puts(&o->spans, ",").code == KT_OK) && kt_otlp_span(&o->spans, seen).code == KT_OK;
    if (!fits && o->spans.data) {
        o->spans.len = before;
        o->spans.data[before] = '\0';
    }
    return fits;
}

static bool take_numbers(struct kt_otlp *o, const struct kt_seen *seen)
{
    if (!o->numbers && kt_otlp_metrics_new(&o->numbers).code != KT_OK)
        return false;
    kt_otlp_metrics_add(o->numbers, seen);
    return true;
}

void kt_otlp_exchange(void *otlp, const struct kt_seen *seen)
{
    struct kt_otlp *o = otlp;
    const char *to = seen->otlp_endpoint;
    if (!o || !to || !*to)
        return;
    bool can = kt_loop_in_thread(o->loop) && strlen(to) + sizeof "/v1/metrics" <= KT_OTLP_URL_MAX;
    if (can)
        snprintf(o->service, sizeof o->service, "%s", seen->service_name ? seen->service_name : "ktwrap");
    if (can && take_span(o, seen))
        kt_otlp_way_due(&o->traces, to);
    else
        atomic_fetch_add(&o->traces.dropped, 1);
    if (can && take_numbers(o, seen))
        kt_otlp_way_due(&o->metrics, to);
}
