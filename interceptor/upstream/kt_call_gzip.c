/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gzip and deflate of an answer. libcurl reads the first member of gzip and no other, while RFC 1952 (2.2)
 * has any number of them, and servers that flush a stream so make many; and it takes data that end in their
 * middle for whole. So from the head of such an answer on, it gives the bytes as they come. What follows the
 * last member and begins no other is ignored, as by libcurl, browsers and gzip(1). br and zstd stay its own.
 */
#include "interceptor/http/kt_http_inflate.h"
#include "interceptor/upstream/kt_upstream_private.h"

#include <stdlib.h>
#include <string.h>

#define STEP 1024u           /* packed bytes at a time ... */
#define PLAIN_MAX (2u << 20) /* ... become 1,032 times as many at most */
#define MEMBER_BEGINS 0x1f
#define DECODES_FROM_HEADER                                                                                  \
    0x080600 /* from this libcurl on, its decoder is set up before the head has ended */

struct kt_call_gzip {
    struct kt_inflate *z;
    enum kt_http_coding coding;
    struct kt_buf plain;
    size_t skip; /* bytes of what libcurl shows next were read already, before a pause */
    bool begun;
    bool plain_already; /* a libcurl that had set up its own decoder by then */
};

void kt_call_gzip_free(struct kt_call *c)
{
    if (!c->gzip)
        return;
    kt_inflate_free(c->gzip->z);
    kt_buf_free(&c->gzip->plain);
    free(c->gzip);
    c->gzip = NULL;
}

static bool sets_up_early(void)
{
    return curl_version_info(CURLVERSION_NOW)->version_num >= DECODES_FROM_HEADER;
}

static KT_MUST kt_result begin(struct kt_call *c, enum kt_http_coding coding)
{
    c->gzip = calloc(1, sizeof *c->gzip);
    KT_ENSURE(c->gzip, KT_ERR_MEMORY);
    c->gzip->plain = (struct kt_buf)KT_BUF_INIT(PLAIN_MAX);
    c->gzip->coding = coding;
    KT_GUARD(kt_inflate_new(coding, &c->gzip->z));
    kt_inflate_allow_padding(c->gzip->z);
    c->handle->undecoded = true;
    return curl_easy_setopt(c->easy, CURLOPT_HTTP_CONTENT_DECODING, 0L) == CURLE_OK ? kt_ok()
                                                                                    : kt_err(KT_ERR_INTERNAL);
}

void kt_call_gzip_begin(struct kt_call *c, const struct kt_call_head *head)
{
    size_t codings = 0;
    bool gzip = false, deflate = false;
    for (size_t i = 0; i < head->count; i++) {
        const struct kt_call_header *h = &head->headers[i];
        if (!kt_span_ieq(kt_span(h->name, strlen(h->name)), "Content-Encoding"))
            continue;
        codings++;
        struct kt_span value = kt_span(h->value, strlen(h->value));
        gzip = kt_span_ieq(value, "gzip") || kt_span_ieq(value, "x-gzip");
        deflate = kt_span_ieq(value, "deflate") && !sets_up_early(); /* no first byte tells it from plain */
    }
    if ((gzip || deflate) && codings == 1 && !kt_is_ok(begin(c, gzip ? KT_CODING_GZIP : KT_CODING_DEFLATE)))
        kt_call_gzip_free(c); /* libcurl's own decoder, then */
}

const char *kt_call_gzip_fault(const struct kt_call *c)
{
    static const char *const faults[2][2] = {
        {"the gzip data of the answer end in the middle", "the gzip data of the answer are damaged"},
        {"the deflate data of the answer end in the middle", "the deflate data of the answer are damaged"}};
    const struct kt_call_gzip *g = c->gzip;
    if (!g || g->plain_already || (!c->damaged && kt_is_ok(kt_inflate_finish(g->z))))
        return NULL;
    return faults[g->coding == KT_CODING_DEFLATE][c->damaged];
}

size_t kt_call_gzip_write(struct kt_call *c, const char *data, size_t len)
{
    struct kt_call_gzip *g = c->gzip;
    size_t at = g->skip < len ? g->skip : len;
    if (!g->begun && len) {
        g->begun = true;
        g->plain_already = (unsigned char)*data != MEMBER_BEGINS && sets_up_early();
    }
    if (g->plain_already) {
        c->handler.on_data(c->handler.arg, data, len);
        return c->state == KT_CS_DOOMED ? 0 : len;
    }
    while (at < len && !c->released) {
        if (c->paused) {
            g->skip = at;
            return CURL_WRITEFUNC_PAUSE;
        }
        size_t n = len - at < STEP ? len - at : STEP;
        kt_buf_clear(&g->plain);
        if (!kt_is_ok(kt_inflate_feed(g->z, data + at, n, &g->plain))) {
            c->damaged = true;
            return 0;
        }
        at += n;
        if (g->plain.len)
            c->handler.on_data(c->handler.arg, g->plain.data, g->plain.len);
        if (c->state == KT_CS_DOOMED)
            return 0;
    }
    g->skip = g->skip > len ? g->skip - len : 0;
    return len;
}
