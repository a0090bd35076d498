/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/body/kt_json_lex.h"

#include <string.h>

/* Bytes of the UTF-8 character at `p`, 0 where it is none (overlong, surrogate, past U+10FFFF, cut). */
static size_t utf8_len(const char *text, size_t avail)
{
    const unsigned char *p = (const unsigned char *)text;
    unsigned char lead = p[0], low = 0x80, high = 0xBF;
    size_t n = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || n > avail)
        return 0;
    if (lead == 0xE0)
        low = 0xA0;
    else if (lead == 0xED)
        high = 0x9F;
    else if (lead == 0xF0)
        low = 0x90;
    else if (lead == 0xF4)
        high = 0x8F;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return n;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* *pos at the backslash. */
static bool lex_escape(const char *text, size_t len, size_t *pos)
{
    size_t p = *pos + 1;
    if (p < len && text[p] && strchr("\"\\/bfnrt", text[p])) {
        *pos = p + 1;
        return true;
    }
    if (p >= len || text[p] != 'u') {
        *pos = p;
        return false;
    }
    p++;
    for (size_t stop = p + 4; p < stop; p++) {
        if (p >= len || hex_digit(text[p]) < 0) {
            *pos = p;
            return false;
        }
    }
    *pos = p;
    return true;
}

bool kt_json_lex_string(const char *text, size_t len, size_t *pos, bool *escaped)
{
    size_t p = *pos + 1;
    *escaped = false;
    for (;;) {
        p += kt_plain_run(text + p, len - p);
        *pos = p;
        if (p >= len)
            return false;
        unsigned char c = (unsigned char)text[p];
        if (c == '"') {
            *pos = p + 1;
            return true;
        }
        if (c == '\\') {
            *escaped = true;
            if (!lex_escape(text, len, pos))
                return false;
            p = *pos;
            continue;
        }
        size_t n = c >= 0x80 ? utf8_len(text + p, len - p) : 0;
        if (n == 0)
            return false;
        p += n;
    }
}

static size_t digits(const char *text, size_t len, size_t pos)
{
    while (pos < len && text[pos] >= '0' && text[pos] <= '9')
        pos++;
    return pos;
}

static bool some_digits(const char *text, size_t len, size_t *pos)
{
    size_t from = *pos;
    *pos = digits(text, len, from);
    return *pos > from;
}

bool kt_json_lex_number(const char *text, size_t len, size_t *pos)
{
    if (text[*pos] == '-')
        ++*pos;
    if (*pos < len && text[*pos] == '0')
        ++*pos; /* a leading zero stands alone: "01" fails on the digit behind it */
    else if (!some_digits(text, len, pos))
        return false;
    if (*pos < len && text[*pos] == '.') {
        ++*pos;
        if (!some_digits(text, len, pos))
            return false;
    }
    if (*pos < len && (text[*pos] == 'e' || text[*pos] == 'E')) {
        ++*pos;
        if (*pos < len && (text[*pos] == '+' || text[*pos] == '-'))
            ++*pos;
        return some_digits(text, len, pos);
    }
    return true;
}

bool kt_json_lex_word(const char *text, size_t len, size_t *pos, const char *word)
{
    for (; *word; word++, ++*pos)
        if (*pos >= len || text[*pos] != *word)
            return false;
    return true;
}

static uint32_t hex4(const char *p)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++)
        v = v << 4 | (uint32_t)hex_digit(p[i]);
    return v;
}

static size_t utf8_put(uint32_t c, char out[4])
{
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3F));
    out[0] = (char)(lead[n] | c);
    return n;
}

size_t kt_json_escape(const char *p, char out[4], size_t *n)
{
    static const char letters[] = "bfnrt", bytes[] = "\b\f\n\r\t";
    if (p[1] != 'u') {
        const char *hit = strchr(letters, p[1]);
        out[0] = hit ? bytes[hit - letters] : p[1];
        *n = 1;
        return 2;
    }
    uint32_t c = hex4(p + 2);
    size_t raw = 6;
    /* Behind six bytes of escape stands at least the closing quote, and behind a backslash at least one byte
     * more. */
    if (c >= 0xD800 && c < 0xDC00 && p[6] == '\\' && p[7] == 'u') {
        uint32_t low = hex4(p + 8);
        if (low >= 0xDC00 && low < 0xE000) {
            c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
            raw = 12;
        }
    }
    if (c >= 0xD800 && c < 0xE000)
        c = 0xFFFD;
    *n = utf8_put(c, out);
    return raw;
}
