/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A growable byte buffer with a hard maximum; always NUL-terminated past len once anything was appended. */
#include "policyengine/base/kt_base.h"

#include <stdarg.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kt_buf {
    char *data; /* owned; NULL while empty */
    size_t len;
    size_t cap;
    size_t max; /* bytes of content never exceeded; KT_ERR_LIMIT instead */
};

/* An empty buffer that will never hold more than `maximum` bytes. */
#define KT_BUF_INIT(maximum)                                                                                 \
    {                                                                                                        \
        NULL, 0, 0, (maximum)                                                                                \
    }

/* All appends: KT_ERR_LIMIT past max, KT_ERR_MEMORY; the buffer is unchanged then. */
kt_result kt_buf_append(struct kt_buf *b, const void *data, size_t len) KT_MUST;
kt_result kt_buf_puts(struct kt_buf *b, const char *text) KT_MUST;
kt_result kt_buf_printf(struct kt_buf *b, const char *fmt, ...) KT_MUST KT_PRINTF(2, 3);
/* Appends `len` bytes as the inside of a JSON string: no quotes; control bytes, '"' and '\' escaped. */
kt_result kt_buf_json(struct kt_buf *b, const char *data, size_t len) KT_MUST;
/* Length of the run of bytes in front that JSON writes as they are: printable ASCII without quote and
 * backslash. */
size_t kt_plain_run(const char *data, size_t len);
/* Room for `extra` more bytes behind len. */
kt_result kt_buf_reserve(struct kt_buf *b, size_t extra) KT_MUST;
/* Drops the first n bytes (n <= len). */
void kt_buf_consume(struct kt_buf *b, size_t n);
void kt_buf_clear(struct kt_buf *b);
/* Frees; the maximum stays. Also the cleanup function: KT_CLEANUP(kt_buf_free) struct kt_buf b = ... */
void kt_buf_free(struct kt_buf *b);
/* kt_buf_free for contents that were secret. */
void kt_buf_wipe_free(struct kt_buf *b);
/* new: the content as a NUL-terminated heap string; the buffer is empty after it. "" when empty; NULL on OOM.
 */
char *kt_buf_take(struct kt_buf *b);

static inline struct kt_span kt_buf_span(const struct kt_buf *b)
{
    return kt_span(b->data ? b->data : "", b->len);
}

#ifdef __cplusplus
}
#endif
