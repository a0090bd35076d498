/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_pii_fold.h"

#include "policyengine/detect/kt_bytes.h"
#include "policyengine/detect/kt_pii_text.h"

#include <string.h>

/* Length that a lead byte announces; 1 for ASCII and for bytes that lead nothing. */
static size_t announced(unsigned char c)
{
    return c >= 0xf0 && c < 0xf5 ? 4 : c >= 0xe0 ? (c < 0xf0 ? 3 : 1) : c >= 0xc2 ? 2 : 1;
}

/* A character in more bytes than it takes is none: "\xe0\x81\x91" must not pass for a 'Q'. */
static bool overlong(const char *s)
{
    unsigned char lead = (unsigned char)s[0], second = (unsigned char)s[1];
    return (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
}

/* Bytes of the character at s, 1 where it is none; 0 where it goes on behind the end. */
static size_t char_len(const char *s, size_t left)
{
    size_t n = announced((unsigned char)s[0]);
    for (size_t i = 1; i < n; i++) {
        if (i == left)
            return 0;
        if (((unsigned char)s[i] & 0xc0) != 0x80)
            return 1;
    }
    return n > 2 && overlong(s) ? 1 : n;
}

static uint32_t code_point(const char *s, size_t n)
{
    const unsigned char *b = (const unsigned char *)s;
    switch (n) {
    case 2:
        return (uint32_t)(b[0] & 0x1f) << 6 | (b[1] & 0x3f);
    case 3:
        return (uint32_t)(b[0] & 0x0f) << 12 | (uint32_t)(b[1] & 0x3f) << 6 | (b[2] & 0x3f);
    case 4:
        return (uint32_t)(b[0] & 0x07) << 18 | (uint32_t)(b[1] & 0x3f) << 12 | (uint32_t)(b[2] & 0x3f) << 6 |
               (b[3] & 0x3f);
    default:
        return b[0];
    }
}

/* Zero-width spaces and joiners, marks of direction, the soft hyphen, variation selectors, tags. */
static bool is_widthless(uint32_t c)
{
    return c == 0xad || c == 0x34f || c == 0x61c || c == 0x180e || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x202a && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || (c >= 0xfe00 && c <= 0xfe0f) ||
           c == 0xfeff || (c >= 0xe0000 && c <= 0xe007f);
}

/* The ASCII character that stands for `c`; 0 = none. */
static char ascii_for(uint32_t c)
{
    if (c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x202f || c == 0x205f || c == 0x3000)
        return ' ';
    if ((c >= 0x2010 && c <= 0x2015) || c == 0x2212 || c == 0xfe58 || c == 0xfe63)
        return '-';
    if (c >= 0xff01 && c <= 0xff5e)
        return (char)(c - 0xff01 + '!');
    return c == 0xfe6b ? '@' : c == 0x2024 ? '.' : 0;
}

static size_t encode(uint32_t c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    size_t n = c < 0x10000 ? 3 : 4;
    out[0] = (char)(n == 3 ? 0xe0 | c >> 12 : 0xf0 | c >> 18);
    if (n == 4)
        out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[n - 2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[n - 1] = (char)(0x80 | (c & 0x3f));
    return n;
}

static int hex_value(unsigned char c)
{
    return !kt_pii_hex(c) ? -1 : kt_pii_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* "\uXXXX" at s: its length, 1 where it is no such escape, 0 where it goes on behind the end. */
static size_t unicode_escape(const char *s, size_t left, uint32_t *c)
{
    *c = 0;
    for (size_t i = 0; i < 6; i++) {
        if (i == left)
            return 0;
        int hex = i < 2 ? 0 : hex_value((unsigned char)s[i]);
        if (hex < 0 || (i == 0 && s[i] != '\\') || (i == 1 && s[i] != 'u'))
            return 1;
        *c = *c << 4 | (uint32_t)hex;
    }
    return 6;
}

#define NESTED_MAX 16u /* backslashes: JSON source within JSON source, four deep */

/* "uXXXX" behind n backslashes, the first of them at s: the length of all, with the second half of a pair; 1
 * where it is none, 0 where it may go on behind the end. */
static size_t numbered(const char *s, size_t n, size_t left, uint32_t *c)
{
    size_t size = n + 5;
    size_t first = unicode_escape(s + n - 1, left - n + 1, c);
    if (first != 6)
        return first;
    if (*c < 0xd800 || *c > 0xdbff)
        return size;
    for (size_t i = 0; i < n; i++) {
        if (size + i == left)
            return 0;
        if (s[size + i] != '\\')
            return size;
    }
    uint32_t low = 0;
    size_t second = unicode_escape(s + size + n - 1, left - size - n + 1, &low);
    if (second == 0)
        return 0;
    if (second == 1 || low < 0xdc00 || low > 0xdfff)
        return size;
    *c = 0x10000 + ((*c & 0x3ff) << 10) + (low & 0x3ff);
    return 2 * size;
}

/* Behind one backslash. */
static size_t single(const char *s, size_t left, uint32_t *c)
{
    static const char letters[] = "\"\\/bfnrt", stands_for[] = "\"\\/\b\f\n\r\t";
    *c = '\\';
    if (left < 2)
        return 0;
    if (s[1] == 'u') {
        size_t n = numbered(s, 1, left, c);
        *c = n == 1 ? '\\' : *c;
        return n;
    }
    const char *known = s[1] ? strchr(letters, s[1]) : NULL;
    *c = known ? (unsigned char)stands_for[known - letters] : '\\';
    return known ? 2 : 1;
}

/* The escape at s ("\\..."), also of JSON source that stands in JSON source: its length, 1 where it is none,
 * 0 where it goes on behind the end. In nested source a quote or '/' has an odd number of backslashes. */
static size_t escape(const char *s, size_t left, uint32_t *c)
{
    static const char letters[] = "nrt\"/", stands_for[] = "\n\r\t\"/";
    size_t n = 1;
    while (n < left && n < NESTED_MAX && s[n] == '\\')
        n++;
    *c = '\\';
    if (n == left && n < NESTED_MAX)
        return 0;
    if (n == 1 || n == NESTED_MAX)
        return single(s, left, c);
    if (s[n] == 'u') {
        size_t all = numbered(s, n, left, c);
        if (all != 1)
            return all;
    }
    const char *known = s[n] ? strchr(letters, s[n]) : NULL;
    if (!known || (known - letters > 2 && n % 2 == 0))
        return n; /* one backslash, however often it was escaped */
    *c = (unsigned char)stands_for[known - letters];
    return n + 1;
}

struct kt_pii_unit kt_pii_escape(const char *s, size_t left, bool final)
{
    struct kt_pii_unit u = {0, 0, false, {0}};
    uint32_t c = 0;
    u.raw = single(s, left, &c);
    if (u.raw == 0 && !final)
        return u;
    if (u.raw <= 1) {
        u.raw = 1;
        c = '\\';
    }
    u.len = encode(c, u.text);
    return u;
}

struct kt_pii_unit kt_pii_unit(const char *s, size_t left, bool json, bool final)
{
    struct kt_pii_unit u = {0, 0, false, {0}};
    uint32_t c = 0;
    bool escaped = json && s[0] == '\\';
    u.raw = escaped ? escape(s, left, &c) : char_len(s, left);
    if (u.raw == 0 && !final)
        return u;
    if (u.raw <= 1) { /* a byte as it stands: ASCII, or not what it began as */
        u.raw = u.len = 1;
        u.text[0] = s[0];
        return u;
    }
    if (!escaped)
        c = code_point(s, u.raw);
    u.widthless = is_widthless(c);
    char ascii = ascii_for(c);
    u.len = encode(ascii ? (uint32_t)ascii : c, u.text);
    return u;
}

/* Lead bytes of what is folded; text in Latin letters holds few of them but "\u2019" and the like. */
KT_BYTES_INLINE kt_bytes folded_leads(kt_bytes v)
{
    return kt_bytes_within(v, '%', '&') | kt_bytes_are(v, 0xc2) | kt_bytes_are(v, 0xcd) |
           kt_bytes_are(v, 0xd8) | kt_bytes_within(v, 0xe1, 0xe3) | kt_bytes_are(v, 0xef) |
           kt_bytes_are(v, 0xf3);
}

bool kt_pii_folds(const char *s, size_t len, bool json, bool final)
{
    if (json && memchr(s, '\\', len))
        return true;
    for (size_t i = 0; (i = kt_bytes_next(s, len, i, folded_leads)) < len; i++) {
        bool web = s[i] == '%' || s[i] == '&';
        struct kt_pii_unit u =
            web ? kt_pii_web_unit(s + i, len - i, false, final) : kt_pii_unit(s + i, len - i, false, true);
        if (u.widthless || u.len != u.raw) /* raw 0: it may be an escape, once the text goes on */
            return true;
        i += u.raw - 1;
    }
    return false;
}

size_t kt_pii_whole_chars(const char *s, size_t len)
{
    size_t back = 0;
    while (back < 3 && back < len && ((unsigned char)s[len - 1 - back] & 0xc0) == 0x80)
        back++;
    if (back == len)
        return len;
    size_t start = len - 1 - back;
    return char_len(s + start, len - start) == 0 ? start : len;
}

kt_result kt_pii_decode_json(const char *s, size_t len, struct kt_buf *out)
{
    while (len > 0) {
        uint32_t c = 0;
        char text[KT_PII_FOLD_MAX];
        size_t n = s[0] == '\\' ? escape(s, len, &c) : 1;
        if (n > 1)
            KT_GUARD(kt_buf_append(out, text, encode(c, text)));
        else
            KT_GUARD(kt_buf_append(out, s, 1));
        n = n ? n : 1;
        s += n;
        len -= n;
    }
    return kt_ok();
}
