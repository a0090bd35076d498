/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Removes a gzip or deflate content coding, incrementally, into a bounded buffer. */
#include "interceptor/http/kt_http_head.h"

struct kt_inflate;

/* new. `coding` is gzip or deflate. */
kt_result kt_inflate_new(enum kt_http_coding coding, struct kt_inflate **out) KT_MUST;
void kt_inflate_free(struct kt_inflate *z);
/* Bytes behind the end that begin no further member are padding, and ignored, as gzip(1) does. */
void kt_inflate_allow_padding(struct kt_inflate *z);
/* Appends what `data` unpacks to. KT_ERR_LIMIT past out->max, KT_ERR_SYNTAX for a damaged stream or bytes
 * behind its end. */
kt_result kt_inflate_feed(struct kt_inflate *z, const char *data, size_t len, struct kt_buf *out) KT_MUST;
/* KT_ERR_SYNTAX where the stream is not complete. A body of no bytes at all is complete. */
kt_result kt_inflate_finish(const struct kt_inflate *z) KT_MUST;
