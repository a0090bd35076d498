/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/supervise/first_bytes.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define RECORD_HEAD 5
#define HANDSHAKE 22
#define CLIENT_HELLO 1

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
    while (!all.bad && all.at < all.end) {
        unsigned type = number(&all, 2);
        struct cursor ext = part(&all, number(&all, 2));
        if (!all.bad && type == 0)
            return read_server_name(ext, host) ? FIRST_TLS : FIRST_UNREADABLE;
    }
    return c.bad || all.bad ? FIRST_UNREADABLE : FIRST_TLS;
}

/* A ClientHello may be spread over several records. */
static enum first_kind look_tls(struct kt_span b, char host[FIRST_HOST_MAX])
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
    return b.len >= FIRST_BYTES_MAX ? FIRST_UNREADABLE : FIRST_MORE;
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

/* The value of Host in the lines of `head`. */
static bool find_host(struct kt_span head, char host[FIRST_HOST_MAX])
{
    const char *p = head.data, *end = head.data + head.len;
    while (p < end) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        const char *stop = nl ? nl : end;
        if (stop - p > 5 && strncasecmp(p, "host:", 5) == 0) {
            const char *v = p + 5;
            while (v < stop && (*v == ' ' || *v == '\t'))
                v++;
            while (stop > v && (stop[-1] == ' ' || stop[-1] == '\t' || stop[-1] == '\r'))
                stop--;
            return keep_authority(host, kt_span(v, (size_t)(stop - v)));
        }
        p = nl ? nl + 1 : end;
    }
    return false;
}

static enum first_kind read_request(struct kt_span head, bool tunnel, char host[FIRST_HOST_MAX])
{
    const char *target = memchr(head.data, ' ', head.len);
    const char *end = head.data + head.len;
    target++; /* the method was found with its blank */
    const char *stop = target;
    while (stop < end && *stop != ' ' && *stop != '\r' && *stop != '\n')
        stop++;
    struct kt_span t = kt_span(target, (size_t)(stop - target));
    if (tunnel)
        return keep_authority(host, t) ? FIRST_CONNECT : FIRST_UNREADABLE;
    if (t.len > 7 && strncasecmp(t.data, "http://", 7) == 0) {
        const char *slash = memchr(t.data + 7, '/', t.len - 7);
        size_t len = slash ? (size_t)(slash - t.data - 7) : t.len - 7;
        return keep_authority(host, kt_span(t.data + 7, len)) ? FIRST_HTTP : FIRST_UNREADABLE;
    }
    find_host(kt_span(stop, (size_t)(end - stop)), host);
    return FIRST_HTTP;
}

/* The method at the start; 0 = none, -1 = it may still become one. */
static int find_method(struct kt_span b, const char **method)
{
    static const char *const all[] = {"GET ",   "POST ",    "PUT ",     "HEAD ", "DELETE ",
                                      "PATCH ", "OPTIONS ", "CONNECT ", "TRACE "};
    int found = 0;
    for (size_t i = 0; i < KT_COUNT(all); i++) {
        size_t len = strlen(all[i]);
        *method = all[i];
        if (b.len >= len && memcmp(b.data, all[i], len) == 0)
            return 1;
        if (b.len < len && memcmp(b.data, all[i], b.len) == 0)
            found = -1;
    }
    return found;
}

enum first_kind first_look(struct kt_span b, char host[FIRST_HOST_MAX])
{
    const char *method;
    host[0] = '\0';
    if (b.len == 0)
        return FIRST_MORE;
    if ((unsigned char)b.data[0] == HANDSHAKE)
        return look_tls(b, host);
    int found = find_method(b, &method);
    if (found <= 0)
        return found == 0 ? FIRST_OTHER : FIRST_MORE;
    /* Whichever comes first: what is known must not change with more bytes. */
    const char *end = memmem(b.data, b.len, "\r\n\r\n", 4), *bare = memmem(b.data, b.len, "\n\n", 2);
    if (bare && (!end || bare < end))
        end = bare;
    if (!end)
        return b.len >= FIRST_BYTES_MAX ? FIRST_UNREADABLE : FIRST_MORE;
    return read_request(kt_span(b.data, (size_t)(end - b.data)), method[0] == 'C', host);
}
