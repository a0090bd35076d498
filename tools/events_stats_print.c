/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/audit/kt_event.h"
#include "tools/events.h"
#include "tools/events_stats.h"

#include <inttypes.h>
#include <string.h>

#define SHOWN 10 /* names per list on a terminal; --json has all */

/* ---- JSON ---- */

static kt_result json_item(struct kt_buf *out, const struct events_by *by, const struct tally_item *item,
                           bool first)
{
    const char *name = item->name ? item->name : "(other)";
    KT_GUARD(kt_buf_puts(out, first ? "{\"name\":\"" : ",{\"name\":\""));
    KT_GUARD(kt_event_text(out, name, strlen(name)));
    KT_GUARD(kt_buf_printf(out, "\",\"count\":%" PRIu64, item->count));
    if (by->acted)
        KT_GUARD(kt_buf_printf(out, ",\"acted\":%" PRIu64, item->acted));
    return kt_buf_puts(out, "}");
}

static kt_result json_list(struct kt_buf *out, const struct events_by *by, const struct tally *t)
{
    KT_GUARD(kt_buf_printf(out, ",\"by_%s\":[", by->json));
    for (size_t i = 0; i < t->count; i++)
        KT_GUARD(json_item(out, by, &t->items[i], i == 0));
    if (t->other.count)
        KT_GUARD(json_item(out, by, &t->other, t->count == 0));
    return kt_buf_puts(out, "]");
}

static kt_result json_time(struct kt_buf *out, const char *name, const char *when)
{
    KT_GUARD(kt_buf_printf(out, ",\"%s\":", name));
    if (!when[0])
        return kt_buf_puts(out, "null");
    KT_GUARD(kt_buf_puts(out, "\""));
    KT_GUARD(kt_event_text(out, when, strlen(when)));
    return kt_buf_puts(out, "\"");
}

kt_result events_stats_json(const struct events_sums *s, struct kt_buf *out)
{
    const struct spread *l = &s->latency;
    KT_GUARD(
        kt_buf_printf(out, "{\"events\":%" PRIu64 ",\"unreadable_lines\":%" PRIu64, s->events, s->skipped));
    KT_GUARD(json_time(out, "first", s->first));
    KT_GUARD(json_time(out, "last", s->last));
    KT_GUARD(kt_buf_printf(out,
                           ",\"tokens\":{\"events\":%" PRIu64 ",\"prompt\":%" PRIu64
                           ",\"completion\":%" PRIu64 ",\"total\":%" PRIu64 ",\"cached\":%" PRIu64 "}",
                           s->with_usage, s->prompt_tokens, s->completion_tokens, s->total_tokens,
                           s->cached_tokens));
    KT_GUARD(kt_buf_printf(out, ",\"cost_usd\":%.9f,\"cost_events\":%" PRIu64, s->cost_usd, s->with_cost));
    KT_GUARD(kt_buf_printf(out, ",\"attempts\":{\"total\":%" PRIu64 ",\"retried_events\":%" PRIu64 "}",
                           s->attempts, s->retried));
    KT_GUARD(kt_buf_printf(
        out,
        ",\"latency_ms\":{\"events\":%" PRIu64 ",\"min\":%" PRIu64 ",\"mean\":%.1f,\"p50\":%" PRIu64
        ",\"p95\":%" PRIu64 ",\"p99\":%" PRIu64 ",\"max\":%" PRIu64 "}",
        l->count, l->min, l->count ? (double)l->sum / (double)l->count : 0.0, spread_percentile(l, 50),
        spread_percentile(l, 95), spread_percentile(l, 99), l->max));
    for (int i = 0; i < BY_COUNT; i++)
        KT_GUARD(json_list(out, &events_by[i], s->by[i]));
    return kt_buf_puts(out, "}\n");
}

/* ---- for people ---- */

static kt_result text_item(struct kt_buf *out, const struct events_by *by, const char *name, uint64_t count,
                           uint64_t acted)
{
    KT_GUARD(kt_buf_printf(out, "  %10" PRIu64, count));
    if (by->acted)
        KT_GUARD(kt_buf_printf(out, " %10" PRIu64, acted));
    KT_GUARD(kt_buf_puts(out, "  "));
    KT_GUARD(events_safe_text(out, name));
    return kt_buf_puts(out, "\n");
}

static kt_result text_list(struct kt_buf *out, const struct events_by *by, const struct tally *t)
{
    uint64_t rest = t->other.count, acted = t->other.acted;
    if (t->count == 0)
        return kt_ok();
    KT_GUARD(kt_buf_printf(out, "\nby %s\n", by->title));
    for (size_t i = 0; i < t->count; i++) {
        const struct tally_item *item = &t->items[i];
        if (i < SHOWN) {
            KT_GUARD(text_item(out, by, item->name, item->count, item->acted));
            continue;
        }
        rest += item->count;
        acted += item->acted;
    }
    return rest ? text_item(out, by, "(other)", rest, acted) : kt_ok();
}

kt_result events_stats_text(const struct events_sums *s, struct kt_buf *out)
{
    const struct spread *l = &s->latency;
    KT_GUARD(kt_buf_printf(out, "events    %" PRIu64 "\n", s->events));
    if (s->first[0]) {
        KT_GUARD(kt_buf_puts(out, "from      "));
        KT_GUARD(events_safe_text(out, s->first));
        KT_GUARD(kt_buf_puts(out, "\nto        "));
        KT_GUARD(events_safe_text(out, s->last));
        KT_GUARD(kt_buf_puts(out, "\n"));
    }
    if (s->with_usage)
        KT_GUARD(kt_buf_printf(out,
                               "tokens    %" PRIu64 " (prompt %" PRIu64 ", completion %" PRIu64
                               ", cached %" PRIu64 ") in %" PRIu64 " events\n",
                               s->total_tokens, s->prompt_tokens, s->completion_tokens, s->cached_tokens,
                               s->with_usage));
    if (s->with_cost)
        KT_GUARD(kt_buf_printf(out, "cost      %.6f USD in %" PRIu64 " events\n", s->cost_usd, s->with_cost));
    if (l->count)
        KT_GUARD(kt_buf_printf(
            out, "latency   p50 %" PRIu64 " ms, p95 %" PRIu64 " ms, p99 %" PRIu64 " ms, max %" PRIu64 " ms\n",
            spread_percentile(l, 50), spread_percentile(l, 95), spread_percentile(l, 99), l->max));
    if (s->attempts)
        KT_GUARD(kt_buf_printf(out, "attempts  %" PRIu64 "; more than one in %" PRIu64 " events\n",
                               s->attempts, s->retried));
    for (int i = 0; i < BY_COUNT; i++)
        KT_GUARD(text_list(out, &events_by[i], s->by[i]));
    return kt_ok();
}
