/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/audit/kt_event.h"
#include "policyengine/audit/audit_log.h"

#include <string.h>

#define REPLACEMENT "\xEF\xBF\xBD"

/* Length of the well-formed UTF-8 sequence at s; 0 where there is none, and *bad is then how many bytes one
 * replacement stands for (Unicode 3.9, "maximal subpart"). n > 0. */
static size_t utf8_at(const unsigned char *s, size_t n, size_t *bad)
{
    unsigned char c = s[0], low = 0x80, high = 0xBF;
    size_t need = c < 0x80                 ? 1
                  : c >= 0xC2 && c <= 0xDF ? 2
                  : (c & 0xF0) == 0xE0     ? 3
                  : c >= 0xF0 && c <= 0xF4 ? 4
                                           : 0;
    *bad = 1;
    if (need <= 1)
        return need;
    if (c == 0xE0)
        low = 0xA0; /* overlong */
    else if (c == 0xED)
        high = 0x9F; /* surrogates */
    else if (c == 0xF0)
        low = 0x90;
    else if (c == 0xF4)
        high = 0x8F; /* above U+10FFFF */
    for (size_t i = 1; i < need; i++) {
        if (i >= n || s[i] < low || s[i] > high) {
            *bad = i;
            return 0;
        }
        low = 0x80;
        high = 0xBF;
    }
    return need;
}

kt_result kt_event_text(struct kt_buf *out, const char *data, size_t len)
{
    const unsigned char *s = (const unsigned char *)data;
    size_t start = 0, i = kt_plain_run(data, len);
    if (i == len) /* most texts need neither escape nor repair */
        return kt_buf_append(out, data, len);
    while (i < len) {
        size_t bad, n = utf8_at(s + i, len - i, &bad);
        if (n > 0) {
            i += n;
            continue;
        }
        KT_GUARD(kt_buf_json(out, data + start, i - start));
        KT_GUARD(kt_buf_puts(out, REPLACEMENT));
        i += bad;
        start = i;
    }
    return kt_buf_json(out, data + start, len - start);
}

/* Writes `,"name":`, without the comma for the first member of an object, and makes room for `extra` bytes
 * behind it. Not by printf, and not piece by piece: an event has some sixty members and must cost
 * microseconds. */
static kt_result name(struct kt_buf *b, const char *member, size_t extra)
{
    size_t n = strlen(member);
    KT_GUARD(kt_buf_reserve(b, n + 4 + extra));
    char *at = b->data + b->len;
    if (at[-1] != '{' && at[-1] != '[')
        *at++ = ',';
    *at++ = '"';
    memcpy(at, member, n);
    memcpy(at + n, "\":", 3);
    b->len = (size_t)(at + n + 2 - b->data);
    return kt_ok();
}

static kt_result put_text(struct kt_buf *b, const char *member, const char *value)
{
    if (!value)
        return kt_ok();
    size_t n = strlen(value);
    KT_GUARD(name(b, member, n + 2));
    char *at = b->data + b->len;
    *at = '"';
    if (kt_plain_run(value, n) == n) {
        memcpy(at + 1, value, n);
        memcpy(at + 1 + n, "\"", 2);
        b->len += n + 2;
        return kt_ok();
    }
    b->len++;
    KT_GUARD(kt_event_text(b, value, n));
    return kt_buf_append(b, "\"", 1);
}

static kt_result digits(struct kt_buf *b, uint64_t value)
{
    char text[20];
    size_t at = sizeof text;
    do
        text[--at] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    return kt_buf_append(b, text + at, sizeof text - at);
}

static kt_result put_u64(struct kt_buf *b, const char *member, uint64_t value)
{
    KT_GUARD(name(b, member, 20));
    return digits(b, value);
}

static kt_result put_i64(struct kt_buf *b, const char *member, int64_t value)
{
    KT_GUARD(name(b, member, 20));
    if (value < 0)
        KT_GUARD(kt_buf_append(b, "-", 1));
    return digits(b, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

/* By integers: printf's %f follows the wrapped program's locale, and "0,5" is no JSON. Negative and
 * unprintable values are left out. Nine decimals at most, no zeros behind. */
static kt_result put_decimal(struct kt_buf *b, const char *member, double value)
{
    if (!(value >= 0 && value < 1e9))
        return kt_ok();
    uint64_t nano = (uint64_t)(value * 1e9 + 0.5);
    char fraction[10] = ".";
    uint64_t rest = nano % 1000000000u;
    for (size_t i = sizeof fraction; --i > 0; rest /= 10)
        fraction[i] = (char)('0' + rest % 10);
    size_t n = sizeof fraction;
    while (n > 0 && (fraction[n - 1] == '0' || fraction[n - 1] == '.'))
        n--;
    KT_GUARD(put_u64(b, member, nano / 1000000000u));
    return kt_buf_append(b, fraction, n);
}

static kt_result open_with(struct kt_buf *b, const char *member, char bracket)
{
    KT_GUARD(name(b, member, 20));
    return kt_buf_append(b, &bracket, 1);
}

static kt_result put_policy(struct kt_buf *b, const struct kt_event_policy *p)
{
    KT_GUARD(kt_buf_puts(b, b->data[b->len - 1] == '[' ? "{" : ",{"));
    KT_GUARD(put_text(b, "kind", p->kind));
    KT_GUARD(put_text(b, "phase", p->phase));
    KT_GUARD(put_text(b, "verdict", p->verdict));
    KT_GUARD(put_decimal(b, "score", p->score));
    KT_GUARD(put_u64(b, "matches", p->matches));
    if (p->label_count > 0) {
        KT_GUARD(open_with(b, "labels", '{'));
        for (size_t i = 0; i < p->label_count; i++) {
            KT_GUARD(kt_buf_puts(b, i > 0 ? ",\"" : "\""));
            KT_GUARD(kt_event_text(b, p->labels[i].name, strlen(p->labels[i].name)));
            KT_GUARD(kt_buf_append(b, "\":", 2));
            KT_GUARD(digits(b, p->labels[i].count));
        }
        KT_GUARD(kt_buf_puts(b, "}"));
    }
    KT_GUARD(put_u64(b, "time_us", p->time_us));
    KT_GUARD(put_u64(b, "bytes", p->bytes));
    return kt_buf_puts(b, "}");
}

static kt_result put_attempt(struct kt_buf *b, const struct kt_event_attempt *a)
{
    KT_GUARD(kt_buf_puts(b, b->data[b->len - 1] == '[' ? "{" : ",{"));
    KT_GUARD(put_text(b, "target", a->target));
    KT_GUARD(put_text(b, "provider", a->provider));
    KT_GUARD(put_text(b, "model", a->model));
    if (a->status != 0)
        KT_GUARD(put_i64(b, "status", a->status));
    KT_GUARD(put_text(b, "outcome", a->outcome));
    KT_GUARD(put_text(b, "detail", a->detail));
    KT_GUARD(put_u64(b, "latency_ms", a->latency_ms));
    return kt_buf_puts(b, "}");
}

static kt_result put_decision(struct kt_buf *b, const struct kt_event *e)
{
    KT_GUARD(put_text(b, "mode", e->mode));
    KT_GUARD(put_text(b, "verdict", e->verdict));
    KT_GUARD(put_text(b, "would_verdict", e->would_verdict));
    KT_GUARD(put_text(b, "reason_code", e->reason_code));
    KT_GUARD(put_text(b, "message", e->message));
    if (e->policy_count > 0) {
        KT_GUARD(open_with(b, "policies", '['));
        for (size_t i = 0; i < e->policy_count; i++)
            KT_GUARD(put_policy(b, &e->policies[i]));
        KT_GUARD(kt_buf_puts(b, "]"));
    }
    return kt_ok();
}

static kt_result put_origin(struct kt_buf *b, const struct kt_event *e)
{
    if (e->app.exe || e->app.pid != 0) {
        KT_GUARD(open_with(b, "app", '{'));
        KT_GUARD(put_text(b, "exe", e->app.exe));
        KT_GUARD(put_i64(b, "pid", e->app.pid));
        KT_GUARD(put_u64(b, "uid", e->app.uid));
        KT_GUARD(put_text(b, "cwd", e->app.cwd));
        KT_GUARD(put_text(b, "ci_job", e->app.ci_job));
        KT_GUARD(put_text(b, "ci_commit", e->app.ci_commit));
        KT_GUARD(put_text(b, "ci_branch", e->app.ci_branch));
        KT_GUARD(put_text(b, "run", e->app.run));
        KT_GUARD(kt_buf_puts(b, "}"));
    }
    KT_GUARD(put_text(b, "lane", e->lane));
    KT_GUARD(put_text(b, "origin", e->origin));
    KT_GUARD(put_text(b, "method", e->method));
    KT_GUARD(put_text(b, "path", e->path));
    KT_GUARD(put_text(b, "model", e->model));
    KT_GUARD(put_text(b, "target", e->target));
    KT_GUARD(put_text(b, "provider", e->provider));
    KT_GUARD(put_text(b, "upstream_model", e->upstream_model));
    if (e->attempt_count > 0) {
        KT_GUARD(open_with(b, "attempts", '['));
        for (size_t i = 0; i < e->attempt_count; i++)
            KT_GUARD(put_attempt(b, &e->attempts[i]));
        KT_GUARD(kt_buf_puts(b, "]"));
    }
    return kt_ok();
}

static kt_result put_streamed(struct kt_buf *b, const struct kt_event *e)
{
    if (!e->streamed.known)
        return kt_ok();
    KT_GUARD(put_u64(b, "chunks", e->streamed.chunks));
    KT_GUARD(put_u64(b, "delivered_chunks", e->streamed.delivered_chunks));
    KT_GUARD(put_u64(b, "delivered_bytes", e->streamed.delivered_bytes));
    KT_GUARD(put_u64(b, "held_bytes_max", e->streamed.held_bytes_max));
    if (e->streamed.tokens_per_s > 0)
        KT_GUARD(put_decimal(b, "tokens_per_s", e->streamed.tokens_per_s));
    return put_text(b, "interruption", e->streamed.interruption);
}

/* Without an answer to the client there is nothing that zero would say. */
static kt_result put_result(struct kt_buf *b, const struct kt_event *e)
{
    bool answered = e->status != 0;
    if (answered)
        KT_GUARD(put_i64(b, "status", e->status));
    if (answered || e->stream) {
        KT_GUARD(name(b, "stream", 5));
        KT_GUARD(kt_buf_puts(b, e->stream ? "true" : "false"));
    }
    if (e->usage.known) {
        KT_GUARD(open_with(b, "usage", '{'));
        KT_GUARD(put_i64(b, "prompt_tokens", e->usage.prompt_tokens));
        KT_GUARD(put_i64(b, "completion_tokens", e->usage.completion_tokens));
        KT_GUARD(put_i64(b, "total_tokens", e->usage.total_tokens));
        KT_GUARD(put_i64(b, "cached_tokens", e->usage.cached_tokens));
        KT_GUARD(kt_buf_puts(b, "}"));
    }
    if (answered)
        KT_GUARD(put_decimal(b, "cost_usd", e->cost_usd));
    if (answered || e->latency_ms > 0)
        KT_GUARD(put_u64(b, "latency_ms", e->latency_ms));
    if (e->has_ttft)
        KT_GUARD(put_u64(b, "ttft_ms", e->ttft_ms));
    KT_GUARD(put_streamed(b, e));
    if (answered || e->overhead_us > 0)
        KT_GUARD(put_u64(b, "overhead_us", e->overhead_us));
    return put_text(b, "error", e->error);
}

static kt_result put_config(struct kt_buf *b, const struct kt_event *e)
{
    if (!e->config.name && !e->config.version && !e->config.sha256)
        return kt_ok();
    KT_GUARD(open_with(b, "config", '{'));
    KT_GUARD(put_text(b, "name", e->config.name));
    KT_GUARD(put_text(b, "version", e->config.version));
    KT_GUARD(put_text(b, "sha256", e->config.sha256));
    return kt_buf_puts(b, "}");
}

kt_result kt_event_canonical(const struct kt_event *e, struct kt_buf *out)
{
    char when[31];
    kt_rfc3339(e->timestamp_ns, when);
    KT_GUARD(kt_buf_puts(out, "{"));
    KT_GUARD(put_text(out, "id", e->id));
    KT_GUARD(put_u64(out, "seq", e->seq));
    KT_GUARD(put_text(out, "timestamp", when));
    KT_GUARD(put_text(out, "event_type", e->event_type ? e->event_type : "decision"));
    KT_GUARD(put_decision(out, e));
    KT_GUARD(put_origin(out, e));
    KT_GUARD(put_result(out, e));
    KT_GUARD(put_config(out, e));
    if (e->retention_days > 0)
        KT_GUARD(put_i64(out, "retention_days", e->retention_days));
    KT_GUARD(put_text(out, "trace_id", e->trace_id));
    KT_GUARD(put_text(out, "capture_request", e->capture_request));
    return e->immutable ? put_text(out, "prev_hash", e->prev_hash) : kt_ok();
}

kt_result kt_event_new_id(char out[33])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char raw[16];
    KT_GUARD(kt_random(raw, sizeof raw));
    for (size_t i = 0; i < sizeof raw; i++) {
        out[2 * i] = hex[raw[i] >> 4];
        out[2 * i + 1] = hex[raw[i] & 15];
    }
    out[2 * sizeof raw] = '\0';
    return kt_ok();
}
