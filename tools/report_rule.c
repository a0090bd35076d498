/* SPDX-License-Identifier: Apache-2.0 */
/* What --fail-on means. */
#include "tools/report.h"

#include <cjson/cJSON.h>
#include <string.h>

const char *const report_rule_names[RULE_COUNT] = {"block", "redact", "escalate", "error", "unseen"};

static unsigned rule_named(const char *text, size_t len)
{
    for (unsigned i = 0; i < RULE_COUNT; i++)
        if (strlen(report_rule_names[i]) == len && strncmp(report_rule_names[i], text, len) == 0)
            return 1u << i;
    return 0;
}

unsigned report_rule_parse(const char *text)
{
    unsigned rules = 0;
    for (;;) {
        size_t len = strcspn(text, ",");
        unsigned one = rule_named(text, len);
        if (!one)
            return 0;
        rules |= one;
        if (text[len] == '\0')
            return rules;
        text += len + 1;
    }
}

/* Whoever hangs up has had enough, which is no fault. */
static bool failed(const cJSON *event)
{
    const char *error = events_text(event, "error");
    return events_number(event, "status") >= 400 || (error && strcmp(error, "client_gone") != 0);
}

unsigned report_rule_broken(unsigned rules, const cJSON *event)
{
    const char *verdict = events_text(event, "verdict"), *would = events_text(event, "would_verdict");
    const char *type = events_text(event, "event_type");
    unsigned broken = verdict ? rule_named(verdict, strlen(verdict)) : 0;
    if (would)
        broken |= rule_named(would, strlen(would));
    if (type && (strcmp(type, "unseen") == 0 || strcmp(type, "client_distrusts") == 0))
        broken |= RULE_UNSEEN;
    else if (!(broken & RULE_BLOCK) && failed(event))
        broken |= RULE_ERROR;
    return broken & rules;
}

const char *report_base_name(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash && slash[1] ? slash + 1 : path ? path : "-";
}

const char *report_outcome(const cJSON *event, char out[48])
{
    const char *verdict = events_text(event, "verdict"), *would = events_text(event, "would_verdict");
    const char *type = events_text(event, "event_type");
    if (would && strcmp(would, "allow") != 0)
        snprintf(out, 48, "would %.40s", would);
    else
        snprintf(out, 48, "%.47s", type && strcmp(type, "decision") != 0 ? type : verdict ? verdict : "-");
    return out;
}
