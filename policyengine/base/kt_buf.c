/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/base/kt_buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

kt_result kt_buf_reserve(struct kt_buf *b, size_t extra)
{
    KT_ENSURE(extra <= b->max && b->len <= b->max - extra, KT_ERR_LIMIT);
    size_t need = b->len + extra + 1;
    if (need <= b->cap)
        return kt_ok();
    size_t cap = b->cap ? b->cap : 256;
    while (cap < need)
        cap *= 2;
    if (cap > b->max + 1)
        cap = b->max + 1;
    char *data = realloc(b->data, cap);
    KT_ENSURE(data, KT_ERR_MEMORY);
    b->data = data;
    b->cap = cap;
    return kt_ok();
}

kt_result kt_buf_append(struct kt_buf *b, const void *data, size_t len)
{
    if (len >= b->cap - b->len || b->len + len > b->max) /* the former also while there is no room at all */
        KT_GUARD(kt_buf_reserve(b, len));
    if (len > 0)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
    return kt_ok();
}

kt_result kt_buf_puts(struct kt_buf *b, const char *text)
{
    return kt_buf_append(b, text, strlen(text));
}

/* It mostly fits into the room that there is; then it is formatted once. What a try leaves behind may be half
 * a secret, and growing would leave it in freed memory. */
kt_result kt_buf_printf(struct kt_buf *b, const char *fmt, ...)
{
    va_list ap, again;
    KT_GUARD(kt_buf_reserve(b, 0));
    size_t room = b->cap - b->len;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(b->data + b->len, room, fmt, ap);
    va_end(ap);
    kt_result r = n < 0 ? kt_err(KT_ERR_INTERNAL) : kt_ok();
    if (n < 0 || (size_t)n >= room) {
        kt_wipe(b->data + b->len, room);
        r = n < 0 ? r : kt_buf_reserve(b, (size_t)n);
        if (r.code == KT_OK)
            vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    b->len += r.code == KT_OK ? (size_t)n : 0;
    return r;
}

#define ONES 0x0101010101010101ull
#define HIGHS 0x8080808080808080ull

/* Eight at a time, because prompts are long and almost all of their bytes are of this kind. */
size_t kt_plain_run(const char *data, size_t len)
{
    size_t i = 0;
    for (; i + 8 <= len; i += 8) {
        uint64_t w;
        memcpy(&w, data + i, sizeof w);
        uint64_t quote = w ^ (ONES * '"'), slash = w ^ (ONES * '\\');
        uint64_t odd = (w - ONES * 0x20) | ((quote - ONES) & ~quote) | ((slash - ONES) & ~slash) | w;
        if ((odd & HIGHS) == 0)
            continue;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        return i +
               (size_t)__builtin_ctzll(odd & HIGHS) / 8; /* borrows go upwards: the lowest is a true one */
#else
        break;
#endif
    }
    for (; i < len; i++) {
        unsigned char c = (unsigned char)data[i];
        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
            break;
    }
    return i;
}

static size_t json_escape(unsigned char c, char out[7])
{
    static const char shorts[] = "\b\f\n\r\t\"\\", letters[] = "bfnrt\"\\";
    const char *s = c ? strchr(shorts, c) : NULL;
    if (s) {
        out[0] = '\\';
        out[1] = letters[s - shorts];
        return 2;
    }
    return (size_t)snprintf(out, 7, "\\u%04x", c);
}

kt_result kt_buf_json(struct kt_buf *b, const char *data, size_t len)
{
    size_t start = 0;
    for (size_t i = kt_plain_run(data, len); i < len; i++) {
        unsigned char c = (unsigned char)data[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        char esc[7];
        KT_GUARD(kt_buf_append(b, data + start, i - start));
        KT_GUARD(kt_buf_append(b, esc, json_escape(c, esc)));
        start = i + 1;
    }
    return kt_buf_append(b, data + start, len - start);
}

void kt_buf_consume(struct kt_buf *b, size_t n)
{
    if (n == 0 || n > b->len)
        return;
    memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
    b->data[b->len] = '\0';
}

void kt_buf_clear(struct kt_buf *b)
{
    b->len = 0;
    if (b->data)
        b->data[0] = '\0';
}

void kt_buf_free(struct kt_buf *b)
{
    free(b->data);
    b->data = NULL;
    b->len = b->cap = 0;
}

void kt_buf_wipe_free(struct kt_buf *b)
{
    if (b->data)
        kt_wipe(b->data, b->cap);
    kt_buf_free(b);
}

char *kt_buf_take(struct kt_buf *b)
{
    if (!b->data)
        return calloc(1, 1);
    char *data = b->data;
    b->data = NULL;
    b->len = b->cap = 0;
    return data;
}
