/* SPDX-License-Identifier: Apache-2.0 */
/* The same bytes must give the same requests, or the same refusal, however they are cut; and no body may
 * exceed its limit. */
#include "interceptor/http/kt_http.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BODY 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void note(struct kt_buf *log, const char *data, size_t len)
{
    if (!kt_is_ok(kt_buf_printf(log, "%zu:", len)) || !kt_is_ok(kt_buf_append(log, data, len)))
        __builtin_trap();
}

static void note_request(struct kt_buf *log, struct kt_http_parser *p)
{
    struct kt_request r;
    kt_http_take(p, &r);
    if (r.body.len > MAX_BODY || r.header_count > KT_HTTP_MAX_FIELDS || !r.head.data || r.method.len == 0)
        __builtin_trap();
    if (!r.decoded && r.content_length >= 0 && r.body.len != (size_t)r.content_length)
        __builtin_trap();
    note(log, r.method.data, r.method.len);
    note(log, r.target.data, r.target.len);
    for (size_t i = 0; i < r.header_count; i++) {
        note(log, r.headers[i].name.data, r.headers[i].name.len);
        note(log, r.headers[i].value.data, r.headers[i].value.len);
    }
    note(log, kt_buf_span(&r.body).data, r.body.len);
    struct kt_span path = kt_request_path(&r);
    note(log, path.data, path.len);
    if (!kt_is_ok(
            kt_buf_printf(log, "%d%d%d%d%d", r.minor, r.keep_alive, r.upgrade, r.chunked, r.expect_continue)))
        __builtin_trap();
    kt_request_free(&r);
}

/* Returns false at the end of the connection. */
static bool feed(struct kt_http_parser *p, const char *data, size_t len, struct kt_buf *log)
{
    size_t at = 0;
    while (at < len) {
        size_t used = 0;
        enum kt_http_state s = kt_http_feed(p, data + at, len - at, &used);
        if (used > len - at || (s == KT_HTTP_MORE && used != len - at))
            __builtin_trap();
        at += used;
        if (s == KT_HTTP_COMPLETE) {
            note_request(log, p);
        } else if (s == KT_HTTP_CONTINUE) {
            note(log, "continue", 8);
        } else if (s == KT_HTTP_ERROR) {
            const char *text;
            int status = kt_http_error(p, &text);
            if (status < 400 || !*text || !kt_is_ok(kt_buf_printf(log, "error %d %s", status, text)))
                __builtin_trap();
            return false;
        }
    }
    return true;
}

static void run(const uint8_t *data, size_t size, size_t piece, struct kt_buf *log)
{
    struct kt_http_parser *p;
    if (!kt_is_ok(kt_http_parser_new(MAX_BODY, &p)))
        return;
    for (size_t at = 0; at < size; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        char *copy = malloc(n); /* exact, so that the sanitizer sees a read past the piece */
        if (!copy)
            break;
        memcpy(copy, data + at, n);
        bool open = feed(p, copy, n, log);
        free(copy);
        if (!open)
            break;
    }
    kt_http_parser_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t pieces[] = {1, 2, 7, 1000};
    struct kt_buf whole = KT_BUF_INIT(256u << 20);
    run(data, size, size ? size : 1, &whole);
    for (size_t i = 0; i < KT_COUNT(pieces); i++) {
        struct kt_buf cut = KT_BUF_INIT(256u << 20);
        run(data, size, pieces[i], &cut);
        if (whole.len != cut.len || (whole.len && memcmp(whole.data, cut.data, whole.len) != 0))
            __builtin_trap();
        kt_buf_free(&cut);
    }
    kt_buf_free(&whole);
    return 0;
}
