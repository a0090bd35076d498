/* SPDX-License-Identifier: Apache-2.0 */
/* "%63", "&#99;", "&#x63;", "&amp;", "&eacute;": any character, as forms and pages write it. */
#include "policyengine/detect/kt_unescape_web.h"

#include <ctype.h>
#include <string.h>

#define DIGITS_MAX 7u /* of a reference: U+10FFFF is 1114111 */

static struct kt_pii_unit as_it_stands(const char *s, size_t raw)
{
    return (struct kt_pii_unit){.raw = raw, .len = 1, .text = {s[0]}};
}

static unsigned hex_value(unsigned char c)
{
    return c <= '9' ? c - (unsigned)'0' : (c | 0x20u) - 'a' + 10u;
}

static size_t encode(uint32_t c, char out[KT_PII_FOLD_MAX])
{
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[n] | c);
    return n;
}

static struct kt_pii_unit character(size_t raw, uint32_t c)
{
    struct kt_pii_unit u = {.raw = raw};
    u.len = encode(c, u.text);
    return u;
}

/* One byte: of a character in several the others follow in escapes of their own. */
static struct kt_pii_unit percent(const char *s, size_t left, bool final)
{
    for (size_t i = 1; i < 3; i++) {
        if (i == left)
            return as_it_stands(s, final ? 1 : 0);
        if (!isxdigit((unsigned char)s[i]))
            return as_it_stands(s, 1);
    }
    unsigned c = hex_value((unsigned char)s[1]) << 4 | hex_value((unsigned char)s[2]);
    return c ? (struct kt_pii_unit){.raw = 3, .len = 1, .text = {(char)c}} : as_it_stands(s, 1);
}

/* Browsers read them without ';' too. */
static struct kt_pii_unit numbered(const char *s, size_t left, bool final)
{
    bool hex = left > 2 && (s[2] | 0x20) == 'x';
    size_t start = 2 + hex, i = start;
    uint32_t c = 0;
    for (; i < left && i - start < DIGITS_MAX; i++) {
        unsigned char d = (unsigned char)s[i];
        if (!(hex ? isxdigit(d) : isdigit(d)))
            break;
        c = c * (hex ? 16 : 10) + hex_value(d);
    }
    if (i == left && !final)
        return as_it_stands(s, 0);
    if (i == start || c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return as_it_stands(s, 1);
    return character(i + (i < left && s[i] == ';'), c);
}

/* Beside the five of XML, the letters of Latin-1: U+00C0 and on, and their lower case 32 behind. */
static const struct {
    const char *name;
    uint32_t c;
} names[] = {{"amp;", '&'},   {"lt;", '<'},      {"gt;", '>'},     {"quot;", '"'},
             {"apos;", '\''}, {"nbsp;", 0xa0},   {"shy;", 0xad},   {"szlig;", 0xdf},
             {"yuml;", 0xff}, {"oelig;", 0x153}, {"OElig;", 0x152}};
static const char *const latin[] = {
    "Agrave;", "Aacute;", "Acirc;",  "Atilde;", "Auml;",   "Aring;",  "AElig;", "Ccedil;",
    "Egrave;", "Eacute;", "Ecirc;",  "Euml;",   "Igrave;", "Iacute;", "Icirc;", "Iuml;",
    "ETH;",    "Ntilde;", "Ograve;", "Oacute;", "Ocirc;",  "Otilde;", "Ouml;",  "times;",
    "Oslash;", "Ugrave;", "Uacute;", "Ucirc;",  "Uuml;",   "Yacute;", "THORN;"};

/* The first letter is small, or both of "AElig" and all of "ETH". */
static bool small(char c)
{
    return c >= 'a' && c <= 'z';
}

/* How much of `name` stands at s: all of it, none (0), or all that is left. */
static size_t common(const char *name, const char *s, size_t left, bool any_case)
{
    size_t i = 0;
    while (i < left && name[i] &&
           (s[i] == name[i] || (any_case && small(s[i]) && toupper((unsigned char)s[i]) == name[i])))
        i++;
    return i == left || !name[i] ? i : 0;
}

static struct kt_pii_unit named(const char *s, size_t left, bool final)
{
    for (size_t i = 0; i < KT_COUNT(names) + KT_COUNT(latin); i++) {
        bool own = i < KT_COUNT(names);
        const char *name = own ? names[i].name : latin[i - KT_COUNT(names)];
        size_t n = common(name, s + 1, left - 1, !own);
        if (n == 0)
            continue;
        if (name[n] && !final)
            return as_it_stands(s, 0);
        if (!name[n])
            return character(n + 1,
                             own ? names[i].c
                                 : 0xc0u + (uint32_t)(i - KT_COUNT(names)) + (small(s[1]) ? 0x20u : 0));
    }
    return as_it_stands(s, 1);
}

struct kt_pii_unit kt_unescape_web_unit(const char *s, size_t left, bool final)
{
    if (s[0] == '%')
        return percent(s, left, final);
    if (left == 1)
        return as_it_stands(s, final ? 1 : 0);
    return s[1] == '#' ? numbered(s, left, final) : named(s, left, final);
}
