/* SPDX-License-Identifier: Apache-2.0 */
/* The SSE reader must see the same events whatever way the bytes are cut, and its boundary must never run
 * ahead. */
#include "interceptor/sse/kt_sse.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    struct kt_buf log;
    uint64_t fed;
};

static bool note(void *arg, const struct kt_sse_event *e)
{
    struct seen *s = arg;
    if (e->end > s->fed)
        __builtin_trap();
    if (!kt_is_ok(kt_buf_printf(&s->log, "%zu:%zu:", e->name.len, e->data.len)) ||
        !kt_is_ok(kt_buf_append(&s->log, e->data.data, e->data.len)))
        return false;
    return true;
}

static void run(const uint8_t *data, size_t size, size_t piece, struct seen *out)
{
    struct kt_sse s;
    kt_sse_init(&s, note, out);
    for (size_t at = 0; at < size; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        out->fed = at + n;
        if (!kt_is_ok(kt_sse_feed(&s, (const char *)data + at, n)))
            break;
        if (kt_sse_boundary(&s) > out->fed)
            __builtin_trap();
    }
    kt_sse_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen whole = {.log = KT_BUF_INIT(64u << 20)}, bytes = {.log = KT_BUF_INIT(64u << 20)};
    run(data, size, size ? size : 1, &whole);
    run(data, size, 1, &bytes);
    if (whole.log.len != bytes.log.len ||
        (whole.log.len && memcmp(whole.log.data, bytes.log.data, whole.log.len)))
        __builtin_trap();
    kt_buf_free(&whole.log);
    kt_buf_free(&bytes.log);
    return 0;
}
