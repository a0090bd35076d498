/* SPDX-License-Identifier: Apache-2.0 */
/* SARIF 2.1.0 (OASIS): a result per policy that found something in a call that did not pass untouched, and
 * per call that could not be looked into. Its place is the config: there the rule is, and code-scanning
 * services refuse results without a file. */
#include "tools/report.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#define RESULTS_MAX 5000 /* what code scanning shows at most */
#define SCHEMA "https://json.schemastore.org/sarif-2.1.0.json"

struct sarif {
    const struct report *r;
    cJSON *rules, *results;
    size_t left_out;
};

static int rule_index(struct sarif *s, const char *id)
{
    int n = 0;
    for (const cJSON *rule = s->rules->child; rule; rule = rule->next, n++)
        if (strcmp(events_text(rule, "id"), id) == 0)
            return n;
    cJSON *rule = cJSON_CreateObject(), *text;
    cJSON_AddStringToObject(rule, "id", id);
    cJSON_AddStringToObject(rule, "name", id);
    text = cJSON_AddObjectToObject(rule, "shortDescription");
    cJSON_AddStringToObject(text, "text", id);
    cJSON_AddItemToArray(s->rules, rule);
    return n;
}

static cJSON *location(const cJSON *event)
{
    const cJSON *app = cJSON_GetObjectItemCaseSensitive(event, "app");
    cJSON *l = cJSON_CreateObject(), *physical = cJSON_AddObjectToObject(l, "physicalLocation");
    cJSON *file = cJSON_AddObjectToObject(physical, "artifactLocation");
    cJSON *region = cJSON_AddObjectToObject(physical, "region");
    cJSON *logical = cJSON_AddArrayToObject(l, "logicalLocations"), *program = cJSON_CreateObject();
    cJSON_AddStringToObject(file, "uri", "policy-config.yaml");
    cJSON_AddNumberToObject(region, "startLine", 1);
    cJSON_AddStringToObject(program, "name", report_base_name(events_text(app, "exe")));
    cJSON_AddStringToObject(program, "kind", "module");
    cJSON_AddItemToArray(logical, program);
    return l;
}

static void add_result(struct sarif *s, const cJSON *event, const char *rule, unsigned all)
{
    char outcome[48], text[400];
    const char *model = events_text(event, "model"), *target = events_text(event, "target");
    const char *origin = events_text(event, "origin"), *id = events_text(event, "id");
    const char *reason = events_text(event, "reason_code");
    if (cJSON_GetArraySize(s->results) >= RESULTS_MAX) {
        s->left_out++;
        return;
    }
    snprintf(text, sizeof text, "%s: call #%.0f of model %.80s to %.80s (%.80s)",
             report_outcome(event, outcome), events_number(event, "seq"), model ? model : "-",
             target   ? target
             : origin ? origin
                      : "-",
             reason ? reason : "-");
    cJSON *result = cJSON_CreateObject(), *message, *list, *prints;
    cJSON_AddStringToObject(result, "ruleId", rule);
    cJSON_AddNumberToObject(result, "ruleIndex", rule_index(s, rule));
    cJSON_AddStringToObject(result, "level",
                            all & (RULE_BLOCK | RULE_ERROR | RULE_UNSEEN) ? "error" : "warning");
    message = cJSON_AddObjectToObject(result, "message");
    cJSON_AddStringToObject(message, "text", text);
    list = cJSON_AddArrayToObject(result, "locations");
    cJSON_AddItemToArray(list, location(event));
    prints = cJSON_AddObjectToObject(result, "partialFingerprints");
    snprintf(text, sizeof text, "%.40s/%.80s", id ? id : "-", rule);
    cJSON_AddStringToObject(prints, "ktEvent/v1", text);
    cJSON_AddItemToArray(s->results, result);
}

static bool visit(void *arg, struct kt_span line, const cJSON *event)
{
    struct sarif *s = arg;
    unsigned all = report_rule_broken(~0u, event);
    const char *type = events_text(event, "event_type"), *reason = events_text(event, "reason_code");
    const cJSON *p;
    bool named = false;
    (void)line;
    if (!all)
        return true;
    cJSON_ArrayForEach(p, cJSON_GetObjectItemCaseSensitive(event, "policies"))
    {
        const char *kind = events_text(p, "kind");
        if (!kind || !events_acted(p))
            continue;
        add_result(s, event, kind, all);
        named = true;
    }
    if (!named)
        add_result(s, event, type && strcmp(type, "decision") != 0 ? type : reason ? reason : "error", all);
    return true;
}

static void add_gaps(cJSON *run, const char *gaps)
{
    cJSON *invocation = cJSON_CreateObject(), *note = cJSON_CreateObject();
    cJSON_AddItemToArray(cJSON_AddArrayToObject(run, "invocations"), invocation);
    cJSON_AddBoolToObject(invocation, "executionSuccessful", false);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(invocation, "toolExecutionNotifications"), note);
    cJSON_AddStringToObject(note, "level", "error");
    cJSON_AddStringToObject(cJSON_AddObjectToObject(note, "message"), "text", gaps);
}

static cJSON *tree(struct sarif *s)
{
    cJSON *root = cJSON_CreateObject(), *runs, *run, *tool, *driver, *properties;
    cJSON_AddStringToObject(root, "$schema", SCHEMA);
    cJSON_AddStringToObject(root, "version", "2.1.0");
    runs = cJSON_AddArrayToObject(root, "runs");
    run = cJSON_CreateObject();
    cJSON_AddItemToArray(runs, run);
    tool = cJSON_AddObjectToObject(run, "tool");
    driver = cJSON_AddObjectToObject(tool, "driver");
    cJSON_AddStringToObject(driver, "name", "ktwrap");
    cJSON_AddStringToObject(driver, "version", KT_VERSION);
    cJSON_AddItemToObject(driver, "rules", s->rules);
    cJSON_AddItemToObject(run, "results", s->results);
    char gaps[240];
    if (report_gaps(s->r, gaps))
        add_gaps(run, gaps);
    properties = cJSON_AddObjectToObject(run, "properties");
    cJSON_AddNumberToObject(properties, "calls", (double)s->r->sums.events);
    cJSON_AddNumberToObject(properties, "resultsLeftOut", (double)s->left_out);
    return root;
}

static kt_result write_sarif(const struct report *r, FILE *to)
{
    struct sarif s = {r, cJSON_CreateArray(), cJSON_CreateArray(), 0};
    uint64_t skipped;
    KT_ENSURE(s.rules && s.results, KT_ERR_MEMORY);
    kt_result read = r->sums.events ? events_walk(r->o, visit, &s, &skipped) : kt_ok();
    cJSON *root = tree(&s);
    char *text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    KT_ENSURE(text, KT_ERR_MEMORY);
    events_put_json(text, false, to);
    putc('\n', to);
    free(text);
    KT_GUARD(read);
    return ferror(to) ? kt_err(KT_ERR_IO) : kt_ok();
}

const struct kt_report_format kt_report_sarif = {
    .option = "--sarif",
    .file = "report.sarif",
    .help = "SARIF 2.1.0: a result per finding in a call that did not pass untouched",
    .write = write_sarif,
};
