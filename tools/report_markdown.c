/* SPDX-License-Identifier: Apache-2.0 */
/* The report for a job's summary or a comment: GitHub-flavoured Markdown. */
#include "tools/report.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <string.h>

#define ROWS 20 /* per table */

/* A cell: nothing in it is markup, and it stays on its line. */
static void cell(FILE *to, const char *text)
{
    for (const char *p = text; *p; p++) {
        size_t bad = events_unsafe(p);
        if (bad == 1 && strchr("\t\r\n", *p))
            putc(' ', to);
        else if (bad)
            fputs(EVENTS_REPLACEMENT, to), p += bad - 1;
        else if (*p == '<')
            fputs("&lt;", to);
        else if (*p == '&')
            fputs("&amp;", to);
        else if (strchr("\\|`*_[]~@#", *p))
            fprintf(to, "&#%d;", *p);
        else
            putc(*p, to);
    }
}

static void sums(const struct report *r, FILE *to)
{
    const struct events_sums *s = &r->sums;
    fprintf(to, "| calls | tokens | cost (USD) | p50 ms | p95 ms | p99 ms | more than one attempt |\n");
    fprintf(to, "|--:|--:|--:|--:|--:|--:|--:|\n");
    fprintf(to,
            "| %" PRIu64 " | %" PRIu64 " | %.6f | %" PRIu64 " | %" PRIu64 " | %" PRIu64 " | %" PRIu64
            " |\n\n",
            s->events, s->total_tokens, s->cost_usd, spread_percentile(&s->latency, 50),
            spread_percentile(&s->latency, 95), spread_percentile(&s->latency, 99), s->retried);
}

static void tallied(FILE *to, const char *title, const struct tally *t)
{
    if (t->count == 0)
        return;
    fprintf(to, "| %s | calls |\n|---|--:|\n", title);
    for (size_t i = 0; i < t->count && i < ROWS; i++) {
        fputs("| ", to);
        cell(to, t->items[i].name);
        fprintf(to, " | %" PRIu64 " |\n", t->items[i].count);
    }
    putc('\n', to);
}

static void grouped(FILE *to, const char *title, const struct report_groups *g)
{
    if (g->count == 0)
        return;
    fprintf(to, "| %s | calls | blocked | redacted | failed | tokens | cost (USD) | p50 ms | p95 ms |\n",
            title);
    fputs("|---|--:|--:|--:|--:|--:|--:|--:|--:|\n", to);
    for (size_t i = 0; i < g->count && i < ROWS; i++) {
        const struct report_group *x = &g->items[i];
        fputs("| ", to);
        cell(to, x->name);
        fprintf(to,
                " | %" PRIu64 " | %" PRIu64 " | %" PRIu64 " | %" PRIu64 " | %" PRIu64 " | %.6f | %" PRIu64
                " | %" PRIu64 " |\n",
                x->calls, x->blocked, x->redacted, x->failed, x->tokens, x->cost_usd,
                spread_percentile(x->latency, 50), spread_percentile(x->latency, 95));
    }
    putc('\n', to);
}

static void policies(const struct report *r, FILE *to)
{
    if (r->policy_count == 0)
        return;
    fputs("| policy | looked | found something | blocked | redacted |\n|---|--:|--:|--:|--:|\n", to);
    for (size_t i = 0; i < r->policy_count; i++) {
        const struct report_policy *p = &r->policies[i];
        fputs("| ", to);
        cell(to, p->kind);
        fprintf(to, " | %" PRIu64 " | %" PRIu64 " | %" PRIu64 " | %" PRIu64 " |\n", p->looked, p->found,
                p->blocked, p->redacted);
    }
    putc('\n', to);
}

static void put_member(FILE *to, const cJSON *call, const char *member)
{
    const char *text = events_text(call, member);
    fputs(" | ", to);
    cell(to, text ? text : "-");
}

static void notable(const struct report *r, FILE *to)
{
    char outcome[48];
    unsigned shown = 0;
    for (const cJSON *c = r->calls ? r->calls->child : NULL; c; c = c->next) {
        if (!report_rule_broken(r->rules ? r->rules : ~0u, c) || shown++ >= ROWS)
            continue;
        if (shown == 1)
            fputs("| seq | outcome | reason | model | target | program |\n|--:|---|---|---|---|---|\n", to);
        fprintf(to, "| %.0f | ", events_number(c, "seq"));
        cell(to, report_outcome(c, outcome));
        put_member(to, c, "reason_code");
        put_member(to, c, "model");
        put_member(to, c, "target");
        fputs(" | ", to);
        cell(to, report_base_name(events_text(c, "exe")));
        fputs(" |\n", to);
    }
    if (shown > ROWS)
        fprintf(to, "\nand %u more\n", shown - ROWS);
    if (shown)
        putc('\n', to);
}

/* An empty choice proves nothing of what was not chosen. */
static void nothing(const struct events_options *o, FILE *to)
{
    const bool chosen =
        o->since[0] || o->until[0] || o->verdict || o->policy || o->model || o->target || o->exe;
    if (chosen)
        fputs("No LLM call in the log is one of those asked for.\n\n", to);
    else if (o->run && *o->run)
        fprintf(to, "No LLM call of run %s is in the log.\n\n", o->run);
    else
        fputs("No LLM call was made.\n\n", to);
}

static kt_result write_markdown(const struct report *r, FILE *to)
{
    fputs("## LLM calls\n\n", to);
    if (r->sums.events == 0)
        nothing(r->o, to);
    if (r->rules)
        fprintf(to, r->broken ? "**%" PRIu64 " calls broke the rule.**\n\n" : "No call broke the rule.\n\n",
                r->broken);
    if (r->sums.events) {
        sums(r, to);
        tallied(to, "verdict", r->sums.by[BY_VERDICT]);
        notable(r, to);
        grouped(to, "target", r->tables[REPORT_TARGETS]);
        grouped(to, "model", r->tables[REPORT_MODELS]);
        policies(r, to);
        grouped(to, "program", r->tables[REPORT_PROGRAMS]);
    }
    return ferror(to) ? kt_err(KT_ERR_IO) : kt_ok();
}

const struct kt_report_format kt_report_markdown = {
    .option = "--markdown",
    .file = "report.md",
    .help = "tables for a job's summary or a comment",
    .write = write_markdown,
};
