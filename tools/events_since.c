/* SPDX-License-Identifier: Apache-2.0 */
/* Times on the command line. */
#include "tools/events.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS 1000000000ull

static bool parse_age(const char *text, uint64_t now_ns, uint64_t *out)
{
    static const char units[] = "smhd";
    static const uint64_t seconds[] = {1, 60, 3600, 86400};
    char *end;
    if (!isdigit((unsigned char)text[0]))
        return false;
    unsigned long long n = strtoull(text, &end, 10);
    const char *unit = *end && end[1] == '\0' ? strchr(units, *end) : NULL;
    if (!unit || n > 36500ull * 86400)
        return false;
    uint64_t age = n * seconds[unit - units];
    *out = age < now_ns / NS ? now_ns - age * NS : 0;
    return true;
}

/* "Z", "+02:00" or nothing (= UTC) behind the time. */
static bool parse_zone(const char *text, long *seconds)
{
    *seconds = 0;
    if (*text == '\0' || strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
        return true;
    bool form = (text[0] == '+' || text[0] == '-') && strlen(text) == 6 && isdigit((unsigned char)text[1]) &&
                isdigit((unsigned char)text[2]) && text[3] == ':' && isdigit((unsigned char)text[4]) &&
                isdigit((unsigned char)text[5]);
    if (!form)
        return false;
    long n =
        ((text[1] - '0') * 10 + (text[2] - '0')) * 3600L + ((text[4] - '0') * 10 + (text[5] - '0')) * 60L;
    *seconds = text[0] == '-' ? -n : n;
    return true;
}

static bool parse_time(const char *text, uint64_t *out)
{
    struct tm tm = {0};
    uint64_t ns = 0, digit = NS / 10;
    long zone = 0;
    const char *p = strptime(text, "%Y-%m-%d", &tm);
    struct tm day = tm;
    if (p && (timegm(&day) == -1 || day.tm_mday != tm.tm_mday)) /* 30 February would be 2 March */
        return false;
    if (p && *p) {
        p = *p == 'T' || *p == 't' || *p == ' ' ? strptime(p + 1, "%H:%M:%S", &tm) : NULL;
        if (p && *p == '.')
            for (p++; isdigit((unsigned char)*p); p++, digit /= 10)
                ns += (uint64_t)(*p - '0') * digit;
        if (!p || !parse_zone(p, &zone))
            return false;
    }
    if (!p)
        return false;
    time_t t = timegm(&tm) - zone;
    if (t < 0)
        return false;
    *out = (uint64_t)t * NS + ns;
    return true;
}

bool events_time(const char *timestamp, uint64_t *ns)
{
    return parse_time(timestamp, ns);
}

bool events_parse_since(const char *text, uint64_t now_ns, char out[31])
{
    uint64_t ns;
    if (!parse_age(text, now_ns, &ns) && !parse_time(text, &ns))
        return false;
    kt_rfc3339(ns, out);
    return true;
}

int events_check_verdict(const struct kt_command *command, const char *text)
{
    static const char *const known[] = {"allow", "redact", "escalate", "block", "error"};
    for (size_t i = 0; i < KT_COUNT(known); i++)
        if (strcmp(text, known[i]) == 0)
            return 0;
    return kt_usage_error(command, "--verdict wants allow, redact, escalate, block or error, not '%s'", text);
}

static bool text_is(const char *text, const char *wanted)
{
    return !wanted || (text && strcmp(text, wanted) == 0);
}

static bool policy_acted(const cJSON *event, const char *kind)
{
    const cJSON *p;
    cJSON_ArrayForEach(p, cJSON_GetObjectItemCaseSensitive(event, "policies"))
    {
        if (text_is(events_text(p, "kind"), kind) && events_acted(p))
            return true;
    }
    return false;
}

static bool exe_is(const char *exe, const char *wanted)
{
    const char *slash = exe ? strrchr(exe, '/') : NULL;
    return text_is(exe, wanted) || (slash && strcmp(slash + 1, wanted) == 0);
}

static bool run_is(const char *run, const char *wanted)
{
    size_t n = wanted ? strlen(wanted) : 0;
    return n == 0 || (run && strncmp(run, wanted, n) == 0 && (run[n] == '\0' || run[n] == '/'));
}

bool events_looked(const cJSON *policy)
{
    const char *verdict = events_text(policy, "verdict");
    return !verdict || strcmp(verdict, "skipped") != 0;
}

bool events_acted(const cJSON *policy)
{
    const char *verdict = events_text(policy, "verdict");
    return events_looked(policy) &&
           (events_number(policy, "matches") > 0 || (verdict && strcmp(verdict, "allow") != 0));
}

bool events_wanted(const struct events_options *o, const cJSON *event)
{
    const cJSON *app = cJSON_GetObjectItemCaseSensitive(event, "app");
    const char *when = events_text(event, "timestamp");
    /* One form, one zone: the order of the texts is the order of the times. */
    if (o->since[0] && (!when || strcmp(when, o->since) < 0))
        return false;
    if (o->until[0] && (!when || strcmp(when, o->until) >= 0))
        return false;
    bool verdict = text_is(events_text(event, "verdict"), o->verdict) ||
                   text_is(events_text(event, "would_verdict"), o->verdict); /* what was only observed */
    return verdict && text_is(events_text(event, "model"), o->model) &&
           text_is(events_text(event, "target"), o->target) && exe_is(events_text(app, "exe"), o->exe) &&
           run_is(events_text(app, "run"), o->run) && (!o->policy || policy_acted(event, o->policy));
}
