/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_chars.h"

size_t kt_char_next(const char *text, size_t len, uint32_t *cp)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *p = (const unsigned char *)text;
    *cp = 0xfffd;
    if (p[0] < 0x80) {
        *cp = p[0];
        return 1;
    }
    size_t n = p[0] >= 0xf5 ? 0 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc2 ? 2 : 0;
    if (n == 0 || n > len)
        return 1;
    uint32_t c = p[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 1;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 1;
    *cp = c;
    return n;
}

uint32_t kt_char_lower(uint32_t c)
{
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    if (c >= 0xc0 && c <= 0xde)
        return c == 0xd7 ? c : c + 32;
    if ((c >= 0x100 && c <= 0x137 && c != 0x130) || (c >= 0x14a && c <= 0x177))
        return c | 1;
    if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e))
        return c + (c & 1);
    if (c == 0x178)
        return 0xff;
    if (c == 0x1e9e)
        return 0xdf;
    if (c >= 0x391 && c <= 0x3ab)
        return c + 32;
    if (c >= 0x410 && c <= 0x42f)
        return c + 32;
    return c >= 0x400 && c <= 0x40f ? c + 80 : c;
}

/* Lower case letters of this file have two bytes at most; all other characters are copied. */
kt_result kt_chars_lower(const char *text, size_t len, struct kt_buf *out)
{
    KT_GUARD(kt_buf_reserve(out, len));
    for (size_t i = 0; i < len;) {
        uint32_t cp = 0;
        size_t n = kt_char_next(text + i, len - i, &cp);
        uint32_t low = kt_char_lower(cp);
        char two[2] = {(char)low, 0};
        if (low != cp && low >= 0x80) {
            two[0] = (char)(0xc0 | low >> 6);
            two[1] = (char)(0x80 | (low & 0x3f));
        }
        KT_GUARD(kt_buf_append(out, low != cp ? two : text + i, low == cp ? n : low < 0x80 ? 1 : 2));
        i += n;
    }
    return kt_ok();
}

size_t kt_chars_count(const char *text, size_t len)
{
    size_t count = 0;
    uint32_t cp = 0;
    for (size_t i = 0; i < len; count++)
        i += kt_char_next(text + i, len - i, &cp);
    return count;
}

int kt_base64_value(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}
