/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/events.h"

#include <cjson/cJSON.h>
#include <string.h>

enum form { PLAIN, POLICIES, LENGTH };

/* The columns, in this order for good: new ones are added at the end. `capture_request` is none of them: a
 * table is passed around more freely than the log. */
static const struct column {
    const char *name, *object, *member;
    enum form form;
} columns[] = {
    {"seq", NULL, "seq", PLAIN},
    {"id", NULL, "id", PLAIN},
    {"timestamp", NULL, "timestamp", PLAIN},
    {"event_type", NULL, "event_type", PLAIN},
    {"mode", NULL, "mode", PLAIN},
    {"verdict", NULL, "verdict", PLAIN},
    {"would_verdict", NULL, "would_verdict", PLAIN},
    {"reason_code", NULL, "reason_code", PLAIN},
    {"message", NULL, "message", PLAIN},
    {"policies", NULL, "policies", POLICIES},
    {"exe", "app", "exe", PLAIN},
    {"pid", "app", "pid", PLAIN},
    {"uid", "app", "uid", PLAIN},
    {"cwd", "app", "cwd", PLAIN},
    {"ci_job", "app", "ci_job", PLAIN},
    {"lane", NULL, "lane", PLAIN},
    {"origin", NULL, "origin", PLAIN},
    {"method", NULL, "method", PLAIN},
    {"path", NULL, "path", PLAIN},
    {"model", NULL, "model", PLAIN},
    {"target", NULL, "target", PLAIN},
    {"provider", NULL, "provider", PLAIN},
    {"upstream_model", NULL, "upstream_model", PLAIN},
    {"attempts", NULL, "attempts", LENGTH},
    {"status", NULL, "status", PLAIN},
    {"stream", NULL, "stream", PLAIN},
    {"prompt_tokens", "usage", "prompt_tokens", PLAIN},
    {"completion_tokens", "usage", "completion_tokens", PLAIN},
    {"total_tokens", "usage", "total_tokens", PLAIN},
    {"cached_tokens", "usage", "cached_tokens", PLAIN},
    {"cost_usd", NULL, "cost_usd", PLAIN},
    {"latency_ms", NULL, "latency_ms", PLAIN},
    {"ttft_ms", NULL, "ttft_ms", PLAIN},
    {"overhead_us", NULL, "overhead_us", PLAIN},
    {"error", NULL, "error", PLAIN},
    {"config_name", "config", "name", PLAIN},
    {"config_version", "config", "version", PLAIN},
    {"config_sha256", "config", "sha256", PLAIN},
    {"trace_id", NULL, "trace_id", PLAIN},
    {"prev_hash", NULL, "prev_hash", PLAIN},
    {"hash", NULL, "hash", PLAIN},
    {"ci_commit", "app", "ci_commit", PLAIN},
    {"ci_branch", "app", "ci_branch", PLAIN},
    {"run", "app", "run", PLAIN},
    {"chunks", NULL, "chunks", PLAIN},
    {"held_bytes_max", NULL, "held_bytes_max", PLAIN},
    {"tokens_per_s", NULL, "tokens_per_s", PLAIN},
    {"interruption", NULL, "interruption", PLAIN},
    {"delivered_chunks", NULL, "delivered_chunks", PLAIN},
    {"delivered_bytes", NULL, "delivered_bytes", PLAIN},
};

/* Spreadsheets take these for the beginning of a formula, in full width too. */
static bool formula(const char *text)
{
    static const char *const starts[] = {"=",  "+",      "-",      "@",      "\t",
                                         "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20"};
    bool is = false;
    for (size_t i = 0; i < KT_COUNT(starts) && !is; i++)
        is = strncmp(text, starts[i], strlen(starts[i])) == 0;
    return is;
}

static kt_result put_cell(struct kt_buf *out, const char *text)
{
    bool quote = strpbrk(text, ",\"\r\n") || text[0] == ' ' || (text[0] && text[strlen(text) - 1] == ' ');
    KT_GUARD(kt_buf_printf(out, "%s%s", quote ? "\"" : "", formula(text) ? "'" : ""));
    for (const char *at = text; *at;) {
        size_t bad = strchr("\t\r\n", *at) ? 0 : events_unsafe(at);
        if (bad)
            KT_GUARD(kt_buf_puts(out, EVENTS_REPLACEMENT));
        else if (*at == '"')
            KT_GUARD(kt_buf_puts(out, "\"\""));
        else
            KT_GUARD(kt_buf_append(out, at, 1));
        at += bad ? bad : 1;
    }
    return quote ? kt_buf_puts(out, "\"") : kt_ok();
}

/* "pii-detector/request:redact:3;..." (kind, phase, verdict, matches) of all policies that ran. */
static kt_result put_policies(struct kt_buf *out, const cJSON *policies)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf cell = KT_BUF_INIT(KT_AUDIT_LINE_MAX);
    const cJSON *p;
    cJSON_ArrayForEach(p, policies)
    {
        const char *kind = events_text(p, "kind"), *phase = events_text(p, "phase"),
                   *verdict = events_text(p, "verdict");
        double matches = events_number(p, "matches");
        KT_GUARD(kt_buf_printf(&cell, "%s%s/%s:%s:%.0f", cell.len ? ";" : "", kind ? kind : "",
                               phase ? phase : "", verdict ? verdict : "", matches > 0 ? matches : 0.0));
    }
    return cell.len ? put_cell(out, cell.data) : kt_ok();
}

/* Costs have nine decimals at most and stand well inside of ten digits. */
static kt_result put_number(struct kt_buf *out, double n)
{
    char text[40];
    if (n > -9e15 && n < 9e15 && n == (double)(int64_t)n)
        snprintf(text, sizeof text, "%.0f", n);
    else
        snprintf(text, sizeof text, "%.10g", n);
    return put_cell(out, text);
}

static kt_result put_column(struct kt_buf *out, const struct column *c, const cJSON *event)
{
    const cJSON *from = c->object ? cJSON_GetObjectItemCaseSensitive(event, c->object) : event;
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(from, c->member);
    if (c->form == POLICIES)
        return put_policies(out, j);
    if (c->form == LENGTH)
        return put_number(out, cJSON_GetArraySize(j));
    if (cJSON_IsString(j))
        return put_cell(out, j->valuestring);
    if (cJSON_IsNumber(j))
        return put_number(out, j->valuedouble);
    return cJSON_IsBool(j) ? kt_buf_puts(out, cJSON_IsTrue(j) ? "true" : "false") : kt_ok();
}

kt_result events_csv_head(struct kt_buf *out)
{
    for (size_t i = 0; i < KT_COUNT(columns); i++)
        KT_GUARD(kt_buf_printf(out, "%s%s", i ? "," : "", columns[i].name));
    return kt_buf_puts(out, "\r\n");
}

kt_result events_csv_row(const cJSON *event, struct kt_buf *out)
{
    for (size_t i = 0; i < KT_COUNT(columns); i++) {
        if (i)
            KT_GUARD(kt_buf_puts(out, ","));
        KT_GUARD(put_column(out, &columns[i], event));
    }
    return kt_buf_puts(out, "\r\n");
}
