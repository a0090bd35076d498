/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/http/kt_http_chunked.h"
#include "interceptor/http/kt_http.h"

enum state {
    ST_SIZE,    /* hex digits */
    ST_BLANK,   /* white space between the size and ';' */
    ST_EXT,     /* a chunk extension, dropped */
    ST_SIZE_LF, /* LF of the size line */
    ST_DATA,    /* payload */
    ST_DATA_CR, /* CRLF behind the payload */
    ST_DATA_LF,
    ST_LINE_START, /* first byte of a trailer line or of the last, empty one */
    ST_TRAILER,    /* rest of a trailer line, dropped */
    ST_TRAILER_LF,
    ST_END_LF /* LF of the empty line */
};

static int hex_value(unsigned char b)
{
    if (b >= '0' && b <= '9')
        return b - '0';
    b |= 0x20;
    return b >= 'a' && b <= 'f' ? b - 'a' + 10 : -1;
}

/* Bytes that may stand in a dropped extension or trailer: visible ones, blanks, obs-text. */
static bool is_text(unsigned char b)
{
    return (b >= ' ' && b != 0x7f) || b == '\t';
}

static enum kt_chunked_event to(struct kt_chunked *c, bool fits, int next)
{
    c->state = next;
    return fits ? KT_CHUNKED_MORE : KT_CHUNKED_BAD;
}

static enum kt_chunked_event size_byte(struct kt_chunked *c, unsigned char b)
{
    int v = hex_value(b);
    if (v >= 0) {
        if (c->digits == 15) /* 60 bits: no overflow, and far over any limit that a body has */
            return KT_CHUNKED_BAD;
        c->digits++;
        c->left = c->left << 4 | (unsigned)v;
        return KT_CHUNKED_MORE;
    }
    if (c->digits == 0)
        return KT_CHUNKED_BAD;
    if (b == '\r')
        return to(c, true, ST_SIZE_LF);
    if (b == ';')
        return to(c, true, ST_EXT);
    return to(c, b == ' ' || b == '\t', ST_BLANK);
}

static enum kt_chunked_event extension_byte(struct kt_chunked *c, unsigned char b)
{
    if (++c->extra > KT_HTTP_MAX_CHUNK_EXT)
        return KT_CHUNKED_BAD;
    if (c->state == ST_BLANK)
        return b == ';' ? to(c, true, ST_EXT) : to(c, b == ' ' || b == '\t', ST_BLANK);
    return b == '\r' ? to(c, true, ST_SIZE_LF) : to(c, is_text(b), ST_EXT);
}

static enum kt_chunked_event trailer_byte(struct kt_chunked *c, unsigned char b)
{
    if (++c->extra > KT_HTTP_MAX_TRAILER)
        return KT_CHUNKED_TRAILERS;
    if (c->state == ST_LINE_START) {
        if (b == '\r')
            return to(c, true, ST_END_LF);
        return to(c, is_text(b) && b != ' ' && b != '\t', ST_TRAILER); /* no folded trailer either */
    }
    return b == '\r' ? to(c, true, ST_TRAILER_LF) : to(c, is_text(b), ST_TRAILER);
}

static enum kt_chunked_event size_line_end(struct kt_chunked *c, unsigned char b)
{
    bool last = c->left == 0;
    c->digits = 0;
    if (last)
        c->extra = 0; /* from here on it counts trailer bytes */
    if (b == '\n' && c->left > c->budget)
        return KT_CHUNKED_LARGE; /* refused when announced, not after its bytes came */
    c->budget -= c->left;
    return to(c, b == '\n', last ? ST_LINE_START : ST_DATA);
}

static enum kt_chunked_event one_byte(struct kt_chunked *c, unsigned char b)
{
    switch (c->state) {
    case ST_SIZE:
        return size_byte(c, b);
    case ST_BLANK:
    case ST_EXT:
        return extension_byte(c, b);
    case ST_SIZE_LF:
        return size_line_end(c, b);
    case ST_DATA_CR:
        return to(c, b == '\r', ST_DATA_LF);
    case ST_DATA_LF:
        return to(c, b == '\n', ST_SIZE);
    case ST_LINE_START:
    case ST_TRAILER:
        return trailer_byte(c, b);
    case ST_TRAILER_LF:
        return to(c, b == '\n', ST_LINE_START);
    case ST_END_LF:
        return b == '\n' ? KT_CHUNKED_END : KT_CHUNKED_BAD;
    default:
        return KT_CHUNKED_BAD;
    }
}

enum kt_chunked_event kt_chunked_next(struct kt_chunked *c, const char *data, size_t len, size_t *used,
                                      struct kt_span *payload)
{
    size_t at = 0;
    enum kt_chunked_event event = KT_CHUNKED_MORE;
    while (at < len && event == KT_CHUNKED_MORE) {
        if (c->state == ST_DATA) {
            size_t n = len - at < c->left ? len - at : (size_t)c->left;
            *payload = kt_span(data + at, n);
            at += n;
            c->left -= n;
            if (c->left == 0)
                c->state = ST_DATA_CR;
            event = KT_CHUNKED_DATA;
        } else {
            event = one_byte(c, (unsigned char)data[at]);
            at++;
        }
    }
    *used = at;
    return event;
}
