/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Both directions of an HTTP/2 connection (RFC 9113) as somebody who only reads along sees them: frames,
 * header blocks (HPACK by nghttp2), nothing sent, no flow control. Incremental, bounded; any split of the
 * bytes.
 */
#include "policyengine/base/kt_buf.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_H2_MAX_BLOCK (256u << 10) /* bytes of one header block, compressed */
#define KT_H2_MAX_FIELDS_BYTES                                                                               \
    (64u << 10)                    /* of one block's names and values; what is beyond is not reported */
#define KT_H2_MAX_TABLE (1u << 20) /* HPACK table that a peer may ask for, bytes */

enum kt_h2_dir { KT_H2_CLIENT, KT_H2_SERVER, KT_H2_DIRS }; /* who sent it */

struct kt_h2_handler {
    /* False: nothing of this frame is to be reported yet; kt_h2_feed stops in front of it. */
    bool (*may)(void *arg, enum kt_h2_dir dir, uint32_t stream);
    /* A header field; borrowed, NUL-terminated. */
    void (*field)(void *arg, enum kt_h2_dir dir, uint32_t stream, struct kt_span name, struct kt_span value);
    /* The block is over. `cut`: it had more fields than are reported. */
    void (*fields_end)(void *arg, enum kt_h2_dir dir, uint32_t stream, bool cut);
    void (*data)(void *arg, enum kt_h2_dir dir, uint32_t stream, const char *data, size_t len);
    void (*end_stream)(void *arg, enum kt_h2_dir dir, uint32_t stream);
    void (*reset)(void *arg, enum kt_h2_dir dir, uint32_t stream);
    /* Streams of the other side above `last` were not looked at. */
    void (*goaway)(void *arg, enum kt_h2_dir dir, uint32_t last);
    void *arg;
};

struct kt_h2;

/* new. Copies `handler`. */
kt_result kt_h2_new(const struct kt_h2_handler *handler, struct kt_h2 **out) KT_MUST;
void kt_h2_free(struct kt_h2 *h);

enum kt_h2_state {
    KT_H2_MORE,  /* all bytes are used */
    KT_H2_STALL, /* `may` said no; feed the rest again */
    KT_H2_BAD    /* for good: kt_h2_error tells */
};
/* *used says how many bytes were taken. The client's bytes begin with the preface. */
enum kt_h2_state kt_h2_feed(struct kt_h2 *h, enum kt_h2_dir dir, const char *data, size_t len, size_t *used);
/* Static text; NULL = nothing is wrong. */
const char *kt_h2_error(const struct kt_h2 *h);

#ifdef __cplusplus
}
#endif
