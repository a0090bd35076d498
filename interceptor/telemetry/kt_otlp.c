/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of spans and its way out. */
#include "interceptor/telemetry/kt_otlp.h"

#include "policyengine/base/kt_log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef KT_VERSION
#define KT_VERSION "0"
#endif
#define NS_PER_MS 1000000ull
#define URL_MAX 2048

struct kt_otlp {
    struct kt_loop *loop;
    struct kt_upstream *upstream;
    char url[URL_MAX];
    struct kt_buf spans; /* JSON objects, separated by commas */
    size_t count;
    char service[128];
    struct kt_buf sending; /* as long as the call lives */
    size_t sending_count;
    int status;
    struct kt_call *call;
    struct kt_timer timer;
    uint64_t next_ns;
    atomic_ullong dropped;
};

static void on_timer(void *otlp);

kt_result kt_otlp_new(struct kt_loop *loop, struct kt_upstream *upstream, struct kt_otlp **out)
{
    struct kt_otlp *o = calloc(1, sizeof *o);
    KT_ENSURE(o, KT_ERR_MEMORY);
    o->loop = loop;
    o->upstream = upstream;
    o->spans.max = KT_OTLP_QUEUE_BYTES;
    o->sending.max = KT_OTLP_QUEUE_BYTES + 4096u;
    o->timer.fn = on_timer;
    o->timer.arg = o;
    *out = o;
    return kt_ok();
}

void kt_otlp_free(struct kt_otlp *o)
{
    if (!o)
        return;
    kt_loop_timer_set(o->loop, &o->timer, 0);
    if (o->call)
        kt_call_cancel(o->call);
    kt_buf_free(&o->spans);
    kt_buf_free(&o->sending);
    free(o);
}

uint64_t kt_otlp_dropped(const struct kt_otlp *o)
{
    return atomic_load(&o->dropped);
}

/* ---- out ---- */

static void arm(struct kt_otlp *o)
{
    if (o->call || !o->count || o->timer.due_ns)
        return;
    uint64_t now = kt_now_mono_ns();
    kt_loop_timer_set(o->loop, &o->timer, o->next_ns > now ? o->next_ns : now);
}

static void on_head(void *otlp, const struct kt_call_head *head)
{
    ((struct kt_otlp *)otlp)->status = head->status;
}

static void on_data(void *otlp, const char *data, size_t len)
{
    (void)otlp, (void)data, (void)len;
}

static void lost(struct kt_otlp *o, size_t n, const char *why)
{
    atomic_fetch_add(&o->dropped, n);
    kt_warn("telemetry: %zu spans were lost: %s", n, why);
}

static void on_done(void *otlp, enum kt_call_outcome outcome, const char *detail)
{
    struct kt_otlp *o = otlp;
    char why[160];
    o->call = NULL;
    if (outcome != KT_CALL_OK) {
        snprintf(why, sizeof why, "%s: %.120s", kt_call_outcome_name(outcome), detail);
        lost(o, o->sending_count, why);
    } else if (o->status < 200 || o->status >= 300) {
        snprintf(why, sizeof why, "the collector answered %d", o->status);
        lost(o, o->sending_count, why);
    }
    kt_buf_clear(&o->sending);
    arm(o);
}

static kt_result compose(struct kt_otlp *o)
{
    kt_buf_clear(&o->sending);
    KT_GUARD(kt_buf_puts(&o->sending,
                         "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\","
                         "\"value\":{\"stringValue\":\""));
    KT_GUARD(kt_event_text(&o->sending, o->service, strlen(o->service)));
    KT_GUARD(kt_buf_puts(&o->sending,
                         "\"}}]},\"scopeSpans\":[{\"scope\":{\"name\":\"ktwrap\",\"version\":\"" KT_VERSION
                         "\"},\"spans\":["));
    KT_GUARD(kt_buf_append(&o->sending, o->spans.data, o->spans.len));
    return kt_buf_puts(&o->sending, "]}]}]}");
}

static kt_result launch(struct kt_otlp *o)
{
    static const struct kt_call_header headers[] = {{"Content-Type", "application/json"},
                                                    {"User-Agent", "ktwrap/" KT_VERSION}};
    KT_GUARD(compose(o));
    const struct kt_call_request q = {.method = "POST",
                                      .url = o->url,
                                      .headers = headers,
                                      .header_count = KT_COUNT(headers),
                                      .body = kt_buf_span(&o->sending),
                                      .connect_ms = KT_OTLP_TIMEOUT_MS,
                                      .total_ms = KT_OTLP_TIMEOUT_MS};
    const struct kt_call_handler h = {on_head, on_data, on_done, o};
    o->status = 0;
    return kt_upstream_call(o->upstream, &q, &h, &o->call);
}

static void on_timer(void *otlp)
{
    struct kt_otlp *o = otlp;
    o->next_ns = kt_now_mono_ns() + KT_OTLP_EVERY_MS * NS_PER_MS;
    o->sending_count = o->count;
    kt_result r = launch(o);
    if (r.code != KT_OK)
        lost(o, o->count, kt_code_name(r.code));
    kt_buf_clear(&o->spans);
    o->count = 0;
}

/* ---- in ---- */

static bool take(struct kt_otlp *o, const struct kt_seen *seen)
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

void kt_otlp_exchange(void *otlp, const struct kt_seen *seen)
{
    struct kt_otlp *o = otlp;
    if (!o || !seen->otlp_endpoint || !*seen->otlp_endpoint)
        return;
    if (!kt_loop_in_thread(o->loop) || strlen(seen->otlp_endpoint) + sizeof "/v1/traces" > sizeof o->url ||
        !take(o, seen)) {
        atomic_fetch_add(&o->dropped, 1);
        return;
    }
    size_t n = strlen(seen->otlp_endpoint);
    bool slash = seen->otlp_endpoint[n - 1] == '/';
    snprintf(o->url, sizeof o->url, "%s%sv1/traces", seen->otlp_endpoint, slash ? "" : "/");
    snprintf(o->service, sizeof o->service, "%s", seen->service_name ? seen->service_name : "ktwrap");
    o->count++;
    arm(o);
}
