/* SPDX-License-Identifier: Apache-2.0 */
/* kt events stats --prometheus: the log as counters, for node_exporter's textfile collector. The names are
 * those of a gateway's /metrics, since the same code counts. */
#include "interceptor/telemetry/kt_metrics.h"
#include "tools/events.h"
#include "tools/kt_outfile.h"
#include "tools/tally.h"

#include <cjson/cJSON.h>
#include <string.h>
#include <sys/stat.h>

#define POLICIES_MAX 64
#define ATTEMPTS_MAX 64

struct counts {
    struct kt_metrics *metrics;
    struct tally *types;
    bool out_of_memory;
};

static int64_t whole(const cJSON *object, const char *member)
{
    double n = events_number(object, member);
    return n > 0 && n < 9e15 ? (int64_t)n : 0;
}

static void fill_policies(const cJSON *event, struct kt_event *e,
                          struct kt_event_policy policies[POLICIES_MAX])
{
    const cJSON *p;
    cJSON_ArrayForEach(p, cJSON_GetObjectItemCaseSensitive(event, "policies"))
    {
        if (e->policy_count == POLICIES_MAX || !events_text(p, "kind"))
            continue;
        policies[e->policy_count++] = (struct kt_event_policy){.kind = events_text(p, "kind"),
                                                               .phase = events_text(p, "phase"),
                                                               .verdict = events_text(p, "verdict"),
                                                               .time_us = (uint64_t)whole(p, "time_us")};
    }
    e->policies = policies;
}

static void fill_attempts(const cJSON *event, struct kt_event *e,
                          struct kt_event_attempt attempts[ATTEMPTS_MAX])
{
    const cJSON *a;
    cJSON_ArrayForEach(a, cJSON_GetObjectItemCaseSensitive(event, "attempts"))
    {
        if (e->attempt_count < ATTEMPTS_MAX)
            attempts[e->attempt_count++] = (struct kt_event_attempt){.target = events_text(a, "target"),
                                                                     .outcome = events_text(a, "outcome")};
    }
    e->attempts = attempts;
}

/* What the counters read of an event. */
static void count_call(struct counts *c, const cJSON *event)
{
    const cJSON *usage = cJSON_GetObjectItemCaseSensitive(event, "usage");
    struct kt_event_policy policies[POLICIES_MAX];
    struct kt_event_attempt attempts[ATTEMPTS_MAX];
    struct kt_event e = {.target = events_text(event, "target"),
                         .upstream_model = events_text(event, "upstream_model"),
                         .verdict = events_text(event, "verdict"),
                         .status = (int)whole(event, "status"),
                         .cost_usd = events_number(event, "cost_usd"),
                         .overhead_us = (uint64_t)whole(event, "overhead_us")};
    e.usage.known = cJSON_IsObject(usage);
    e.usage.prompt_tokens = whole(usage, "prompt_tokens");
    e.usage.completion_tokens = whole(usage, "completion_tokens");
    e.usage.cached_tokens = whole(usage, "cached_tokens");
    fill_policies(event, &e, policies);
    fill_attempts(event, &e, attempts);
    const struct kt_seen seen = {.event = &e,
                                 .latency_ns = (uint64_t)whole(event, "latency_ms") * 1000000u,
                                 .ttft_ns = (uint64_t)whole(event, "ttft_ms") * 1000000u,
                                 .written = true};
    kt_metrics_exchange(c->metrics, &seen);
}

static bool add(void *arg, struct kt_span line, const cJSON *event)
{
    struct counts *c = arg;
    const char *type = events_text(event, "event_type");
    (void)line;
    if (type && tally_add(c->types, type, false).code != KT_OK)
        c->out_of_memory = true;
    if (type && strcmp(type, "decision") == 0)
        count_call(c, event);
    return !c->out_of_memory;
}

static kt_result put_types(struct tally *types, struct kt_buf *out)
{
    KT_GUARD(kt_metrics_head(out, "kt_audit_events_total", "counter",
                             "Events of the audit log; calls that were not seen, distrusted certificates and "
                             "config errors among them."));
    tally_sort(types);
    for (size_t i = 0; i < types->count; i++) {
        KT_GUARD(kt_buf_puts(out, "kt_audit_events_total{"));
        KT_GUARD(kt_metrics_label(out, "event_type", types->items[i].name));
        KT_GUARD(kt_buf_printf(out, "} %llu\n", (unsigned long long)types->items[i].count));
    }
    return kt_ok();
}

struct text {
    const struct kt_buf *out;
    bool shared; /* node_exporter is another user */
};

static int put(void *arg, FILE *to)
{
    const struct text *t = arg;
    if (t->shared && fchmod(fileno(to), 0644) != 0) {
        perror("kt events: the file cannot be made readable for others");
        return KT_EXIT_USAGE;
    }
    fwrite(t->out->data, 1, t->out->len, to);
    return KT_EXIT_OK;
}

static int count_and_write(const struct events_options *o, struct counts *c)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf out = KT_BUF_INIT(2 * KT_METRICS_BYTES);
    uint64_t skipped = 0;
    kt_result r = events_walk(o, add, c, &skipped);
    if (r.code != KT_OK && r.code != KT_ERR_NOTFOUND)
        return events_walk_failed(o, r);
    r = kt_metrics_write(c->metrics, &out);
    if (r.code == KT_OK)
        r = put_types(c->types, &out);
    if (r.code != KT_OK || c->out_of_memory) {
        fputs("kt events: out of memory\n", stderr);
        return KT_EXIT_USAGE;
    }
    bool file = strcmp(o->prometheus, "-") != 0 && !kt_outfile_is_special(o->prometheus);
    struct text text = {&out, file};
    return kt_outfile_write(o->prometheus, put, &text, "events");
}

int events_prometheus(const struct events_options *o)
{
    struct counts c = {.types = tally_new()};
    int status = KT_EXIT_USAGE;
    if (c.types && kt_metrics_new(&c.metrics).code == KT_OK)
        status = count_and_write(o, &c);
    else
        fputs("kt events: out of memory\n", stderr);
    kt_metrics_free(c.metrics);
    tally_free(c.types);
    return status;
}
