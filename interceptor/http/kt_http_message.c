/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/http/kt_http_head.h"

#include <stdlib.h>
#include <string.h>

void kt_request_free(struct kt_request *r)
{
    /* The head carries the program's own API key. */
    kt_buf_wipe_free(&r->head);
    kt_buf_free(&r->body);
    free(r->headers);
    memset(r, 0, sizeof *r);
}

struct kt_span kt_request_header(const struct kt_request *r, const char *name)
{
    for (size_t i = 0; i < r->header_count; i++)
        if (kt_span_ieq(r->headers[i].name, name))
            return r->headers[i].value;
    return kt_span(NULL, 0);
}

struct kt_span kt_request_path(const struct kt_request *r)
{
    struct kt_span t = r->target;
    if (t.len == 0 || t.data[0] == '/' || t.data[0] == '*')
        return t;
    const char *host = memchr(t.data, '/', t.len); /* "https://host/path": the parser has checked the form */
    size_t at = host ? (size_t)(host - t.data) + 2 : t.len;
    while (at < t.len && t.data[at] != '/' && t.data[at] != '?')
        at++;
    if (at >= t.len || t.data[at] == '?')
        return kt_span("/", 1);
    return kt_span(t.data + at, t.len - at);
}

static const struct {
    int status;
    const char *text;
} reasons[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {529, "Overloaded"},
};

const char *kt_http_reason(int status)
{
    for (size_t i = 0; i < KT_COUNT(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].text;
    return "Unknown";
}

static bool is_framing(struct kt_span name)
{
    return kt_span_ieq(name, "content-length") || kt_span_ieq(name, "transfer-encoding") ||
           kt_span_ieq(name, "connection") || kt_span_ieq(name, "keep-alive");
}

static bool is_value(struct kt_span v)
{
    for (size_t i = 0; i < v.len; i++)
        if (v.data[i] == '\r' || v.data[i] == '\n' || v.data[i] == '\0')
            return false;
    return true;
}

static kt_result put_fields(struct kt_buf *out, const struct kt_header *headers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct kt_header *h = &headers[i];
        if (is_framing(h->name))
            continue;
        KT_ENSURE(kt_http_is_token(h->name) && is_value(h->value), KT_ERR_SYNTAX);
        KT_GUARD(kt_buf_append(out, h->name.data, h->name.len));
        KT_GUARD(kt_buf_append(out, ": ", 2));
        KT_GUARD(kt_buf_append(out, h->value.data, h->value.len));
        KT_GUARD(kt_buf_append(out, "\r\n", 2));
    }
    return kt_ok();
}

static kt_result put_all(struct kt_buf *out, int minor, int status, const struct kt_header *headers,
                         size_t count, int64_t length, bool keep_alive)
{
    bool bodiless =
        status < 200 || status == 204 || status == 304; /* these may carry no framing (RFC 9112 6) */
    KT_GUARD(kt_buf_printf(out, "HTTP/1.1 %d %s\r\n", status, kt_http_reason(status)));
    KT_GUARD(put_fields(out, headers, count));
    if (!bodiless && length >= 0)
        KT_GUARD(kt_buf_printf(out, "Content-Length: %lld\r\n", (long long)length));
    else if (!bodiless && minor > 0)
        KT_GUARD(kt_buf_puts(out, "Transfer-Encoding: chunked\r\n"));
    else if (!bodiless)
        keep_alive = false; /* only the close tells an HTTP/1.0 client where the body ends */
    if (status >= 200 && !keep_alive)
        KT_GUARD(kt_buf_puts(out, "Connection: close\r\n"));
    else if (status >= 200 && minor == 0)
        KT_GUARD(kt_buf_puts(out, "Connection: keep-alive\r\n"));
    return kt_buf_puts(out, "\r\n");
}

kt_result kt_http_put_head(struct kt_buf *out, int minor, int status, const struct kt_header *headers,
                           size_t count, int64_t length, bool keep_alive)
{
    KT_ENSURE(status >= 100 && status <= 999, KT_ERR_USAGE);
    size_t before = out->len;
    kt_result r = put_all(out, minor, status, headers, count, length, keep_alive);
    if (!kt_is_ok(r)) {
        out->len = before;
        if (out->data)
            out->data[before] = '\0';
    }
    return r;
}
