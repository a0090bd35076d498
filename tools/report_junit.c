/* SPDX-License-Identifier: Apache-2.0 */
/* JUnit XML: a test case per call, which fails where the call broke the rule. The form is the one that
 * Jenkins' junit plug-in documents; GitLab and others read it. */
#include "tools/report.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define DEFAULT_RULES (RULE_BLOCK | RULE_ERROR | RULE_UNSEEN)

struct junit {
    const struct report *r;
    FILE *to;
    unsigned rules;
    uint64_t at;
};
struct junit_sums {
    unsigned rules;
    uint64_t failures;
};

/* XML 1.0 has no way to write most control characters. */
static void put_xml(FILE *to, const char *text)
{
    for (const char *p = text; *p; p++) {
        size_t bad = events_unsafe(p);
        if (bad == 1 && strchr("\t\r\n", *p))
            putc(' ', to);
        else if (bad)
            fputs(EVENTS_REPLACEMENT, to), p += bad - 1;
        else if (*p == '<')
            fputs("&lt;", to);
        else if (*p == '>')
            fputs("&gt;", to);
        else if (*p == '&')
            fputs("&amp;", to);
        else if (*p == '"')
            fputs("&quot;", to);
        else if ((unsigned char)*p == 0xef && (unsigned char)p[1] == 0xbf && (unsigned char)p[2] >= 0xbe)
            fputs("?", to), p += 2; /* U+FFFE and U+FFFF are no characters of XML */
        else
            putc(*p, to);
    }
}

static void put_attribute(FILE *to, const char *name, const char *value)
{
    fprintf(to, " %s=\"", name);
    put_xml(to, value);
    putc('"', to);
}

static void put_failure(FILE *to, const cJSON *event, unsigned broken)
{
    char outcome[48];
    const char *reason = events_text(event, "reason_code");
    const char *message = reason ? reason : events_text(event, "message");
    const cJSON *p;
    report_outcome(event, outcome);
    fputs("      <failure", to);
    put_attribute(to, "type", broken & RULE_UNSEEN ? "unseen" : outcome);
    put_attribute(to, "message", message ? message : outcome);
    putc('>', to);
    cJSON_ArrayForEach(p, cJSON_GetObjectItemCaseSensitive(event, "policies"))
    {
        const char *kind = events_text(p, "kind"), *phase = events_text(p, "phase");
        if (!kind || !events_acted(p))
            continue;
        put_xml(to, kind);
        fprintf(to, " (%s): %.0f matches\n", phase ? phase : "-", events_number(p, "matches"));
    }
    fputs("</failure>\n", to);
}

static bool put_case(void *arg, struct kt_span line, const cJSON *event)
{
    struct junit *j = arg;
    const cJSON *app = cJSON_GetObjectItemCaseSensitive(event, "app");
    const char *model = events_text(event, "model"), *target = events_text(event, "target");
    const char *type = events_text(event, "event_type"), *origin = events_text(event, "origin");
    double latency = events_number(event, "latency_ms");
    char number[64];
    (void)line;
    if (j->at++ == j->r->sums.events)
        return false; /* the suite's numbers are written already */
    fputs("    <testcase", j->to);
    put_attribute(j->to, "classname", report_base_name(events_text(app, "exe")));
    snprintf(number, sizeof number, "#%.0f ", events_number(event, "seq"));
    fputs(" name=\"", j->to);
    put_xml(j->to, number);
    put_xml(j->to, model ? model : type ? type : "-");
    put_xml(j->to, target ? " to " : " at ");
    put_xml(j->to, target ? target : origin ? origin : "-");
    fprintf(j->to, "\" time=\"%.3f\"", latency > 0 ? latency / 1000 : 0.0);
    unsigned broken = report_rule_broken(j->rules, event);
    if (broken) {
        fputs(">\n", j->to);
        put_failure(j->to, event, broken);
        fputs("    </testcase>\n", j->to);
    } else {
        fputs("/>\n", j->to);
    }
    return !ferror(j->to);
}

static bool count_case(void *arg, struct kt_span line, const cJSON *event)
{
    struct junit_sums *s = arg;
    (void)line;
    s->failures += report_rule_broken(s->rules, event) != 0;
    return true;
}

static kt_result write_junit(const struct report *r, FILE *to)
{
    unsigned rules = r->rules ? r->rules : DEFAULT_RULES;
    struct junit_sums s = {rules, 0};
    struct junit j = {r, to, rules, 0};
    uint64_t skipped;
    bool any = r->sums.events > 0;
    if (r->rules)
        s.failures = r->broken;
    else if (any)
        KT_GUARD(events_walk(r->o, count_case, &s, &skipped));
    char gaps[240];
    uint64_t more = report_gaps(r, gaps), tests = r->sums.events + more;
    s.failures += more;
    double seconds = (double)r->sums.latency.sum / 1000;
    fprintf(to, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    fprintf(to, "<testsuites name=\"ktwrap\" tests=\"%" PRIu64 "\" failures=\"%" PRIu64 "\" errors=\"0\"",
            tests, s.failures);
    fprintf(to, " time=\"%.3f\">\n  <testsuite name=\"LLM calls\" tests=\"%" PRIu64 "\" failures=\"%" PRIu64,
            seconds, tests, s.failures);
    fprintf(to, "\" errors=\"0\" skipped=\"0\" time=\"%.3f\"", seconds);
    if (any) {
        fprintf(to, " timestamp=\"%.19s\"", r->sums.first);
    }
    fputs(">\n", to);
    if (any)
        KT_GUARD(events_walk(r->o, put_case, &j, &skipped));
    if (more)
        fprintf(to,
                "    <testcase classname=\"ktwrap\" name=\"the record is whole\">\n"
                "      <failure type=\"missing\">%s</failure>\n    </testcase>\n",
                gaps);
    fputs("  </testsuite>\n</testsuites>\n", to);
    return ferror(to) ? kt_err(KT_ERR_IO) : kt_ok();
}

const struct kt_report_format kt_report_junit = {
    .option = "--junit",
    .file = "junit.xml",
    .help = "a test case per call; it fails where the call broke the rule\n"
            "                  (without --fail-on: block, error, unseen)",
    .write = write_junit,
};
