/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/tap/kt_h2.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define HEAD_BYTES 9u
#define SMALL_MAX                                                                                            \
    (16u << 10) /* payload of SETTINGS, RST_STREAM and GOAWAY that is kept; what is beyond is skipped */
#define DEFAULT_TABLE 4096u
#define SETTING_TABLE 1

enum type {
    DATA = 0,
    HEADERS = 1,
    RST_STREAM = 3,
    SETTINGS = 4,
    PUSH_PROMISE = 5,
    GOAWAY = 7,
    CONTINUATION = 9
};
enum flag { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8, PRIORITY = 32 };

/* One direction. */
struct side {
    nghttp2_hd_inflater *hd; /* owned */
    size_t preface;          /* bytes of it that are still to come */
    uint8_t head[HEAD_BYTES];
    unsigned have;   /* bytes of `head` */
    bool in_payload; /* of the frame that `head` describes */
    uint8_t type, flags;
    uint32_t stream, left; /* left: payload bytes to come */
    bool pad_read;
    uint32_t pad;        /* DATA: bytes at its end */
    struct kt_buf small; /* payload of a frame that is looked at whole */
    struct kt_buf block; /* header block under way */
    bool block_open;     /* only CONTINUATION may follow */
    bool block_ends;     /* END_STREAM was on its HEADERS */
    bool block_foreign;  /* of a push: keeps the table right, says nothing */
    uint32_t block_stream;
    int64_t
        asked_table; /* its SETTINGS: for the other side's blocks, from that side's ACK on; -1 = nothing */
};

struct kt_h2 {
    struct kt_h2_handler on;
    struct side side[KT_H2_DIRS];
    const char *error;
};

static enum kt_h2_state bad(struct kt_h2 *h, const char *why)
{
    h->error = why;
    return KT_H2_BAD;
}

kt_result kt_h2_new(const struct kt_h2_handler *handler, struct kt_h2 **out)
{
    struct kt_h2 *h = calloc(1, sizeof *h);
    KT_ENSURE(h, KT_ERR_MEMORY);
    h->on = *handler;
    for (int i = 0; i < KT_H2_DIRS; i++) {
        struct side *s = &h->side[i];
        s->small = (struct kt_buf)KT_BUF_INIT(SMALL_MAX);
        s->block = (struct kt_buf)KT_BUF_INIT(KT_H2_MAX_BLOCK);
        s->asked_table = -1;
        if (nghttp2_hd_inflate_new(&s->hd) != 0) {
            kt_h2_free(h);
            return kt_err(KT_ERR_MEMORY);
        }
    }
    h->side[KT_H2_CLIENT].preface = sizeof PREFACE - 1;
    *out = h;
    return kt_ok();
}

void kt_h2_free(struct kt_h2 *h)
{
    if (!h)
        return;
    for (int i = 0; i < KT_H2_DIRS; i++) {
        nghttp2_hd_inflate_del(h->side[i].hd);
        kt_buf_free(&h->side[i].small);
        kt_buf_wipe_free(&h->side[i].block);
    }
    free(h);
}

const char *kt_h2_error(const struct kt_h2 *h)
{
    return h->error;
}

/* ---- header blocks ---- */

/* A bomb of many fields is inflated, because the table must stay right, but not reported. */
static bool inflate(struct kt_h2 *h, enum kt_h2_dir dir, bool *cut)
{
    struct side *s = &h->side[dir];
    const uint8_t *in = (const uint8_t *)kt_buf_span(&s->block).data;
    size_t left = s->block.len, reported = 0;
    for (;;) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t n = nghttp2_hd_inflate_hd2(s->hd, &nv, &flags, in, left, 1);
        if (n < 0)
            return false;
        in += n;
        left -= (size_t)n;
        if (flags & NGHTTP2_HD_INFLATE_EMIT) {
            reported += nv.namelen + nv.valuelen + 32; /* as HPACK counts */
            *cut |= reported > KT_H2_MAX_FIELDS_BYTES;
            if (!*cut && !s->block_foreign)
                h->on.field(h->on.arg, dir, s->block_stream, kt_span((char *)nv.name, nv.namelen),
                            kt_span((char *)nv.value, nv.valuelen));
        }
        if (flags & NGHTTP2_HD_INFLATE_FINAL) {
            nghttp2_hd_inflate_end_headers(s->hd);
            return left == 0;
        }
        if (!(flags & NGHTTP2_HD_INFLATE_EMIT) && left == 0)
            return false;
    }
}

static enum kt_h2_state end_block(struct kt_h2 *h, enum kt_h2_dir dir)
{
    struct side *s = &h->side[dir];
    bool cut = false;
    s->block_open = false;
    if (!inflate(h, dir, &cut))
        return bad(h, "a header block cannot be read");
    kt_buf_clear(&s->block);
    if (s->block_foreign)
        return KT_H2_MORE;
    h->on.fields_end(h->on.arg, dir, s->block_stream, cut);
    if (s->block_ends)
        h->on.end_stream(h->on.arg, dir, s->block_stream);
    return KT_H2_MORE;
}

/* What stands around the block in HEADERS and PUSH_PROMISE. False where it does not fit. */
static bool strip(const struct side *s, struct kt_span *block)
{
    uint8_t pad = 0;
    size_t front = (s->flags & PADDED) ? 1 : 0;
    if (front && !block->len)
        return false;
    if (front)
        pad = (uint8_t)block->data[0];
    if (s->type == HEADERS && (s->flags & PRIORITY))
        front += 5;
    if (s->type == PUSH_PROMISE)
        front += 4;
    if (block->len < front + pad)
        return false;
    *block = kt_span(block->data + front, block->len - front - pad);
    return true;
}

static enum kt_h2_state take_block(struct kt_h2 *h, enum kt_h2_dir dir)
{
    struct side *s = &h->side[dir];
    struct kt_span part = kt_buf_span(&s->small);
    if (s->type != CONTINUATION) {
        if (!strip(s, &part))
            return bad(h, "padding is longer than its frame");
        s->block_open = true;
        s->block_stream = s->stream;
        s->block_ends = s->type == HEADERS && (s->flags & END_STREAM);
        s->block_foreign = s->type == PUSH_PROMISE;
    }
    if (!kt_is_ok(kt_buf_append(&s->block, part.data, part.len)))
        return bad(h, "a header block is too large");
    return (s->flags & END_HEADERS) ? end_block(h, dir) : KT_H2_MORE;
}

/* ---- other frames ---- */

static uint32_t get32(const char *p)
{
    const uint8_t *b = (const uint8_t *)p;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* The other side has seen what this one asked for. */
static bool acknowledged(struct kt_h2 *h, enum kt_h2_dir dir)
{
    struct side *asked = &h->side[dir == KT_H2_CLIENT ? KT_H2_SERVER : KT_H2_CLIENT];
    int64_t size = asked->asked_table;
    asked->asked_table = -1;
    return size < 0 || nghttp2_hd_inflate_change_table_size(h->side[dir].hd, (size_t)size) == 0;
}

static enum kt_h2_state take_settings(struct kt_h2 *h, enum kt_h2_dir dir)
{
    struct side *s = &h->side[dir];
    const char *p = kt_buf_span(&s->small).data;
    if (s->flags & ACK)
        return acknowledged(h, dir) ? KT_H2_MORE : bad(h, "no memory for a header table");
    for (size_t i = 0; i + 6 <= s->small.len; i += 6) {
        unsigned id = (unsigned)(uint8_t)p[i] << 8 | (uint8_t)p[i + 1];
        if (id != SETTING_TABLE)
            continue;
        if (get32(p + i + 2) > KT_H2_MAX_TABLE)
            return bad(h, "a header table is too large");
        s->asked_table = get32(p + i + 2);
    }
    return KT_H2_MORE;
}

static enum kt_h2_state frame_end(struct kt_h2 *h, enum kt_h2_dir dir)
{
    struct side *s = &h->side[dir];
    enum kt_h2_state state = KT_H2_MORE;
    s->in_payload = false;
    s->have = 0;
    if (s->type == HEADERS || s->type == PUSH_PROMISE || s->type == CONTINUATION)
        state = take_block(h, dir);
    else if (s->type == SETTINGS)
        state = take_settings(h, dir);
    else if (s->type == RST_STREAM)
        h->on.reset(h->on.arg, dir, s->stream);
    else if (s->type == GOAWAY && s->small.len >= 8)
        h->on.goaway(h->on.arg, dir, get32(s->small.data) & 0x7fffffffu);
    else if (s->type == DATA && (s->flags & END_STREAM))
        h->on.end_stream(h->on.arg, dir, s->stream);
    kt_buf_clear(&s->small);
    return state;
}

static bool is_block(const struct side *s)
{
    return s->type == HEADERS || s->type == PUSH_PROMISE || s->type == CONTINUATION;
}

static enum kt_h2_state frame_begin(struct kt_h2 *h, enum kt_h2_dir dir)
{
    struct side *s = &h->side[dir];
    s->left = (uint32_t)s->head[0] << 16 | (uint32_t)s->head[1] << 8 | s->head[2];
    s->type = s->head[3];
    s->flags = s->head[4];
    s->stream = get32((const char *)s->head + 5) & 0x7fffffffu;
    bool continues = s->type == CONTINUATION;
    if (s->block_open != continues || (continues && s->stream != s->block_stream))
        return bad(h, "a header block is interrupted");
    if (is_block(s) && s->left > KT_H2_MAX_BLOCK)
        return bad(h, "a header block is too large");
    if ((is_block(s) || s->type == DATA) && s->stream == 0)
        return bad(h, "a frame of a stream has none");
    if ((s->type == DATA || s->type == HEADERS || s->type == RST_STREAM) &&
        !h->on.may(h->on.arg, dir, s->stream))
        return KT_H2_STALL;
    s->in_payload = true;
    s->pad_read = !(s->type == DATA && (s->flags & PADDED));
    s->pad = 0;
    s->small.max = is_block(s) ? KT_H2_MAX_BLOCK : SMALL_MAX;
    return KT_H2_MORE;
}

/* ---- bytes ---- */

static enum kt_h2_state take_data(struct kt_h2 *h, enum kt_h2_dir dir, const char *data, size_t n)
{
    struct side *s = &h->side[dir];
    if (!s->pad_read && n > 0) {
        s->pad = (uint8_t)*data++;
        s->pad_read = true;
        s->left--;
        n--;
        if (s->pad > s->left)
            return bad(h, "padding is longer than its frame");
    }
    size_t real = s->left > s->pad ? s->left - s->pad : 0;
    if (n > 0 && real > 0)
        h->on.data(h->on.arg, dir, s->stream, data, n < real ? n : real);
    s->left -= (uint32_t)n;
    return KT_H2_MORE;
}

static enum kt_h2_state take_payload(struct kt_h2 *h, enum kt_h2_dir dir, const char *data, size_t n)
{
    struct side *s = &h->side[dir];
    if (s->type == DATA)
        return take_data(h, dir, data, n);
    bool wanted = is_block(s) || s->type == SETTINGS || s->type == GOAWAY;
    size_t room = s->small.max - s->small.len, keep = n < room ? n : room;
    if (wanted && keep > 0 && !kt_is_ok(kt_buf_append(&s->small, data, keep)))
        return bad(h, "out of memory");
    s->left -= (uint32_t)n;
    return KT_H2_MORE;
}

static enum kt_h2_state take_preface(struct kt_h2 *h, const char *data, size_t len, size_t *used)
{
    struct side *s = &h->side[KT_H2_CLIENT];
    size_t n = len < s->preface ? len : s->preface;
    if (memcmp(&PREFACE[sizeof PREFACE - 1 - s->preface], data, n) != 0)
        return bad(h, "this is not HTTP/2");
    s->preface -= n;
    *used = n;
    return KT_H2_MORE;
}

/* At least one byte, or the whole of an empty payload, goes. */
static enum kt_h2_state step(struct kt_h2 *h, enum kt_h2_dir dir, const char *data, size_t len, size_t *used)
{
    struct side *s = &h->side[dir];
    if (!s->in_payload) {
        size_t n = HEAD_BYTES - s->have < len ? HEAD_BYTES - s->have : len;
        memcpy(s->head + s->have, data, n);
        s->have += (unsigned)n;
        *used += n;
        if (s->have < HEAD_BYTES)
            return KT_H2_MORE;
        enum kt_h2_state state = frame_begin(h, dir);
        return state == KT_H2_MORE && s->left == 0 ? frame_end(h, dir) : state;
    }
    size_t n = len < s->left ? len : s->left;
    enum kt_h2_state state = take_payload(h, dir, data, n);
    *used += n;
    return state == KT_H2_MORE && s->left == 0 ? frame_end(h, dir) : state;
}

enum kt_h2_state kt_h2_feed(struct kt_h2 *h, enum kt_h2_dir dir, const char *data, size_t len, size_t *used)
{
    *used = 0;
    enum kt_h2_state state = h->error ? KT_H2_BAD : KT_H2_MORE;
    if (state == KT_H2_MORE && h->side[dir].preface && len > 0)
        state = take_preface(h, data, len, used);
    if (state == KT_H2_MORE && h->side[dir].have == HEAD_BYTES && !h->side[dir].in_payload) {
        state = frame_begin(h, dir); /* it stalled here */
        if (state == KT_H2_MORE && h->side[dir].left == 0)
            state = frame_end(h, dir);
    }
    while (state == KT_H2_MORE && *used < len)
        state = step(h, dir, data + *used, len - *used, used);
    return state;
}
