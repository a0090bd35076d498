/* SPDX-License-Identifier: Apache-2.0 */
/* Two passes over the log, in bounded memory. */
#include "tools/report.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

/* ---- tables ---- */

static struct report_group *take_group(struct report_groups *g, size_t at, const char *name)
{
    struct report_group *item = &g->items[at];
    if (name && !(item->name = strndup(name, TALLY_NAME_MAX)))
        return NULL;
    item->latency = calloc(1, sizeof *item->latency);
    return item->latency ? item : NULL;
}

struct report_group *report_group(struct report_groups *g, const char *name)
{
    for (size_t i = 0; i < g->count; i++)
        if (strncmp(g->items[i].name, name, TALLY_NAME_MAX) == 0)
            return &g->items[i];
    if (g->count < REPORT_GROUPS_MAX) {
        struct report_group *item = take_group(g, g->count, name);
        g->count += item != NULL;
        return item;
    }
    struct report_group *others = &g->items[REPORT_GROUPS_MAX];
    return others->latency ? others : take_group(g, REPORT_GROUPS_MAX, NULL);
}

static uint64_t whole(double number)
{
    return number > 0 && number < 9e15 ? (uint64_t)number : 0;
}

static void add_to_group(struct report *r, int table, const char *name, const cJSON *event)
{
    if (!name)
        return;
    struct report_group *g = report_group(r->tables[table], name);
    if (!g) {
        r->out_of_memory = true;
        return;
    }
    unsigned all = report_rule_broken(~0u, event);
    double cost = events_number(event, "cost_usd");
    double latency = events_number(event, "latency_ms");
    g->calls++;
    g->blocked += (all & RULE_BLOCK) != 0;
    g->redacted += (all & RULE_REDACT) != 0;
    g->failed += (all & RULE_ERROR) != 0;
    g->tokens += whole(events_number(cJSON_GetObjectItemCaseSensitive(event, "usage"), "total_tokens"));
    g->retried += cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(event, "attempts")) > 1;
    g->cost_usd += cost > 0 && cost < 1e9 ? cost : 0;
    if (latency >= 0 && latency < 9e15)
        spread_add(g->latency, whole(latency));
}

static struct report_policy *policy_of(struct report *r, const char *kind)
{
    for (size_t i = 0; i < r->policy_count; i++)
        if (strcmp(r->policies[i].kind, kind) == 0)
            return &r->policies[i];
    if (r->policy_count == KT_COUNT(r->policies) || strlen(kind) >= sizeof r->policies[0].kind)
        return NULL;
    struct report_policy *p = &r->policies[r->policy_count++];
    snprintf(p->kind, sizeof p->kind, "%s", kind);
    return p;
}

static void add_policies(struct report *r, const cJSON *event)
{
    const cJSON *p;
    cJSON_ArrayForEach(p, cJSON_GetObjectItemCaseSensitive(event, "policies"))
    {
        const char *kind = events_text(p, "kind"), *verdict = events_text(p, "verdict");
        struct report_policy *to = kind && events_looked(p) ? policy_of(r, kind) : NULL;
        if (!to)
            continue;
        to->looked++;
        to->found += events_acted(p);
        to->blocked += verdict && strcmp(verdict, "block") == 0;
        to->redacted += verdict && strcmp(verdict, "redact") == 0;
        to->time_us += whole(events_number(p, "time_us"));
    }
}

static void add_attempts(struct report *r, const cJSON *event)
{
    const cJSON *a;
    cJSON_ArrayForEach(a, cJSON_GetObjectItemCaseSensitive(event, "attempts"))
    {
        const char *target = events_text(a, "target"), *outcome = events_text(a, "outcome");
        char name[TALLY_NAME_MAX];
        snprintf(name, sizeof name, "%.160s: %.60s", target ? target : "-", outcome ? outcome : "-");
        if (tally_add(r->attempts, name, false).code != KT_OK)
            r->out_of_memory = true;
    }
}

static void add_to_slice(struct report *r, const cJSON *event)
{
    static const char *const order[RULE_COUNT] = {"allow", "redact", "escalate", "block", "error"};
    const char *when = events_text(event, "timestamp"), *verdict = events_text(event, "verdict");
    const char *would = events_text(event, "would_verdict");
    uint64_t ns;
    if (!when || !events_time(when, &ns) || ns < r->from_ns)
        return;
    uint64_t at = (ns - r->from_ns) / r->slice_ns;
    const char *shown = would ? would : verdict ? verdict : "error";
    for (size_t i = 0; at < REPORT_SLICES && i < RULE_COUNT; i++)
        if (strcmp(order[i], shown) == 0)
            r->slices[at][i]++;
}

/* ---- the calls that are listed one by one ---- */

static void copy(cJSON *row, const cJSON *from, const char *member)
{
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(from, member);
    if (cJSON_IsString(j) && strlen(j->valuestring) > 300) {
        char cut[301];
        snprintf(cut, sizeof cut, "%s", j->valuestring); /* at most one character is torn */
        cJSON_AddStringToObject(row, member, cut);
    } else if (j) {
        cJSON_AddItemToObject(row, member, cJSON_Duplicate(j, true));
    }
}

static cJSON *causes(const cJSON *event)
{
    cJSON *list = cJSON_CreateArray(), *p;
    cJSON_ArrayForEach(p, cJSON_GetObjectItemCaseSensitive(event, "policies"))
    {
        const char *kind = events_text(p, "kind");
        if (kind && events_acted(p) && cJSON_GetArraySize(list) < 16)
            cJSON_AddItemToArray(list, cJSON_CreateString(kind));
    }
    return list;
}

static void add_row(struct report *r, const cJSON *event, unsigned broken)
{
    static const char *const members[] = {"seq",   "timestamp", "event_type",     "verdict", "would_verdict",
                                          "lane",  "model",     "target",         "status",  "reason_code",
                                          "error", "stream",    "upstream_model", "origin",  "latency_ms",
                                          "path",  "ttft_ms",   "cost_usd"};
    const cJSON *app = cJSON_GetObjectItemCaseSensitive(event, "app");
    cJSON *row = cJSON_CreateObject();
    for (size_t i = 0; i < KT_COUNT(members); i++)
        copy(row, event, members[i]);
    copy(row, app, "exe");
    copy(row, app, "pid");
    copy(row, cJSON_GetObjectItemCaseSensitive(event, "usage"), "total_tokens");
    cJSON_AddNumberToObject(row, "attempts",
                            cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(event, "attempts")));
    cJSON_AddItemToObject(row, "policies", causes(event));
    if (broken)
        cJSON_AddBoolToObject(row, "breaks_rule", true);
    if (!row || !cJSON_AddItemToArray(r->calls, row))
        r->out_of_memory = true;
}

/* ---- the two passes ---- */

#define NOTABLE (RULE_BLOCK | RULE_REDACT | RULE_ESCALATE | RULE_ERROR | RULE_UNSEEN)

static bool first_pass(void *arg, struct kt_span line, const cJSON *event)
{
    struct report *r = arg;
    (void)line;
    unsigned broken = report_rule_broken(r->rules, event);
    r->broken += broken != 0;
    for (unsigned i = 0; i < RULE_COUNT; i++)
        r->broken_by[i] += (broken >> i) & 1;
    r->notable += report_rule_broken(NOTABLE, event) != 0;
    events_sums_add(&r->sums, event);
    return !r->sums.out_of_memory;
}

struct second {
    struct report *r;
    uint64_t at, notable; /* events and notable events so far */
};

static bool second_pass(void *arg, struct kt_span line, const cJSON *event)
{
    struct second *s = arg;
    struct report *r = s->r;
    const cJSON *app = cJSON_GetObjectItemCaseSensitive(event, "app");
    (void)line;
    if (s->at == r->sums.events)
        return false; /* written since the first pass */
    bool listed = s->at++ + REPORT_ROWS >= r->sums.events;
    if (report_rule_broken(NOTABLE, event))
        listed |= s->notable++ + REPORT_ROWS >= r->notable;
    add_to_group(r, REPORT_TARGETS, events_text(event, "target"), event);
    add_to_group(r, REPORT_MODELS, events_text(event, "model"), event);
    add_to_group(r, REPORT_PROGRAMS, events_text(app, "exe"), event);
    add_policies(r, event);
    add_attempts(r, event);
    add_to_slice(r, event);
    if (listed)
        add_row(r, event, report_rule_broken(r->rules, event));
    return !r->out_of_memory;
}

static void set_slices(struct report *r)
{
    uint64_t to = 0;
    if (!events_time(r->sums.first, &r->from_ns) || !events_time(r->sums.last, &to))
        r->from_ns = to = 0;
    r->slice_ns = (to - r->from_ns) / REPORT_SLICES + 1;
}

kt_result report_collect(const struct events_options *o, unsigned rules, struct report *r)
{
    memset(r, 0, sizeof *r);
    r->o = o;
    r->rules = rules;
    r->calls = cJSON_CreateArray();
    r->attempts = tally_new();
    for (int i = 0; i < REPORT_TABLES; i++)
        KT_ENSURE((r->tables[i] = calloc(1, sizeof *r->tables[i])), KT_ERR_MEMORY);
    KT_ENSURE(events_sums_init(&r->sums) && r->calls && r->attempts, KT_ERR_MEMORY);
    struct second s = {r, 0, 0};
    kt_result read = events_walk(o, first_pass, r, &r->sums.skipped);
    set_slices(r);
    uint64_t skipped;
    if (read.code == KT_OK)
        read = events_walk(o, second_pass, &s, &skipped);
    events_sums_done(&r->sums);
    tally_sort(r->attempts);
    KT_ENSURE(!r->out_of_memory && !r->sums.out_of_memory, KT_ERR_MEMORY);
    return read;
}

void report_free(struct report *r)
{
    for (int t = 0; t < REPORT_TABLES; t++) {
        for (size_t i = 0; r->tables[t] && i <= REPORT_GROUPS_MAX; i++) {
            free(r->tables[t]->items[i].name);
            free(r->tables[t]->items[i].latency);
        }
        free(r->tables[t]);
    }
    events_sums_free(&r->sums);
    tally_free(r->attempts);
    cJSON_Delete(r->calls);
}
