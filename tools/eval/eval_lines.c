/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/eval/kt_eval_row.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PIECE ((size_t)256 << 10)

void eval_lines_init(struct eval_lines *l, int fd)
{
    *l = (struct eval_lines){.fd = fd, .buf = KT_BUF_INIT(EVAL_LINE_MAX + 2 * PIECE)};
}

void eval_lines_free(struct eval_lines *l)
{
    kt_buf_free(&l->buf);
}

static KT_MUST kt_result fill(struct eval_lines *l)
{
    KT_GUARD(kt_buf_reserve(&l->buf, PIECE));
    ssize_t n;
    do
        n = read(l->fd, l->buf.data + l->buf.len, PIECE);
    while (n < 0 && errno == EINTR);
    KT_ENSURE(n >= 0, KT_ERR_IO);
    l->eof = n == 0;
    l->consumed += (uint64_t)n;
    l->buf.len += (size_t)n;
    return kt_ok();
}

/* A line as it is handed out: neither the carriage return of CRLF nor a byte order mark is a part of it. */
static struct kt_span trimmed(const char *start, size_t len, bool first)
{
    size_t mark = first && len >= 3 && memcmp(start, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    if (len > mark && start[len - 1] == '\r')
        len--;
    return kt_span(start + mark, len - mark);
}

kt_result eval_lines_next(struct eval_lines *l, struct kt_span *line, bool *more)
{
    if (l->at > PIECE || (l->at > 0 && l->at == l->buf.len)) {
        kt_buf_consume(&l->buf, l->at);
        l->at = 0;
    }
    for (size_t seen = l->at;;) {
        size_t rest = l->buf.len - seen;
        const char *end = rest ? memchr(l->buf.data + seen, '\n', rest) : NULL;
        if (end || l->eof) {
            size_t stop = end ? (size_t)(end - l->buf.data) : l->buf.len;
            *more = end || l->at < l->buf.len;
            if (!*more)
                return kt_ok();
            KT_ENSURE(stop - l->at <= EVAL_LINE_MAX, KT_ERR_LIMIT);
            *line = trimmed(l->buf.data + l->at, stop - l->at, l->number == 0);
            l->at = end ? stop + 1 : stop;
            l->number++;
            return kt_ok();
        }
        seen = l->buf.len;
        KT_ENSURE(l->buf.len - l->at <= EVAL_LINE_MAX, KT_ERR_LIMIT);
        KT_GUARD(fill(l));
    }
}
