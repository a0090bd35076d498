/* SPDX-License-Identifier: Apache-2.0 */
/* kt report: the audit log for people and for other tools. */
#include "interceptor/plan/kt_plan.h"
#include "tools/report.h"

#include <string.h>

extern const struct kt_command kt_cmd_report;

#define FORMATS_MAX 16

struct options {
    struct events_options events;
    const char *paths[FORMATS_MAX]; /* per format; NULL = not wanted */
    unsigned rules;
    bool any;
};

static int set_time(const char *option, const char *text, char out[31])
{
    if (out[0])
        return kt_option_twice(&kt_cmd_report, option);
    if (events_parse_since(text, kt_now_real_ns(), out))
        return 0;
    return kt_usage_error(&kt_cmd_report, "%s wants " EVENTS_SINCE_HELP ", not '%s'", option, text);
}

static int set_rules(struct options *o, const char *text)
{
    unsigned rules = report_rule_parse(text);
    o->rules |= rules; /* several add up */
    if (rules)
        return 0;
    return kt_usage_error(&kt_cmd_report, "--fail-on wants a list of " REPORT_RULES_HELP ", not '%s'", text);
}

/* *took: argv[*i] is one of these, and its value is stored. Returns the exit status. */
static int filter(struct options *o, int argc, char **argv, int *i, bool *missing, bool *took)
{
    struct {
        const char *name, **to;
    } all[] = {
        {"--verdict", &o->events.verdict},    {"--policy", &o->events.policy}, {"--model", &o->events.model},
        {"--target", &o->events.target},      {"--exe", &o->events.exe},       {"--run", &o->events.run},
        {"--state-dir", &o->events.state_dir}};
    for (size_t k = 0; k < KT_COUNT(all) && !*missing; k++) {
        const char *v = kt_option_value(all[k].name, argc, argv, i, missing);
        if ((*took = v != NULL)) {
            if (*all[k].to)
                return kt_option_twice(&kt_cmd_report, all[k].name);
            *all[k].to = v;
            return o->events.verdict ? events_check_verdict(&kt_cmd_report, o->events.verdict) : 0;
        }
    }
    return 0;
}

static int form(struct options *o, int argc, char **argv, int *i, bool *missing, bool *took)
{
    for (size_t k = 0; k < report_format_count && !*missing; k++) {
        const char *v = kt_option_value(report_formats[k]->option, argc, argv, i, missing);
        if ((*took = v != NULL)) {
            if (o->paths[k])
                return kt_option_twice(&kt_cmd_report, report_formats[k]->option);
            o->paths[k] = v;
            o->any = true;
            return 0;
        }
    }
    return 0;
}

static int parse_one(struct options *o, int argc, char **argv, int *i)
{
    bool missing = false, took = false;
    const char *v, *name = argv[*i];
    int status = filter(o, argc, argv, i, &missing, &took);
    if (!took && !missing)
        status = form(o, argc, argv, i, &missing, &took);
    if (took)
        return status;
    if (!missing && (v = kt_option_value("--since", argc, argv, i, &missing)))
        return set_time("--since", v, o->events.since);
    if (!missing && (v = kt_option_value("--until", argc, argv, i, &missing)))
        return set_time("--until", v, o->events.until);
    if (!missing && (v = kt_option_value("--fail-on", argc, argv, i, &missing)))
        return set_rules(o, v);
    if (missing)
        return kt_usage_error(&kt_cmd_report, "%s needs a value", name);
    return kt_usage_error(&kt_cmd_report, "no option '%s'", name);
}

static int parse(struct options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int status = parse_one(o, argc, argv, &i);
        if (status != 0)
            return status;
    }
    for (size_t k = 0; k < report_format_count; k++) /* without any: something to read */
        if (!o->any && strcmp(report_formats[k]->option, "--markdown") == 0)
            o->paths[k] = "-";
    return 0;
}

static int write_all(const struct options *o, const struct report *r)
{
    int status = KT_EXIT_OK;
    for (size_t k = 0; k < report_format_count && status == KT_EXIT_OK; k++)
        if (o->paths[k])
            status = report_write(r, report_formats[k], o->paths[k], "report");
    return status;
}

static int run(int argc, char **argv)
{
    struct options o = {.rules = 0};
    struct kt_paths paths;
    struct kt_error err = {KT_OK, ""};
    int status = parse(&o, argc, argv);
    if (status != 0)
        return status;
    if (kt_paths_resolve(o.events.state_dir, &paths, &err).code != KT_OK ||
        strlen(paths.state_dir) + sizeof "/audit" > sizeof o.events.dir)
        return kt_usage_error(&kt_cmd_report, "%s",
                              err.text[0] ? err.text : "the path of the state folder is too long");
    snprintf(o.events.dir, sizeof o.events.dir, "%.4080s/audit", paths.state_dir);
    KT_CLEANUP(report_free) struct report r;
    kt_result read = report_collect(&o.events, o.rules, &r);
    if (read.code != KT_OK) {
        status = report_read_failed(&o.events, read, "report");
        if (status != KT_EXIT_OK)
            return status;
    }
    status = write_all(&o, &r);
    if (status == KT_EXIT_OK && r.broken) {
        report_say_broken(&r, "report");
        return KT_EXIT_POLICY;
    }
    return status;
}

static const char usage[] =
    "usage: kt report [--html F] [--markdown F] [--junit F] [--sarif F] [--json F] [--fail-on RULE]\n"
    "                 [--since T] [--until T] [--verdict V] [--policy P] [--model M] [--target T]\n"
    "                 [--exe E] [--run R] [--state-dir D]\n"
    "\n"
    "Makes reports of the audit log; '-' as F is stdout, and without any form Markdown goes there.\n"
    "A file appears under its name only when it is whole. No report holds text of a prompt or answer.\n"
    "\n"
    "  --html F        one page with charts and tables that needs no network\n"
    "  --markdown F    tables for a job's summary or a comment\n"
    "  --junit F       JUnit XML: a test case per call; it fails where the call broke the rule (without\n"
    "                  --fail-on: block, error, unseen)\n"
    "  --sarif F       SARIF 2.1.0: a result per finding in a call that did not pass untouched\n"
    "  --json F        the sums, the tables and the calls that the page lists\n"
    "  --fail-on RULE  exit status 1 where a call broke it: a list of " REPORT_RULES_HELP ";\n"
    "                  error: a call that failed, for a policy, all targets or a status of 400 and\n"
    "                  more; unseen: one that ktwrap could not look into. Observed calls count by what\n"
    "                  would have happened. Several add up\n"
    "  --since T       only calls from T on: " EVENTS_SINCE_HELP "\n"
    "  --until T       only those before T\n"
    "  --verdict V, --policy P, --model M, --target T\n"
    "                  only those; P is a policy that found or decided something; V also what\n"
    "                  would have been, in mode observe\n"
    "  --exe E         only calls of this program: its path, or the last part of it\n"
    "  --run R         only those of one run of kt wrap (the event's app.run)\n"
    "  --state-dir D   default: KT_STATE_DIR, or $XDG_STATE_HOME/kt, or ~/.local/state/kt\n"
    "\n"
    "exit status: 0 ok (also where there are no calls), 1 --fail-on was broken, 2 usage, or what could not\n"
    "             be read or written\n";

const struct kt_command kt_cmd_report = {
    .name = "report",
    .summary = "make HTML, Markdown, JUnit, SARIF or JSON of the audit log",
    .usage = usage,
    .run = run,
};
