/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside interceptor/http: the chunked transfer coding (RFC 9112 7.1), one pass, nothing buffered. */
#include "policyengine/base/kt_base.h"

struct kt_chunked {  /* all zero but `budget` = start of a body */
    uint64_t budget; /* payload bytes that chunks may still announce */
    int state;
    uint64_t left;   /* payload bytes of this chunk that are still to come */
    unsigned digits; /* of the chunk size so far */
    size_t extra;    /* bytes of chunk extensions, then of trailers */
};

enum kt_chunked_event {
    KT_CHUNKED_MORE,    /* all bytes are used */
    KT_CHUNKED_DATA,    /* `payload` holds bytes of the body */
    KT_CHUNKED_END,     /* the body and its trailers are over */
    KT_CHUNKED_BAD,     /* not chunked coding */
    KT_CHUNKED_LARGE,   /* a chunk announces more than the budget has */
    KT_CHUNKED_TRAILERS /* too many bytes of trailers */
};

/* Takes bytes up to the next event; *used says how many. `payload` is borrowed from `data`. */
enum kt_chunked_event kt_chunked_next(struct kt_chunked *c, const char *data, size_t len, size_t *used,
                                      struct kt_span *payload);
