/* SPDX-License-Identifier: Apache-2.0 */
/* The report as one JSON object; the page of --html shows the same one. */
#include "tools/report.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void add_rule(cJSON *tree, const struct report *r)
{
    cJSON *rule = cJSON_AddObjectToObject(tree, "rule"), *by = cJSON_CreateObject();
    cJSON *names = cJSON_AddArrayToObject(rule, "fail_on");
    for (unsigned i = 0; i < RULE_COUNT; i++) {
        if (!(r->rules >> i & 1))
            continue;
        cJSON_AddItemToArray(names, cJSON_CreateString(report_rule_names[i]));
        cJSON_AddNumberToObject(by, report_rule_names[i], (double)r->broken_by[i]);
    }
    cJSON_AddNumberToObject(rule, "broken", (double)r->broken);
    cJSON_AddItemToObject(rule, "broken_by", by);
}

static void add_filters(cJSON *tree, const struct events_options *o)
{
    const struct {
        const char *name, *value;
    } all[] = {{"since", o->since}, {"until", o->until},   {"verdict", o->verdict}, {"policy", o->policy},
               {"model", o->model}, {"target", o->target}, {"exe", o->exe},         {"run", o->run}};
    cJSON *filters = cJSON_AddObjectToObject(tree, "filters");
    for (size_t i = 0; i < KT_COUNT(all); i++)
        if (all[i].value && *all[i].value)
            cJSON_AddStringToObject(filters, all[i].name, all[i].value);
}

static cJSON *group(const struct report_group *g)
{
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "name", g->name ? g->name : "(other)");
    cJSON_AddNumberToObject(j, "calls", (double)g->calls);
    cJSON_AddNumberToObject(j, "blocked", (double)g->blocked);
    cJSON_AddNumberToObject(j, "redacted", (double)g->redacted);
    cJSON_AddNumberToObject(j, "failed", (double)g->failed);
    cJSON_AddNumberToObject(j, "retried", (double)g->retried);
    cJSON_AddNumberToObject(j, "tokens", (double)g->tokens);
    cJSON_AddNumberToObject(j, "cost_usd", g->cost_usd);
    cJSON_AddNumberToObject(j, "p50_ms", (double)spread_percentile(g->latency, 50));
    cJSON_AddNumberToObject(j, "p95_ms", (double)spread_percentile(g->latency, 95));
    cJSON_AddNumberToObject(j, "p99_ms", (double)spread_percentile(g->latency, 99));
    return j;
}

static void add_groups(cJSON *tree, const char *name, const struct report_groups *g)
{
    cJSON *list = cJSON_AddArrayToObject(tree, name);
    for (size_t i = 0; i < g->count; i++)
        cJSON_AddItemToArray(list, group(&g->items[i]));
    if (g->items[REPORT_GROUPS_MAX].latency)
        cJSON_AddItemToArray(list, group(&g->items[REPORT_GROUPS_MAX]));
}

static void add_policies(cJSON *tree, const struct report *r)
{
    cJSON *list = cJSON_AddArrayToObject(tree, "policies");
    for (size_t i = 0; i < r->policy_count; i++) {
        const struct report_policy *p = &r->policies[i];
        cJSON *j = cJSON_CreateObject();
        cJSON_AddStringToObject(j, "name", p->kind);
        cJSON_AddNumberToObject(j, "looked", (double)p->looked);
        cJSON_AddNumberToObject(j, "found", (double)p->found);
        cJSON_AddNumberToObject(j, "blocked", (double)p->blocked);
        cJSON_AddNumberToObject(j, "redacted", (double)p->redacted);
        cJSON_AddNumberToObject(j, "mean_us", p->looked ? (double)(p->time_us / p->looked) : 0);
        cJSON_AddItemToArray(list, j);
    }
}

static void add_attempts(cJSON *tree, const struct report *r)
{
    cJSON *list = cJSON_AddArrayToObject(tree, "attempts_by_outcome");
    for (size_t i = 0; i <= r->attempts->count; i++) {
        const struct tally_item *t = i < r->attempts->count ? &r->attempts->items[i] : &r->attempts->other;
        if (t->count == 0)
            continue;
        cJSON *j = cJSON_CreateObject();
        cJSON_AddStringToObject(j, "name", t->name ? t->name : "(other)");
        cJSON_AddNumberToObject(j, "count", (double)t->count);
        cJSON_AddItemToArray(list, j);
    }
}

static void add_slices(cJSON *tree, const struct report *r)
{
    static const char *const names[RULE_COUNT] = {"allow", "redact", "escalate", "block", "error"};
    cJSON *series = cJSON_AddObjectToObject(tree, "series");
    cJSON_AddNumberToObject(series, "from_ms", (double)(r->from_ns / 1000000));
    cJSON_AddNumberToObject(series, "slice_ms", (double)r->slice_ns / 1e6);
    for (size_t n = 0; n < RULE_COUNT; n++) {
        cJSON *list = cJSON_AddArrayToObject(series, names[n]);
        for (size_t i = 0; i < REPORT_SLICES; i++)
            cJSON_AddItemToArray(list, cJSON_CreateNumber(r->slices[i][n]));
    }
}

/* Powers of two in ms, from the buckets of the spread. */
static void add_latencies(cJSON *tree, const struct spread *l)
{
    cJSON *list = cJSON_AddArrayToObject(tree, "latency_histogram");
    uint64_t below = 0;
    size_t at = 0;
    for (int power = 0; power <= 17; power++) { /* up to 131 s */
        size_t end = power < 7 ? (size_t)1 << power : 128 + (size_t)(power - 7) * 64;
        for (below = 0; at < end && at < SPREAD_BUCKETS; at++)
            below += l->buckets[at];
        if (power == 17)
            for (; at < SPREAD_BUCKETS; at++)
                below += l->buckets[at];
        cJSON *j = cJSON_CreateObject();
        cJSON_AddNumberToObject(j, "below_ms", (double)(1ull << power));
        cJSON_AddNumberToObject(j, "calls", (double)below);
        cJSON_AddItemToArray(list, j);
    }
}

cJSON *report_tree(const struct report *r)
{
    char now[31];
    KT_CLEANUP(kt_buf_free) struct kt_buf sums = KT_BUF_INIT(EVENTS_STATS_MAX);
    if (!kt_is_ok(events_stats_json(&r->sums, &sums)))
        return NULL;
    cJSON *tree = cJSON_Parse(sums.data);
    kt_rfc3339(kt_now_real_ns(), now);
    cJSON_AddStringToObject(tree, "generated", now);
    cJSON_AddStringToObject(tree, "ktwrap", KT_VERSION);
    add_filters(tree, r->o);
    add_rule(tree, r);
    char gaps[240];
    if (report_gaps(r, gaps))
        cJSON_AddStringToObject(tree, "gaps", gaps);
    add_groups(tree, "targets", r->tables[REPORT_TARGETS]);
    add_groups(tree, "models", r->tables[REPORT_MODELS]);
    add_groups(tree, "programs", r->tables[REPORT_PROGRAMS]);
    add_policies(tree, r);
    add_attempts(tree, r);
    add_slices(tree, r);
    add_latencies(tree, &r->sums.latency);
    cJSON_AddNumberToObject(tree, "calls_listed", cJSON_GetArraySize(r->calls));
    cJSON *calls = cJSON_Duplicate(r->calls, true);
    if (!tree || !calls || !cJSON_AddItemToObject(tree, "calls", calls)) {
        cJSON_Delete(calls);
        cJSON_Delete(tree);
        return NULL;
    }
    return tree;
}

static kt_result write_json(const struct report *r, FILE *to)
{
    cJSON *tree = report_tree(r);
    char *text = tree ? cJSON_PrintUnformatted(tree) : NULL;
    cJSON_Delete(tree);
    KT_ENSURE(text, KT_ERR_MEMORY);
    events_put_json(text, false, to);
    putc('\n', to);
    free(text);
    return ferror(to) ? kt_err(KT_ERR_IO) : kt_ok();
}

const struct kt_report_format kt_report_json = {
    .option = "--json",
    .file = "report.json",
    .help = "one object: sums, tables and the calls that the page lists",
    .write = write_json,
};
