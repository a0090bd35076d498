/* SPDX-License-Identifier: Apache-2.0 */
/* What goes out: URL and header fields, for a target with its own key or for the origin with the program's
 * credentials. */
#include "interceptor/exchange/kt_exchange_trace.h"

#include <stdio.h>
#include <string.h>

#ifndef KT_VERSION
#define KT_VERSION "0"
#endif

void kt_x_outgoing_init(struct kt_x_outgoing *o)
{
    o->text = (struct kt_buf)KT_BUF_INIT(1u << 20);
    o->url = 0;
    o->count = 0;
}

void kt_x_outgoing_free(struct kt_x_outgoing *o)
{
    kt_buf_wipe_free(&o->text);
}

static kt_result put(struct kt_x_outgoing *o, struct kt_span s, size_t *at)
{
    KT_ENSURE(!s.len || !memchr(s.data, '\0', s.len), KT_ERR_SYNTAX);
    *at = o->text.len;
    KT_GUARD(kt_buf_append(&o->text, s.data, s.len));
    return kt_buf_append(&o->text, "", 1);
}

static struct kt_span text(const char *s)
{
    return kt_span(s, strlen(s));
}

static kt_result add(struct kt_x_outgoing *o, struct kt_span name, struct kt_span value)
{
    KT_ENSURE(o->count < KT_HTTP_MAX_FIELDS, KT_ERR_LIMIT);
    KT_GUARD(put(o, name, &o->name[o->count]));
    KT_GUARD(put(o, value, &o->value[o->count]));
    o->count++;
    return kt_ok();
}

void kt_x_outgoing_fill(struct kt_x_outgoing *o, struct kt_call_request *q)
{
    for (size_t i = 0; i < o->count; i++)
        o->headers[i] = (struct kt_call_header){o->text.data + o->name[i], o->text.data + o->value[i]};
    q->url = o->text.data + o->url;
    q->headers = o->headers;
    q->header_count = o->count;
}

/* ---- a target ---- */

static kt_result add_key(struct kt_x_outgoing *o, const struct kt_target *t, const char *key)
{
    const char *prefix = t->api_key_prefix ? t->api_key_prefix : "";
    size_t n = strlen(prefix);
    bool space = n && prefix[n - 1] != ' ';
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf value = KT_BUF_INIT(64u << 10);
    KT_GUARD(kt_buf_printf(&value, "%s%s%s", prefix, space ? " " : "", key));
    return add(o, text(t->api_key_header ? t->api_key_header : "Authorization"), kt_buf_span(&value));
}

kt_result kt_x_outgoing_target(struct kt_x_outgoing *o, const struct kt_target *t, const char *path,
                               const char *key, bool stream)
{
    KT_ENSURE(t->base_url, KT_ERR_USAGE);
    o->url = o->text.len;
    KT_GUARD(kt_buf_printf(&o->text, "%s%s", t->base_url, path));
    KT_GUARD(kt_buf_append(&o->text, "", 1));
    KT_GUARD(add(o, text("Content-Type"), text("application/json")));
    KT_GUARD(add(o, text("Accept"), text(stream ? "text/event-stream" : "application/json")));
    KT_GUARD(add(o, text("User-Agent"), text("ktwrap/" KT_VERSION)));
    return key ? add_key(o, t, key) : kt_ok();
}

kt_result kt_x_outgoing_trace(struct kt_x_outgoing *o, struct kt_exchange *x)
{
    char value[64];
    if (!x->rt->config || !x->rt->config->telemetry.propagate)
        return kt_ok();
    const struct kt_trace_ids *t = kt_x_trace(x);
    snprintf(value, sizeof value, "00-%s-%s-%s", t->trace_id, t->span_id, t->flags);
    return add(o, text("traceparent"), text(value));
}

/* ---- the origin ---- */

struct kt_span kt_x_path(const struct kt_exchange *x)
{
    struct kt_span t = x->request.target;
    if (!t.len || t.data[0] == '/' || t.data[0] == '*')
        return t;
    const char *end = t.data + t.len;
    const char *scheme = memmem(t.data, t.len, "://", 3);
    const char *from = scheme ? scheme + 3 : t.data;
    const char *slash = memchr(from, '/', (size_t)(end - from));
    return slash ? kt_span(slash, (size_t)(end - slash)) : kt_span("/", 1);
}

static bool named_by_connection(const struct kt_request *r, struct kt_span name)
{
    for (size_t i = 0; i < r->header_count; i++) {
        if (!kt_span_ieq(r->headers[i].name, "connection"))
            continue;
        struct kt_span v = r->headers[i].value;
        for (size_t at = 0; at < v.len;) {
            size_t end = at;
            while (end < v.len && v.data[end] != ',')
                end++;
            size_t a = at, b = end;
            while (a < b && (v.data[a] == ' ' || v.data[a] == '\t'))
                a++;
            while (b > a && (v.data[b - 1] == ' ' || v.data[b - 1] == '\t'))
                b--;
            if (b - a == name.len && strncasecmp(v.data + a, name.data, name.len) == 0)
                return true;
            at = end + 1;
        }
    }
    return false;
}

static bool stays_here(const struct kt_request *r, struct kt_span name)
{
    static const char *const hop[] = {
        "connection", "keep-alive",     "proxy-connection",  "proxy-authorization",
        "te",         "trailer",        "transfer-encoding", "upgrade",
        "host",       "content-length", "accept-encoding",   "expect"};
    for (size_t i = 0; i < KT_COUNT(hop); i++)
        if (kt_span_ieq(name, hop[i]))
            return true;
    if (r->decoded && kt_span_ieq(name, "content-encoding"))
        return true;
    return named_by_connection(r, name);
}

static kt_result put_origin_url(struct kt_x_outgoing *o, const struct kt_exchange *x)
{
    struct kt_span path = kt_x_path(x);
    bool v6 = strchr(x->host, ':') != NULL;
    bool usual = x->port == (x->tls ? 443 : 80) || x->port == 0;
    o->url = o->text.len;
    KT_GUARD(kt_buf_printf(&o->text, "%s://%s%s%s", x->tls ? "https" : "http", v6 ? "[" : "", x->host,
                           v6 ? "]" : ""));
    if (!usual)
        KT_GUARD(kt_buf_printf(&o->text, ":%u", x->port));
    KT_ENSURE(!memchr(path.data, '\0', path.len), KT_ERR_SYNTAX);
    KT_GUARD(kt_buf_append(&o->text, path.data, path.len));
    return kt_buf_append(&o->text, "", 1);
}

kt_result kt_x_outgoing_origin(struct kt_x_outgoing *o, const struct kt_exchange *x)
{
    const struct kt_request *r = &x->request;
    KT_GUARD(put_origin_url(o, x));
    for (size_t i = 0; i < r->header_count; i++)
        if (!stays_here(r, r->headers[i].name))
            KT_GUARD(add(o, r->headers[i].name, r->headers[i].value));
    return kt_ok();
}
