/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/http/kt_http_inflate.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#define WINDOW_GZIP (15 + 16)
#define WINDOW_ZLIB 15
#define WINDOW_RAW (-15)
#define MEMBER_BEGINS 0x1f
#define STEP (16u << 10) /* room asked for at a time; the buffer itself grows geometrically */

struct kt_inflate {
    z_stream z;
    enum kt_http_coding coding;
    bool ready;             /* inflateInit2 was called */
    bool started, ended;    /* any byte seen; the (current) stream is complete */
    bool padded, padding;   /* what is no member may follow the last one; it does */
    unsigned char first[2]; /* deflate: kept back until the wrapper is known */
    unsigned first_len;
};

kt_result kt_inflate_new(enum kt_http_coding coding, struct kt_inflate **out)
{
    struct kt_inflate *z = calloc(1, sizeof *z);
    KT_ENSURE(z, KT_ERR_MEMORY);
    z->coding = coding;
    *out = z;
    return kt_ok();
}

void kt_inflate_free(struct kt_inflate *z)
{
    if (z && z->ready)
        inflateEnd(&z->z);
    free(z);
}

void kt_inflate_allow_padding(struct kt_inflate *z)
{
    z->padded = true;
}

static kt_result init(struct kt_inflate *z, int window)
{
    KT_ENSURE(inflateInit2(&z->z, window) == Z_OK, KT_ERR_MEMORY);
    z->ready = true;
    return kt_ok();
}

/* One call of inflate. A full buffer still gets one byte of room, to tell "just fits" from "too large". */
static kt_result step(struct kt_inflate *z, struct kt_buf *out)
{
    unsigned char spare;
    size_t room = out->max - out->len;
    if (room > STEP)
        room = STEP;
    KT_GUARD(kt_buf_reserve(out, room));
    if (room > 0 && out->cap - out->len - 1 > room)
        room = out->cap - out->len - 1; /* what growing gave beyond */
    if (room > UINT_MAX)
        room = UINT_MAX;
    z->z.next_out = room > 0 ? (unsigned char *)out->data + out->len : &spare;
    z->z.avail_out = room > 0 ? (unsigned)room : 1;
    unsigned before = z->z.avail_out;
    int rc = inflate(&z->z, Z_NO_FLUSH);
    unsigned made = before - z->z.avail_out;
    KT_ENSURE(room > 0 || made == 0, KT_ERR_LIMIT);
    out->len += made;
    if (out->data)
        out->data[out->len] = '\0';
    z->ended = rc == Z_STREAM_END;
    KT_ENSURE(rc != Z_MEM_ERROR, KT_ERR_MEMORY);
    KT_ENSURE(rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR, KT_ERR_SYNTAX);
    return kt_ok();
}

/* Behind the end of a stream. gzip may be several members one after the other (RFC 1952 2.2); nothing may
 * follow a deflate stream. */
static kt_result next_member(struct kt_inflate *z)
{
    z->padding = z->padded && (z->coding != KT_CODING_GZIP || *z->z.next_in != MEMBER_BEGINS);
    if (z->padding)
        return kt_ok();
    KT_ENSURE(z->coding == KT_CODING_GZIP && inflateReset(&z->z) == Z_OK, KT_ERR_SYNTAX);
    z->ended = false;
    return kt_ok();
}

static kt_result run(struct kt_inflate *z, const unsigned char *data, size_t len, struct kt_buf *out)
{
    while (len > 0 && !z->padding) {
        unsigned part = len > UINT_MAX ? UINT_MAX : (unsigned)len;
        z->z.next_in = (unsigned char *)(uintptr_t)data; /* zlib does not write to it */
        z->z.avail_in = part;
        do {
            if (z->ended)
                KT_GUARD(next_member(z));
            if (z->padding)
                return kt_ok();
            KT_GUARD(step(z, out));
        } while (z->z.avail_in > 0 || (!z->ended && z->z.avail_out == 0));
        data += part;
        len -= part;
    }
    return kt_ok();
}

/* "deflate" means zlib's wrapper, yet some clients send it raw: the first two bytes tell. */
static kt_result detect_deflate(struct kt_inflate *z, const unsigned char **data, size_t *len,
                                struct kt_buf *out)
{
    while (z->first_len < 2 && *len > 0) {
        z->first[z->first_len++] = **data;
        (*data)++;
        (*len)--;
    }
    if (z->first_len < 2)
        return kt_ok();
    bool zlib = (z->first[0] & 0x0f) == 8 && (z->first[0] << 8 | z->first[1]) % 31 == 0;
    KT_GUARD(init(z, zlib ? WINDOW_ZLIB : WINDOW_RAW));
    return run(z, z->first, 2, out);
}

kt_result kt_inflate_feed(struct kt_inflate *z, const char *bytes, size_t len, struct kt_buf *out)
{
    const unsigned char *data = (const unsigned char *)bytes;
    if (len > 0)
        z->started = true;
    if (!z->ready && z->coding == KT_CODING_GZIP)
        KT_GUARD(init(z, WINDOW_GZIP));
    if (!z->ready)
        KT_GUARD(detect_deflate(z, &data, &len, out));
    return len > 0 ? run(z, data, len, out) : kt_ok();
}

kt_result kt_inflate_finish(const struct kt_inflate *z)
{
    KT_ENSURE(z->ended || !z->started, KT_ERR_SYNTAX);
    return kt_ok();
}
