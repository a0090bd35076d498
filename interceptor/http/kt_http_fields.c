/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/http/kt_http_head.h"

#include <string.h>

/* What the fields say about framing and connection, gathered before anything is decided: the conflicts are
 * between fields. */
struct gathered {
    unsigned hosts, lengths, transfers, codings;
    struct kt_span host, length, transfer, expect;
    bool close, keep_alive, wants_upgrade, websocket, bad_coding;
    enum kt_http_coding coding;
};

static struct kt_http_fault fault(int status, const char *text)
{
    struct kt_http_fault f = {status, text};
    return f;
}

static void read_connection(struct gathered *g, struct kt_span value)
{
    struct kt_span item;
    while (kt_http_list_next(&value, &item)) {
        g->close |= kt_span_ieq(item, "close");
        g->keep_alive |= kt_span_ieq(item, "keep-alive");
        g->wants_upgrade |= kt_span_ieq(item, "upgrade");
    }
}

/* Of a WebSocket nothing would be seen. What else is offered (h2c, TLS/1.2 by Apache's client) a server may
 * ignore (RFC 9110, 7.8), and the request is an ordinary one. */
static void read_upgrade(struct gathered *g, struct kt_span value)
{
    struct kt_span item;
    while (kt_http_list_next(&value, &item))
        g->websocket |= kt_span_ieq(item, "websocket");
}

static void read_coding(struct gathered *g, struct kt_span value)
{
    struct kt_span item;
    while (kt_http_list_next(&value, &item)) {
        if (kt_span_ieq(item, "identity"))
            continue;
        g->codings++;
        if (kt_span_ieq(item, "gzip") || kt_span_ieq(item, "x-gzip"))
            g->coding = KT_CODING_GZIP;
        else if (kt_span_ieq(item, "deflate"))
            g->coding = KT_CODING_DEFLATE;
        else
            g->bad_coding = true;
    }
}

static void gather(struct gathered *g, const struct kt_header *h)
{
    if (kt_span_ieq(h->name, "host")) {
        g->hosts++;
        g->host = h->value;
    } else if (kt_span_ieq(h->name, "content-length")) {
        g->lengths++;
        g->length = h->value;
    } else if (kt_span_ieq(h->name, "transfer-encoding")) {
        g->transfers++;
        g->transfer = h->value;
    } else if (kt_span_ieq(h->name, "expect")) {
        g->expect = h->value;
    } else if (kt_span_ieq(h->name, "connection")) {
        read_connection(g, h->value);
    } else if (kt_span_ieq(h->name, "upgrade")) {
        read_upgrade(g, h->value);
    } else if (kt_span_ieq(h->name, "content-encoding")) {
        read_coding(g, h->value);
    }
}

static bool valid_host(struct kt_span h)
{
    for (size_t i = 0; i < h.len; i++) {
        unsigned char c = (unsigned char)h.data[i];
        bool alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (!alnum && (c == '\0' || !strchr("-._~%!$&'()*+,;=:[]", c)))
            return false;
    }
    return true;
}

static struct kt_http_fault read_length(struct kt_request *r, struct kt_span v)
{
    if (v.len == 0)
        return fault(400, "malformed Content-Length");
    for (size_t i = 0; i < v.len; i++)
        if (v.data[i] < '0' || v.data[i] > '9') /* a list such as "5, 5" ends here too */
            return fault(400, "malformed Content-Length");
    while (v.len > 1 && v.data[0] == '0')
        v = kt_span(v.data + 1, v.len - 1);
    if (v.len > 18)
        return fault(413, "the body is too large");
    r->content_length = 0;
    for (size_t i = 0; i < v.len; i++)
        r->content_length = r->content_length * 10 + (v.data[i] - '0');
    return fault(0, NULL);
}

static struct kt_http_fault read_framing(struct kt_request *r, const struct gathered *g)
{
    r->content_length = -1;
    if (g->lengths > 1)
        return fault(400, "more than one Content-Length");
    if (g->transfers > 1)
        return fault(400, "more than one Transfer-Encoding");
    if (g->transfers && g->lengths)
        return fault(400, "Content-Length and Transfer-Encoding together");
    if (g->lengths)
        return read_length(r, g->length);
    if (!g->transfers)
        return fault(0, NULL);
    if (r->minor == 0)
        return fault(400, "Transfer-Encoding in an HTTP/1.0 request");
    if (!kt_span_ieq(g->transfer, "chunked"))
        return fault(501, "the only transfer coding served here is chunked");
    r->chunked = true;
    return fault(0, NULL);
}

struct kt_http_fault kt_http_read_fields(struct kt_request *r, enum kt_http_coding *coding)
{
    struct gathered g = {0};
    for (size_t i = 0; i < r->header_count; i++)
        gather(&g, &r->headers[i]);
    if (g.hosts > 1 || (g.hosts == 0 && r->minor > 0))
        return fault(400, "exactly one Host field is needed");
    if (!valid_host(g.host))
        return fault(400, "malformed Host");
    struct kt_http_fault f = read_framing(r, &g);
    if (f.status)
        return f;
    r->keep_alive = !g.close && (r->minor > 0 || g.keep_alive);
    r->upgrade = r->minor > 0 && g.wants_upgrade && g.websocket;
    bool body = r->chunked || r->content_length > 0;
    if (r->minor > 0 && g.expect.data) {
        if (!kt_span_ieq(g.expect, "100-continue"))
            return fault(417, "the only expectation served here is 100-continue");
        r->expect_continue = body;
    }
    if (g.bad_coding || g.codings > 1)
        return fault(415, "the body's Content-Encoding is not supported; use gzip, deflate or none");
    *coding = body ? g.coding : KT_CODING_IDENTITY;
    return fault(0, NULL);
}
