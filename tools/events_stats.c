/* SPDX-License-Identifier: Apache-2.0 */
/* kt events stats: one pass over the log, bounded memory. */
#include "tools/events_stats.h"
#include "tools/events.h"

#include <cjson/cJSON.h>
#include <string.h>

const struct events_by events_by[BY_COUNT] = {
    [BY_TYPE] = {"event_type", "type", false},      [BY_VERDICT] = {"verdict", "verdict", false},
    [BY_REASON] = {"reason_code", "reason", false}, [BY_POLICY] = {"policy", "policy (ran, acted)", true},
    [BY_MODEL] = {"model", "model", false},         [BY_TARGET] = {"target", "target", false},
    [BY_EXE] = {"exe", "program", false},
};

static void count(struct events_sums *s, int by, const char *name, bool acted)
{
    if (name && tally_add(s->by[by], name, acted).code != KT_OK)
        s->out_of_memory = true;
}

/* A policy counts once per event however many phases it ran in; it acted where one of them found or decided
 * something. Chains are short: the pairs do not matter. */
static void count_policies(struct events_sums *s, const cJSON *event)
{
    const cJSON *all = cJSON_GetObjectItemCaseSensitive(event, "policies"), *p, *q;
    unsigned seen = 0;
    cJSON_ArrayForEach(p, all)
    {
        const char *kind = events_text(p, "kind");
        bool acted = false, first = true;
        if (!kind || !events_looked(p) || seen++ >= 64)
            continue;
        cJSON_ArrayForEach(q, all)
        {
            const char *other = events_text(q, "kind");
            if (!other || strcmp(other, kind) != 0 || !events_looked(q))
                continue;
            if (first && q != p)
                break; /* counted with the earlier one */
            first = false;
            acted = acted || events_acted(q);
        }
        if (!first)
            count(s, BY_POLICY, kind, acted);
    }
}

static uint64_t whole(double number)
{
    return number > 0 && number < 9e15 ? (uint64_t)number : 0;
}

static void add_usage(struct events_sums *s, const cJSON *event)
{
    const cJSON *usage = cJSON_GetObjectItemCaseSensitive(event, "usage");
    double cost = events_number(event, "cost_usd");
    s->with_usage += cJSON_IsObject(usage);
    s->prompt_tokens += whole(events_number(usage, "prompt_tokens"));
    s->completion_tokens += whole(events_number(usage, "completion_tokens"));
    s->total_tokens += whole(events_number(usage, "total_tokens"));
    s->cached_tokens += whole(events_number(usage, "cached_tokens"));
    if (cost >= 0 && cost < 1e9) {
        s->cost_usd += cost;
        s->with_cost++;
    }
}

/* By the clock of the events, not by their order: long exchanges are written late. */
static void add_time(struct events_sums *s, const char *when)
{
    if (!when || strlen(when) != sizeof s->first - 1)
        return;
    if (!s->first[0] || strcmp(when, s->first) < 0)
        memcpy(s->first, when, sizeof s->first);
    if (strcmp(when, s->last) > 0)
        memcpy(s->last, when, sizeof s->last);
}

void events_sums_add(struct events_sums *s, const cJSON *event)
{
    const cJSON *app = cJSON_GetObjectItemCaseSensitive(event, "app");
    double latency = events_number(event, "latency_ms");
    int attempts = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(event, "attempts"));
    s->events++;
    count(s, BY_TYPE, events_text(event, "event_type"), false);
    count(s, BY_VERDICT, events_text(event, "verdict"), false);
    count(s, BY_REASON, events_text(event, "reason_code"), false);
    count(s, BY_MODEL, events_text(event, "model"), false);
    count(s, BY_TARGET, events_text(event, "target"), false);
    count(s, BY_EXE, events_text(app, "exe"), false);
    count_policies(s, event);
    add_usage(s, event);
    add_time(s, events_text(event, "timestamp"));
    if (latency >= 0 && latency < 9e15)
        spread_add(&s->latency, whole(latency));
    s->attempts += (uint64_t)attempts;
    s->retried += attempts > 1;
}

bool events_sums_init(struct events_sums *s)
{
    memset(s, 0, sizeof *s);
    for (int i = 0; i < BY_COUNT; i++)
        if (!(s->by[i] = tally_new()))
            s->out_of_memory = true;
    return !s->out_of_memory;
}

void events_sums_done(struct events_sums *s)
{
    for (int i = 0; i < BY_COUNT; i++)
        tally_sort(s->by[i]);
}

void events_sums_free(struct events_sums *s)
{
    for (int i = 0; i < BY_COUNT; i++)
        tally_free(s->by[i]);
}

static bool add_event(void *arg, struct kt_span line, const cJSON *event)
{
    struct events_sums *s = arg;
    (void)line;
    events_sums_add(s, event);
    return !s->out_of_memory;
}

static int out_of_memory(void)
{
    fputs("kt events: out of memory\n", stderr);
    return KT_EXIT_USAGE;
}

int events_stats(const struct events_options *o)
{
    if (o->prometheus)
        return events_prometheus(o);
    KT_CLEANUP(events_sums_free) struct events_sums s;
    KT_CLEANUP(kt_buf_free) struct kt_buf out = KT_BUF_INIT(EVENTS_STATS_MAX);
    if (!events_sums_init(&s))
        return out_of_memory();
    kt_result r = events_walk(o, add_event, &s, &s.skipped);
    if (r.code != KT_OK && r.code != KT_ERR_NOTFOUND)
        return events_walk_failed(o, r);
    events_sums_done(&s);
    r = o->json ? events_stats_json(&s, &out) : events_stats_text(&s, &out);
    if (s.out_of_memory || r.code != KT_OK)
        return out_of_memory();
    fwrite(out.data, 1, out.len, stdout);
    if (s.skipped)
        fprintf(stderr, "kt events: %llu lines are no events; 'kt events verify' names the first\n",
                (unsigned long long)s.skipped);
    return KT_EXIT_OK; /* of stdout: kt.c */
}
