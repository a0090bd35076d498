/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/http/kt_http_head.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static struct kt_http_fault fault(int status, const char *text)
{
    struct kt_http_fault f = {status, text};
    return f;
}

static const struct kt_http_fault fine = {0, NULL};

static bool is_tchar(unsigned char c)
{
    if ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'))
        return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

bool kt_http_is_token(struct kt_span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_tchar((unsigned char)s.data[i]))
            return false;
    return s.len > 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct kt_span trim(struct kt_span s)
{
    while (s.len > 0 && is_blank(s.data[0]))
        s = kt_span(s.data + 1, s.len - 1);
    while (s.len > 0 && is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

bool kt_http_list_next(struct kt_span *rest, struct kt_span *item)
{
    while (rest->len > 0) {
        const char *comma = memchr(rest->data, ',', rest->len);
        size_t n = comma ? (size_t)(comma - rest->data) : rest->len;
        *item = trim(kt_span(rest->data, n));
        size_t skip = comma ? n + 1 : n;
        *rest = kt_span(rest->data + skip, rest->len - skip);
        if (item->len > 0)
            return true;
    }
    return false;
}

/* Splits off a line; the reader has already made sure that each one ends in CRLF. */
static struct kt_span next_line(struct kt_span *rest)
{
    const char *nl = memchr(rest->data, '\n', rest->len);
    size_t n = nl ? (size_t)(nl - rest->data) + 1 : rest->len;
    struct kt_span line = kt_span(rest->data, n >= 2 ? n - 2 : 0);
    *rest = kt_span(rest->data + n, rest->len - n);
    return line;
}

static bool has_prefix(struct kt_span s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.len >= n && strncasecmp(s.data, prefix, n) == 0;
}

static struct kt_http_fault check_target(struct kt_span method, struct kt_span target)
{
    for (size_t i = 0; i < target.len; i++) {
        unsigned char c = (unsigned char)target.data[i];
        if (c <= ' ' || c == 0x7f || c == '#')
            return fault(400, "the request target holds a forbidden character");
    }
    if (kt_span_eq(method, "CONNECT"))
        return fault(501, "CONNECT is not served here");
    if (target.len > 0 && target.data[0] == '/')
        return fine;
    if (kt_span_eq(target, "*") && kt_span_eq(method, "OPTIONS"))
        return fine;
    if ((has_prefix(target, "http://") && target.len > 7) ||
        (has_prefix(target, "https://") && target.len > 8))
        return fine;
    return fault(400, "the request target has no known form");
}

static struct kt_http_fault parse_version(struct kt_span v, int *minor)
{
    if (v.len != 8 || memcmp(v.data, "HTTP/", 5) != 0 || v.data[6] != '.' || v.data[5] < '0' ||
        v.data[5] > '9' || v.data[7] < '0' || v.data[7] > '9')
        return fault(400, "malformed request line");
    if (v.data[5] != '1')
        return fault(505, "only HTTP/1.0 and HTTP/1.1 are served here");
    *minor =
        v.data[7] == '0' ? 0 : 1; /* a later minor version is read as the latest one known (RFC 9110 2.5) */
    return fine;
}

static struct kt_http_fault parse_request_line(struct kt_request *r, struct kt_span line)
{
    const char *end = line.data + line.len;
    const char *sp1 = memchr(line.data, ' ', line.len);
    const char *sp2 = sp1 ? memchr(sp1 + 1, ' ', (size_t)(end - sp1 - 1)) : NULL;
    if (!sp2)
        return fault(400, "malformed request line");
    r->method = kt_span(line.data, (size_t)(sp1 - line.data));
    r->target = kt_span(sp1 + 1, (size_t)(sp2 - sp1 - 1));
    if (!kt_http_is_token(r->method))
        return fault(400, "malformed method");
    struct kt_http_fault f = parse_version(kt_span(sp2 + 1, (size_t)(end - sp2 - 1)), &r->minor);
    if (f.status)
        return f;
    return check_target(r->method, r->target);
}

static struct kt_http_fault parse_field(struct kt_span line, struct kt_header *h)
{
    if (is_blank(line.data[0]))
        return fault(400, "folded header fields are not accepted");
    const char *colon = memchr(line.data, ':', line.len);
    if (!colon)
        return fault(400, "a header field has no colon");
    h->name = kt_span(line.data, (size_t)(colon - line.data));
    if (!kt_http_is_token(h->name)) /* also refuses a space in front of the colon */
        return fault(400, "malformed header field name");
    h->value = trim(kt_span(colon + 1, line.len - h->name.len - 1));
    for (size_t i = 0; i < h->value.len; i++) {
        unsigned char c = (unsigned char)h->value.data[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return fault(400, "a header field value holds a control character");
    }
    return fine;
}

struct kt_http_fault kt_http_parse_head(struct kt_request *r, size_t lines)
{
    struct kt_span rest = kt_buf_span(&r->head);
    struct kt_http_fault f = parse_request_line(r, next_line(&rest));
    if (f.status)
        return f;
    if (lines > 0) {
        r->headers = calloc(lines, sizeof *r->headers);
        if (!r->headers)
            return fault(503, "out of memory");
    }
    while (r->header_count < lines) {
        f = parse_field(next_line(&rest), &r->headers[r->header_count]);
        if (f.status)
            return f;
        r->header_count++;
    }
    return fine;
}
