/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 answers (RFC 9112), as lenient as clients are: the program has accepted these bytes already. */
#include "interceptor/tap/kt_tap_private.h"

#include <stdlib.h>
#include <string.h>

#define MAX_FIELDS 256

void kt_tap_answer_init(struct kt_tap_answer *a)
{
    *a = (struct kt_tap_answer){.head = KT_BUF_INIT(KT_HTTP_MAX_HEAD)};
}

void kt_tap_answer_free(struct kt_tap_answer *a)
{
    kt_buf_free(&a->head);
}

static void begin_again(struct kt_tap_answer *a)
{
    kt_buf_clear(&a->head);
    a->phase = KT_ANSWER_HEAD;
}

/* Offset behind the empty line; 0 = not there yet. A line may end in a bare LF. */
static size_t end_of_head(const struct kt_buf *b)
{
    for (size_t i = 0; i + 1 < b->len; i++) {
        if (b->data[i] != '\n')
            continue;
        if (b->data[i + 1] == '\n')
            return i + 2;
        if (i + 2 < b->len && b->data[i + 1] == '\r' && b->data[i + 2] == '\n')
            return i + 3;
    }
    return 0;
}

static char *trimmed(char *from, char *to)
{
    while (from < to && (*from == ' ' || *from == '\t'))
        from++;
    while (to > from && (to[-1] == ' ' || to[-1] == '\t' || to[-1] == '\r'))
        to--;
    *to = '\0';
    return from;
}

size_t kt_tap_fields(char *lines, size_t len, struct kt_call_header *out, size_t max)
{
    size_t count = 0;
    char *end = lines + len;
    while (lines < end && count < max) {
        char *nl = memchr(lines, '\n', (size_t)(end - lines));
        char *stop = nl ? nl : end;
        char *colon = memchr(lines, ':', (size_t)(stop - lines));
        if (colon && colon > lines && nl) {
            *colon = '\0';
            out[count].name = lines;
            out[count++].value = trimmed(colon + 1, stop);
        }
        lines = stop + 1;
    }
    return count;
}

/* "HTTP/1.1 200 OK"; 0 = none. */
static int status_of(const struct kt_buf *b)
{
    const char *p = b->data;
    if (b->len < 12 || memcmp(p, "HTTP/1.", 7) != 0 || p[8] != ' ')
        return 0;
    int status = 0;
    for (int i = 9; i < 12; i++) {
        if (p[i] < '0' || p[i] > '9')
            return 0;
        status = status * 10 + (p[i] - '0');
    }
    return status >= 100 ? status : 0;
}

static bool last_is_chunked(const char *value)
{
    const char *comma = strrchr(value, ',');
    const char *last = comma ? comma + 1 : value;
    last += strspn(last, " \t");
    return strcasecmp(last, "chunked") == 0;
}

/* RFC 9112 6.3. False where the length makes no sense. */
static bool choose_framing(struct kt_tap_answer *a, const struct kt_call_head *head)
{
    const char *coding = kt_call_head_get(head, "transfer-encoding");
    const char *length = kt_call_head_get(head, "content-length");
    a->phase = KT_ANSWER_TO_CLOSE;
    if (coding && last_is_chunked(coding)) {
        a->chunked = (struct kt_chunked){.budget = UINT64_MAX / 4};
        a->phase = KT_ANSWER_CHUNKED;
    } else if (!coding && length) {
        char *end = NULL;
        unsigned long long n = strtoull(length, &end, 10);
        if (*length < '0' || *length > '9' || (*end && *end != ',') || n > UINT64_MAX / 4)
            return false;
        a->left = n;
        a->phase = KT_ANSWER_SIZED;
    }
    return true;
}

static enum kt_tap_step bad(struct kt_tap_answer *a)
{
    a->phase = KT_ANSWER_BROKEN;
    return KT_TAP_BAD;
}

/* MORE: the body follows, or (1xx) another head. */
static enum kt_tap_step head_complete(struct kt_tap_answer *a, struct kt_tap_call *c, size_t end)
{
    struct kt_call_header fields[MAX_FIELDS];
    struct kt_call_head head = {.status = status_of(&a->head), .headers = fields};
    if (head.status < 200 && head.status != 101) {
        begin_again(a);
        return KT_TAP_MORE;
    }
    char *line = memchr(a->head.data, '\n', end);
    if (!line)
        return bad(a);
    head.count = kt_tap_fields(line + 1, end - (size_t)(line + 1 - a->head.data), fields, MAX_FIELDS);
    kt_tap_call_head(c, &head);
    if (head.status == 101) {
        begin_again(a);
        return KT_TAP_SWITCHED;
    }
    bool none = kt_tap_call_head_only(c) || head.status == 204 || head.status == 304;
    if (!none && !choose_framing(a, &head))
        return bad(a);
    if (none || (a->phase == KT_ANSWER_SIZED && a->left == 0)) {
        begin_again(a);
        return KT_TAP_END;
    }
    return KT_TAP_MORE;
}

static enum kt_tap_step feed_head(struct kt_tap_answer *a, struct kt_tap_call *c, const char *data,
                                  size_t len, size_t *used)
{
    while (*used < len && a->phase == KT_ANSWER_HEAD) {
        const char *nl = memchr(data + *used, '\n', len - *used);
        size_t n = nl ? (size_t)(nl - data) + 1 - *used : len - *used;
        if (!kt_is_ok(kt_buf_append(&a->head, data + *used, n)))
            return bad(a);
        *used += n;
        if (a->head.len >= 12 && !status_of(&a->head))
            return bad(a);
        size_t end = nl ? end_of_head(&a->head) : 0;
        enum kt_tap_step s = !end ? KT_TAP_MORE : !status_of(&a->head) ? bad(a) : head_complete(a, c, end);
        if (s != KT_TAP_MORE)
            return s;
    }
    return KT_TAP_MORE;
}

static enum kt_tap_step feed_chunked(struct kt_tap_answer *a, struct kt_tap_call *c, const char *data,
                                     size_t len, size_t *used)
{
    while (*used < len) {
        size_t n = 0;
        struct kt_span payload = {0};
        enum kt_chunked_event e = kt_chunked_next(&a->chunked, data + *used, len - *used, &n, &payload);
        *used += n;
        if (e == KT_CHUNKED_DATA)
            kt_tap_call_body(c, payload.data, payload.len);
        else if (e == KT_CHUNKED_END) {
            begin_again(a);
            return KT_TAP_END;
        } else if (e != KT_CHUNKED_MORE)
            return bad(a);
    }
    return KT_TAP_MORE;
}

static enum kt_tap_step feed_sized(struct kt_tap_answer *a, struct kt_tap_call *c, const char *data,
                                   size_t len, size_t *used)
{
    size_t n = len - *used < a->left ? len - *used : (size_t)a->left;
    kt_tap_call_body(c, data + *used, n);
    *used += n;
    a->left -= n;
    if (a->left)
        return KT_TAP_MORE;
    begin_again(a);
    return KT_TAP_END;
}

enum kt_tap_step kt_tap_answer_feed(struct kt_tap_answer *a, struct kt_tap_call *c, const char *data,
                                    size_t len, size_t *used)
{
    *used = 0;
    if (!kt_tap_call_ready(c))
        return KT_TAP_STALL;
    if (a->phase == KT_ANSWER_HEAD) {
        enum kt_tap_step s = feed_head(a, c, data, len, used);
        if (s != KT_TAP_MORE)
            return s;
    }
    if (*used == len)
        return KT_TAP_MORE;
    switch (a->phase) {
    case KT_ANSWER_SIZED:
        return feed_sized(a, c, data, len, used);
    case KT_ANSWER_CHUNKED:
        return feed_chunked(a, c, data, len, used);
    case KT_ANSWER_TO_CLOSE:
        kt_tap_call_body(c, data + *used, len - *used);
        *used = len;
        return KT_TAP_MORE;
    default:
        return KT_TAP_BAD;
    }
}
