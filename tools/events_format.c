/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/audit/kt_event.h"
#include "tools/events.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <string.h>

size_t events_unsafe(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    if (s[0] < 0x80)
        return (s[0] && s[0] < ' ') || s[0] == 0x7f;
    if (s[0] == 0xc2)
        return (s[1] >= 0x80 && s[1] <= 0x9f) || s[1] == 0xad ? 2 : 0;
    if (s[0] == 0xd8)
        return s[1] == 0x9c ? 2 : 0;
    if (s[0] == 0xe1)
        return s[1] == 0xa0 && s[2] == 0x8e ? 3 : 0;
    if (s[0] == 0xe2 && s[1] == 0x80)
        return (s[2] >= 0x8b && s[2] <= 0x8f) || (s[2] >= 0xa8 && s[2] <= 0xae) ? 3 : 0;
    if (s[0] == 0xe2 && s[1] == 0x81)
        return s[2] >= 0xa0 && s[2] <= 0xaf ? 3 : 0;
    if (s[0] == 0xef)
        return s[1] == 0xbb && s[2] == 0xbf ? 3 : 0;
    bool tag = s[0] == 0xf3 && s[1] == 0xa0 && (s[2] == 0x80 || s[2] == 0x81);
    return tag && (s[3] & 0xc0) == 0x80 ? 4 : 0;
}

void events_put_json(const char *json, bool html, FILE *to)
{
    for (const char *p = json; *p;) {
        size_t bad = events_unsafe(p);
        const unsigned char *s = (const unsigned char *)p;
        if (html && (bad || *p == '<'))
            fputs(bad ? EVENTS_REPLACEMENT : "\\u003c", to);
        else if (bad == 4) /* U+E0000..7F */
            fprintf(to, "\\udb40\\udc%02x", (s[2] & 0x3fu) << 6 | (s[3] & 0x3fu));
        else if (bad == 3)
            fprintf(to, "\\u%04x", (s[0] & 0x0fu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu));
        else if (bad == 2)
            fprintf(to, "\\u%04x", (s[0] & 0x1fu) << 6 | (s[1] & 0x3fu));
        else if (bad == 1)
            fprintf(to, "\\u%04x", s[0]);
        else
            putc(*p, to);
        p += bad ? bad : 1;
    }
}

/* Text of foreign origin: model names and paths come from whoever made the request. */
kt_result events_safe_text(struct kt_buf *out, const char *text)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf clean = KT_BUF_INIT(1u << 20);
    KT_GUARD(kt_event_text(&clean, text, strnlen(text, 1024)));
    for (size_t i = 0; i < clean.len;) {
        size_t bad = events_unsafe(clean.data + i);
        KT_GUARD(bad ? kt_buf_append(out, "?", 1) : kt_buf_append(out, clean.data + i, 1));
        i += bad ? bad : 1;
    }
    return kt_ok();
}

/* " name=text", nothing where it is not there. */
static kt_result put_named(struct kt_buf *out, const char *name, const cJSON *event, const char *member)
{
    const char *text = events_text(event, member);
    if (!text)
        return kt_ok();
    KT_GUARD(kt_buf_printf(out, "  %s=", name));
    return events_safe_text(out, text);
}

static const char *colour_of(const char *verdict)
{
    static const struct {
        const char *verdict, *code;
    } colours[] = {{"allow", "\033[32m"},
                   {"redact", "\033[33m"},
                   {"escalate", "\033[35m"},
                   {"block", "\033[31m"},
                   {"error", "\033[31m"}};
    for (size_t i = 0; i < KT_COUNT(colours); i++)
        if (strcmp(colours[i].verdict, verdict) == 0)
            return colours[i].code;
    return "\033[36m";
}

/* "2026-01-02T03:04:05.123Z  redact    200": UTC with milliseconds. Events that decide nothing show their
 * type. */
static kt_result put_head(struct kt_buf *out, const cJSON *event, bool colour)
{
    const char *when = events_text(event, "timestamp"), *verdict = events_text(event, "verdict");
    const char *would = events_text(event, "would_verdict"), *type = events_text(event, "event_type");
    if (!verdict)
        verdict = type ? type : "?";
    if (when && strlen(when) == 30) {
        KT_GUARD(kt_buf_append(out, when, 23));
        KT_GUARD(kt_buf_puts(out, "Z  "));
    } else {
        KT_GUARD(events_safe_text(out, when ? when : "-"));
        KT_GUARD(kt_buf_puts(out, "  "));
    }
    if (colour)
        KT_GUARD(kt_buf_puts(out, colour_of(verdict)));
    size_t start = out->len;
    KT_GUARD(events_safe_text(out, verdict));
    if (would && strcmp(would, verdict) != 0) {
        KT_GUARD(kt_buf_puts(out, "(would "));
        KT_GUARD(events_safe_text(out, would));
        KT_GUARD(kt_buf_puts(out, ")"));
    }
    while (out->len - start < 8)
        KT_GUARD(kt_buf_append(out, " ", 1));
    if (colour)
        KT_GUARD(kt_buf_puts(out, "\033[0m"));
    double status = events_number(event, "status");
    return status > 0 ? kt_buf_printf(out, "  %3.0f", status) : kt_buf_puts(out, "    -");
}

/* "gpt-4o -> eu/mistral-large-latest". */
static kt_result put_route(struct kt_buf *out, const cJSON *event)
{
    const char *model = events_text(event, "model"), *target = events_text(event, "target"),
               *up = events_text(event, "upstream_model");
    if (model || target || up) {
        KT_GUARD(kt_buf_puts(out, "  "));
        KT_GUARD(events_safe_text(out, model ? model : "-"));
    }
    if (!target && !up)
        return kt_ok();
    KT_GUARD(kt_buf_puts(out, " -> "));
    KT_GUARD(events_safe_text(out, target ? target : "-"));
    if (!up)
        return kt_ok();
    KT_GUARD(kt_buf_puts(out, "/"));
    return events_safe_text(out, up);
}

static kt_result put_labels(struct kt_buf *out, const cJSON *policy)
{
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(policy, "labels"), *label;
    bool first = true;
    cJSON_ArrayForEach(label, labels)
    {
        KT_GUARD(kt_buf_puts(out, first ? "(" : ", "));
        KT_GUARD(events_safe_text(out, label->string ? label->string : "?"));
        KT_GUARD(kt_buf_printf(out, " %.0f", label->valuedouble));
        first = false;
    }
    return first ? kt_ok() : kt_buf_puts(out, ")");
}

/* Only those that found or decided something: "pii-detector:redact(email 1, card 1)". */
static kt_result put_policies(struct kt_buf *out, const cJSON *event)
{
    const cJSON *policies = cJSON_GetObjectItemCaseSensitive(event, "policies"), *policy;
    cJSON_ArrayForEach(policy, policies)
    {
        const char *kind = events_text(policy, "kind"), *verdict = events_text(policy, "verdict");
        if (events_number(policy, "matches") <= 0 && verdict && strcmp(verdict, "allow") == 0)
            continue;
        KT_GUARD(kt_buf_puts(out, "  "));
        KT_GUARD(events_safe_text(out, kind ? kind : "?"));
        KT_GUARD(kt_buf_puts(out, ":"));
        KT_GUARD(events_safe_text(out, verdict ? verdict : "?"));
        KT_GUARD(put_labels(out, policy));
    }
    return kt_ok();
}

static kt_result put_app(struct kt_buf *out, const cJSON *event)
{
    const cJSON *app = cJSON_GetObjectItemCaseSensitive(event, "app");
    const char *exe = events_text(app, "exe");
    if (!app)
        return kt_ok();
    const char *slash = exe ? strrchr(exe, '/') : NULL;
    KT_GUARD(kt_buf_puts(out, "  "));
    KT_GUARD(events_safe_text(out, slash ? slash + 1 : exe ? exe : "?"));
    return kt_buf_printf(out, "[%.0f]", events_number(app, "pid"));
}

/* What explains a line that is not just a good answer. */
static kt_result put_causes(struct kt_buf *out, const cJSON *event)
{
    const char *verdict = events_text(event, "verdict"), *would = events_text(event, "would_verdict");
    int attempts = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(event, "attempts"));
    if (attempts > 1)
        KT_GUARD(kt_buf_printf(out, "  attempts=%d", attempts));
    if (!verdict || strcmp(verdict, "allow") != 0 || would)
        KT_GUARD(put_named(out, "reason", event, "reason_code"));
    KT_GUARD(put_named(out, "error", event, "error"));
    return put_named(out, "message", event, "message");
}

kt_result events_format(const cJSON *event, bool colour, struct kt_buf *out)
{
    const char *origin = events_text(event, "origin"), *path = events_text(event, "path");
    double latency = events_number(event, "latency_ms");
    KT_GUARD(put_head(out, event, colour));
    KT_GUARD(put_route(out, event));
    if (origin || path) {
        KT_GUARD(kt_buf_puts(out, "  "));
        KT_GUARD(events_safe_text(out, origin ? origin : "-"));
        KT_GUARD(events_safe_text(out, path ? path : ""));
    }
    KT_GUARD(put_policies(out, event));
    if (latency >= 0)
        KT_GUARD(kt_buf_printf(out, "  %.0fms", latency));
    KT_GUARD(put_app(out, event));
    KT_GUARD(put_causes(out, event));
    return kt_buf_puts(out, "\n");
}
