/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/telemetry/kt_otlp_way.h"

#include "policyengine/base/kt_log.h"

#include <stdio.h>
#include <string.h>

#ifndef KT_VERSION
#define KT_VERSION "0"
#endif
#define NS_PER_MS 1000000ull

static void on_timer(void *way);

void kt_otlp_way_free(struct kt_otlp_way *w)
{
    kt_loop_timer_set(w->loop, &w->timer, 0);
    if (w->call)
        kt_call_cancel(w->call);
    w->call = NULL;
    kt_buf_free(&w->sending);
}

static void arm(struct kt_otlp_way *w)
{
    if (w->call || !w->due || w->timer.due_ns)
        return;
    uint64_t now = kt_now_mono_ns();
    w->timer.fn = on_timer;
    w->timer.arg = w;
    kt_loop_timer_set(w->loop, &w->timer, w->next_ns > now ? w->next_ns : now);
}

static void on_head(void *way, const struct kt_call_head *head)
{
    ((struct kt_otlp_way *)way)->status = head->status;
}

static void on_data(void *way, const char *data, size_t len)
{
    (void)way, (void)data, (void)len;
}

static void lost(struct kt_otlp_way *w, const char *why)
{
    atomic_fetch_add(&w->dropped, w->sending_count);
    kt_warn("telemetry: %zu %s were lost: %s", w->sending_count, w->what, why);
}

static void on_done(void *way, enum kt_call_outcome outcome, const char *detail)
{
    struct kt_otlp_way *w = way;
    char why[160];
    const char *says = kt_call_library_says(w->call);
    w->call = NULL;
    if (outcome != KT_CALL_OK) {
        snprintf(why, sizeof why, "%s: %.120s", kt_call_outcome_name(outcome), *says ? says : detail);
        lost(w, why);
    } else if (w->status < 200 || w->status >= 300) {
        snprintf(why, sizeof why, "the collector answered %d", w->status);
        lost(w, why);
    }
    kt_buf_clear(&w->sending);
    arm(w);
}

static kt_result launch(struct kt_otlp_way *w)
{
    static const struct kt_call_header headers[] = {{"Content-Type", "application/json"},
                                                    {"User-Agent", "ktwrap/" KT_VERSION}};
    kt_buf_clear(&w->sending);
    KT_GUARD(w->compose(w->arg, &w->sending));
    const struct kt_call_request q = {.method = "POST",
                                      .url = w->url,
                                      .headers = headers,
                                      .header_count = KT_COUNT(headers),
                                      .body = kt_buf_span(&w->sending),
                                      .connect_ms = KT_OTLP_TIMEOUT_MS,
                                      .total_ms = KT_OTLP_TIMEOUT_MS};
    const struct kt_call_handler h = {on_head, on_data, on_done, w};
    w->status = 0;
    return kt_upstream_call(w->upstream, &q, &h, &w->call);
}

static void on_timer(void *way)
{
    struct kt_otlp_way *w = way;
    w->next_ns = kt_now_mono_ns() + KT_OTLP_EVERY_MS * NS_PER_MS;
    w->sending_count = w->due;
    w->due = 0;
    kt_result r = launch(w);
    if (r.code != KT_OK)
        lost(w, kt_code_name(r.code));
}

void kt_otlp_way_due(struct kt_otlp_way *w, const char *endpoint)
{
    size_t n = strlen(endpoint);
    snprintf(w->url, sizeof w->url, "%s%s%s", endpoint, n && endpoint[n - 1] == '/' ? "" : "/", w->path);
    w->due++;
    arm(w);
}
