/* SPDX-License-Identifier: Apache-2.0 */
/* The parsing rules are those of the HTML standard, section "Server-sent events"; id and retry have no
 * meaning for us. */
#include "interceptor/sse/kt_sse.h"

#include <string.h>

void kt_sse_init(struct kt_sse *s, kt_sse_fn fn, void *arg)
{
    *s = (struct kt_sse){.line = KT_BUF_INIT(KT_SSE_MAX_LINE),
                         .data = KT_BUF_INIT(KT_SSE_MAX_LINE),
                         .name = KT_BUF_INIT(KT_SSE_MAX_LINE),
                         .fn = fn,
                         .arg = arg};
}

void kt_sse_free(struct kt_sse *s)
{
    kt_buf_free(&s->line);
    kt_buf_free(&s->data);
    kt_buf_free(&s->name);
}

uint64_t kt_sse_boundary(const struct kt_sse *s)
{
    return s->boundary;
}

static bool field_is(struct kt_span line, const char *name, struct kt_span *value)
{
    size_t n = strlen(name);
    if (line.len < n || memcmp(line.data, name, n) != 0)
        return false;
    if (line.len > n && line.data[n] != ':')
        return false;
    size_t skip = line.len > n ? n + 1 : n;
    if (skip < line.len && line.data[skip] == ' ')
        skip++;
    *value = kt_span(line.data + skip, line.len - skip);
    return true;
}

/* The blank line: `end` is the offset behind it. */
static kt_result dispatch(struct kt_sse *s, uint64_t end)
{
    s->boundary = end;
    bool goes_on = true;
    if (s->has_data) {
        struct kt_sse_event e = {kt_buf_span(&s->name), kt_buf_span(&s->data), end};
        goes_on = s->fn(s->arg, &e);
    }
    s->has_data = false;
    kt_buf_clear(&s->data);
    kt_buf_clear(&s->name);
    return goes_on ? kt_ok() : kt_err(KT_ERR_STATE);
}

static kt_result take_line(struct kt_sse *s, struct kt_span line, uint64_t end)
{
    struct kt_span value;
    if (line.len == 0)
        return dispatch(s, end);
    if (field_is(line, "data", &value)) {
        if (s->has_data)
            KT_GUARD(kt_buf_append(&s->data, "\n", 1));
        s->has_data = true;
        return kt_buf_append(&s->data, value.data, value.len);
    }
    if (field_is(line, "event", &value)) {
        kt_buf_clear(&s->name);
        return kt_buf_append(&s->name, value.data, value.len);
    }
    return kt_ok(); /* comments, id, retry and unknown fields */
}

static size_t line_length(const char *p, size_t len)
{
    const char *lf = memchr(p, '\n', len);
    const char *cr = memchr(p, '\r', lf ? (size_t)(lf - p) : len);
    const char *end = cr ? cr : lf;
    return end ? (size_t)(end - p) : len;
}

static struct kt_span without_bom(struct kt_span line, uint64_t start)
{
    bool bom = start == 0 && line.len >= 3 && memcmp(line.data, "\xef\xbb\xbf", 3) == 0;
    return bom ? kt_span(line.data + 3, line.len - 3) : line;
}

/* One step: a piece of a line, or its end. Returns through *used how many bytes it took. */
static kt_result step(struct kt_sse *s, const char *p, size_t left, size_t *used)
{
    size_t n = line_length(p, left);
    *used = n;
    if (n == left) /* the end is not here yet */
        return kt_buf_append(&s->line, p, n);
    struct kt_span line = kt_span(p, n);
    if (s->line.len) {
        KT_GUARD(kt_buf_append(&s->line, p, n));
        line = kt_buf_span(&s->line);
    }
    KT_ENSURE(line.len <= KT_SSE_MAX_LINE, KT_ERR_LIMIT);
    *used = n + 1;
    if (p[n] == '\r' && n + 1 < left && p[n + 1] == '\n')
        *used = n + 2;
    s->after_cr = p[n] == '\r' && *used == n + 1;
    uint64_t start = s->offset + n - line.len;
    kt_result r = take_line(s, without_bom(line, start), s->offset + *used);
    kt_buf_clear(&s->line);
    return r;
}

kt_result kt_sse_feed(struct kt_sse *s, const char *data, size_t len)
{
    KT_ENSURE(!s->dead, KT_ERR_STATE);
    size_t at = 0;
    while (at < len) {
        size_t used = 1;
        kt_result r = kt_ok();
        if (s->after_cr && data[at] == '\n') {
            if (s->boundary == s->offset)
                s->boundary++;
            s->after_cr = false;
        } else {
            s->after_cr = false;
            r = step(s, data + at, len - at, &used);
        }
        at += used;
        s->offset += used;
        if (!kt_is_ok(r)) {
            s->dead = true;
            return r;
        }
    }
    return kt_ok();
}
