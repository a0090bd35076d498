/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/supervise/first_bytes.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define RECORD_HEAD 5
#define HANDSHAKE 22
#define CLIENT_HELLO 1
#define ENCRYPTED_CLIENT_HELLO 0xfe0d
#define OUTER 0

struct cursor { /* reads past the end give `bad` and nothing else */
    const unsigned char *at, *end;
    bool bad;
};

static unsigned number(struct cursor *c, unsigned bytes)
{
    unsigned v = 0;
    if ((size_t)(c->end - c->at) < bytes) {
        c->bad = true;
        return 0;
    }
    while (bytes--)
        v = v << 8 | *c->at++;
    return v;
}

/* The next `len` bytes as a cursor of their own. */
static struct cursor part(struct cursor *c, size_t len)
{
    struct cursor p = {c->at, c->at, true};
    if (c->bad || (size_t)(c->end - c->at) < len) {
        c->bad = true;
        return p;
    }
    p.bad = false;
    p.end = c->at += len;
    return p;
}

static bool keep(char host[FIRST_HOST_MAX], const char *text, size_t len)
{
    if (len == 0 || len >= FIRST_HOST_MAX || memchr(text, '\0', len))
        return false;
    memcpy(host, text, len);
    host[len] = '\0';
    return true;
}

/* server_name, RFC 6066 3. False where it breaks its grammar. */
static bool read_server_name(struct cursor ext, char host[FIRST_HOST_MAX])
{
    struct cursor list = part(&ext, number(&ext, 2));
    while (!list.bad && list.at < list.end) {
        unsigned type = number(&list, 1);
        struct cursor name = part(&list, number(&list, 2));
        if (!name.bad && type == 0)
            return keep(host, (const char *)name.at, (size_t)(name.end - name.at));
    }
    return !list.bad;
}

static enum first_kind read_hello(struct cursor c, char host[FIRST_HOST_MAX])
{
    part(&c, 2 + 32); /* version, random */
    part(&c, number(&c, 1));
    part(&c, number(&c, 2));
    part(&c, number(&c, 1));
    if (!c.bad && c.at == c.end)
        return FIRST_TLS; /* without extensions */
    struct cursor all = part(&c, number(&c, 2));
    bool named = false, front = false;
    while (!all.bad && all.at < all.end) {
        unsigned type = number(&all, 2);
        struct cursor ext = part(&all, number(&all, 2));
        if (!all.bad && type == 0 && !named && !(named = read_server_name(ext, host)))
            return FIRST_UNREADABLE;
        front = front || (type == ENCRYPTED_CLIENT_HELLO && number(&ext, 1) == OUTER && !ext.bad);
    }
    if ((c.bad || all.bad) && !named)
        return FIRST_UNREADABLE;
    return front ? FIRST_FRONT : FIRST_TLS;
}

/* A ClientHello may be spread over several records. */
static enum first_kind look_tls(struct kt_span b, bool full, char host[FIRST_HOST_MAX])
{
    unsigned char hello[FIRST_BYTES_MAX];
    size_t have = 0, at = 0;
    while (at + RECORD_HEAD <= b.len) {
        const unsigned char *r = (const unsigned char *)b.data + at;
        size_t len = (size_t)r[3] << 8 | r[4];
        if (r[0] != HANDSHAKE || r[1] != 3 || len == 0)
            return at == 0 && r[1] != 3 ? FIRST_OTHER : FIRST_UNREADABLE;
        size_t there = b.len - at - RECORD_HEAD, use = len < there ? len : there;
        if (have + use > sizeof hello)
            return FIRST_UNREADABLE;
        memcpy(hello + have, r + RECORD_HEAD, use);
        have += use;
        at += RECORD_HEAD + len;
        if (have > 0 && hello[0] != CLIENT_HELLO)
            return FIRST_UNREADABLE;
        if (have < 4)
            continue;
        size_t want = 4 + ((size_t)hello[1] << 16 | (size_t)hello[2] << 8 | hello[3]);
        if (want > sizeof hello)
            return FIRST_UNREADABLE;
        if (have >= want)
            return read_hello((struct cursor){hello + 4, hello + want, false}, host);
    }
    return full ? FIRST_UNREADABLE : FIRST_MORE;
}

/* host[:port], [v6][:port], user@host. */
static bool keep_authority(char host[FIRST_HOST_MAX], struct kt_span a)
{
    const char *user = memrchr(a.data, '@', a.len);
    if (user) {
        a.len -= (size_t)(user + 1 - a.data);
        a.data = user + 1;
    }
    if (a.len > 0 && a.data[0] == '[') {
        const char *close = memchr(a.data, ']', a.len);
        return close && keep(host, a.data + 1, (size_t)(close - a.data - 1));
    }
    const char *colon = memchr(a.data, ':', a.len);
    return keep(host, a.data, colon ? (size_t)(colon - a.data) : a.len);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct kt_span trim(const char *v, const char *stop)
{
    while (v < stop && is_blank(*v))
        v++;
    while (stop > v && (is_blank(stop[-1]) || stop[-1] == '\r'))
        stop--;
    return kt_span(v, (size_t)(stop - v));
}

/* The value of Host in the lines of `head`; "" where it has none. False where servers would read it in
 * different ways (RFC 9112 3.2, 5.1, 5.2): more than one, folded, a blank before the colon. */
static bool find_host(struct kt_span head, char host[FIRST_HOST_MAX])
{
    const char *p = head.data, *end = head.data + head.len;
    bool found = false;
    while (p < end) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        const char *stop = nl ? nl : end, *next = nl ? nl + 1 : end;
        if (stop - p > 4 && strncasecmp(p, "host", 4) == 0 && (p[4] == ':' || is_blank(p[4]))) {
            if (found || p[4] != ':' || (next < end && is_blank(*next)))
                return false;
            found = true;
            if (!keep_authority(host, trim(p + 5, stop)))
                host[0] = '\0';
        }
        p = next;
    }
    return true;
}

static enum first_kind read_request(struct kt_span head, char host[FIRST_HOST_MAX])
{
    const char *target = memchr(head.data, ' ', head.len);
    const char *end = head.data + head.len;
    bool tunnel = target - head.data == 7 && strncasecmp(head.data, "CONNECT", 7) == 0;
    target++; /* the method was found with its blank */
    const char *stop = target;
    while (stop < end && *stop != ' ' && *stop != '\r' && *stop != '\n')
        stop++;
    struct kt_span t = kt_span(target, (size_t)(stop - target));
    if (tunnel)
        return keep_authority(host, t) ? FIRST_CONNECT : FIRST_UNREADABLE;
    for (size_t scheme = 7; scheme <= 8; scheme++) { /* http:// and https:// */
        if (t.len <= scheme || strncasecmp(t.data, scheme == 7 ? "http://" : "https://", scheme) != 0)
            continue;
        const char *slash = memchr(t.data + scheme, '/', t.len - scheme);
        size_t len = slash ? (size_t)(slash - t.data) - scheme : t.len - scheme;
        return keep_authority(host, kt_span(t.data + scheme, len)) ? FIRST_HTTP : FIRST_UNREADABLE;
    }
    if (find_host(kt_span(stop, (size_t)(end - stop)), host))
        return FIRST_HTTP;
    host[0] = '\0';
    return FIRST_UNREADABLE;
}

/* Known methods need no look at the rest of their line. 0 = none, -1 = it may still become one. */
static int find_method(struct kt_span b)
{
    static const char *const all[] = {"GET ",   "POST ",    "PUT ",     "HEAD ", "DELETE ",
                                      "PATCH ", "OPTIONS ", "CONNECT ", "TRACE "};
    int found = 0;
    for (size_t i = 0; i < KT_COUNT(all); i++) {
        size_t len = strlen(all[i]);
        if (b.len >= len && memcmp(b.data, all[i], len) == 0)
            return 1;
        if (b.len < len && memcmp(b.data, all[i], b.len) == 0)
            found = -1;
    }
    return found;
}

/* A method of its own: a token, a target and HTTP/ in one line (RFC 9110 9.1). FIRST_HTTP where it is one. */
static enum first_kind look_line(struct kt_span b)
{
    static const char token[] =
        "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t n = 0;
    while (n < b.len && b.data[n] && strchr(token, b.data[n]))
        n++;
    if (n == 0 || (n < b.len && b.data[n] != ' '))
        return FIRST_OTHER;
    const char *nl = memchr(b.data, '\n', b.len);
    struct kt_span line = kt_span(b.data, nl ? (size_t)(nl - b.data) : b.len);
    for (size_t i = 0; i < line.len; i++)
        if ((unsigned char)line.data[i] < ' ' && line.data[i] != '\r' && line.data[i] != '\t')
            return FIRST_OTHER;
    if (!nl)
        return b.len >= FIRST_BYTES_MAX ? FIRST_OTHER : FIRST_MAYBE;
    bool http2 = line.len >= 14 && memcmp(line.data, "PRI * HTTP/2.0", 14) == 0;
    return !http2 && memmem(line.data, line.len, " HTTP/", 6) ? FIRST_HTTP : FIRST_OTHER;
}

/* What a client may send before its ClientHello, and middleboxes have sent: change_cipher_spec and alerts. 0
 * = no such record, -1 = it may become one. */
static int is_odd_record(struct kt_span b)
{
    static const unsigned char ccs[] = {20, 3, 0, 0, 1}, alert[] = {21, 3, 0, 0, 2};
    const unsigned char *p = (const unsigned char *)b.data, *want = p[0] == ccs[0] ? ccs : alert;
    for (size_t i = 0; i < RECORD_HEAD && i < b.len; i++)
        if (i == 2 ? p[i] > 4 : p[i] != want[i])
            return 0;
    return b.len >= RECORD_HEAD ? 1 : -1;
}

/* Servers pass over empty lines before a request (RFC 9112 2.2). */
static struct kt_span after_empty_lines(struct kt_span b)
{
    size_t at = 0;
    while (at < b.len && (b.data[at] == '\r' || b.data[at] == '\n'))
        at++;
    return kt_span(b.data + at, b.len - at);
}

enum first_kind first_look(struct kt_span all, char host[FIRST_HOST_MAX])
{
    bool full = all.len >= FIRST_BYTES_MAX;
    struct kt_span b = after_empty_lines(all);
    host[0] = '\0';
    if (all.len == 0)
        return FIRST_MORE;
    if (b.len == 0)
        return full ? FIRST_UNREADABLE : FIRST_MAYBE;
    if ((unsigned char)b.data[0] == HANDSHAKE)
        return look_tls(b, full, host);
    int odd = is_odd_record(b);
    if (odd != 0)
        return odd > 0 || full ? FIRST_UNREADABLE : FIRST_MORE;
    int method = find_method(b);
    if (method < 0)
        return full ? FIRST_UNREADABLE : FIRST_MORE;
    enum first_kind line = method > 0 ? FIRST_HTTP : look_line(b);
    if (line == FIRST_MAYBE && full)
        return FIRST_OTHER;
    if (line != FIRST_HTTP)
        return line;
    /* Whichever comes first: what is known must not change with more bytes. */
    const char *end = memmem(b.data, b.len, "\r\n\r\n", 4), *bare = memmem(b.data, b.len, "\n\n", 2);
    if (bare && (!end || bare < end))
        end = bare;
    if (!end)
        return full ? FIRST_UNREADABLE : FIRST_MORE;
    return read_request(kt_span(b.data, (size_t)(end - b.data)), host);
}
