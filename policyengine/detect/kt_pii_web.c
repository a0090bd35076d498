/* SPDX-License-Identifier: Apache-2.0 */
/* ASCII as addresses, forms and pages of the web write it: "%40", "%2B", "&#64;", "&commat;". */
#include "policyengine/detect/kt_pii_fold.h"

#include "policyengine/detect/kt_pii_text.h"

#include <string.h>

#define NUMBER_MAX 6u /* digits of a reference */

static struct kt_pii_unit stands_for(size_t raw, char c)
{
    return (struct kt_pii_unit){.raw = raw, .len = 1, .text = {c}};
}

static bool printable(unsigned c)
{
    return (c >= ' ' && c < 0x7f) || c == '\n';
}

static unsigned hex_value(unsigned char c)
{
    return kt_pii_digit(c) ? c - (unsigned)'0' : (c | 0x20u) - 'a' + 10u;
}

#define NO_DOMAIN 11u /* digits behind "40": the rest of a card, and more than a domain like 12306.cn has */

/* "x%4012888888881881" is a number behind a sign. */
static struct kt_pii_unit at_sign(const char *s, size_t left, bool final)
{
    size_t n = 0;
    while (3 + n < left && n < NO_DOMAIN && kt_pii_digit((unsigned char)s[3 + n]))
        n++;
    if (3 + n == left && n < NO_DOMAIN && !final)
        return stands_for(0, '%');
    return n == NO_DOMAIN ? stands_for(1, '%') : stands_for(3, '@');
}

/* No encoder writes letters and digits so: "3%4111" is a rate and a number. */
static struct kt_pii_unit percent(const char *s, size_t left, bool final)
{
    for (size_t i = 1; i < 3; i++) {
        if (i == left)
            return stands_for(final ? 1 : 0, '%');
        if (!kt_pii_hex((unsigned char)s[i]))
            return stands_for(1, '%');
    }
    unsigned c = hex_value((unsigned char)s[1]) << 4 | hex_value((unsigned char)s[2]);
    if (c == '@')
        return at_sign(s, left, final);
    bool sign = printable(c) && !kt_pii_alnum((unsigned char)c);
    return sign ? stands_for(3, (char)c) : stands_for(1, '%');
}

/* "&#64;", "&#x40;" */
static struct kt_pii_unit numbered(const char *s, size_t left, bool final)
{
    bool hex = left > 2 && (s[2] | 0x20) == 'x';
    size_t start = 2 + hex, i = start;
    unsigned c = 0;
    for (; i < left && i - start < NUMBER_MAX && kt_pii_hex((unsigned char)s[i]); i++) {
        if (!hex && !kt_pii_digit((unsigned char)s[i]))
            return stands_for(1, '&');
        c = c * (hex ? 16 : 10) + hex_value((unsigned char)s[i]);
    }
    if (i == left && !final)
        return stands_for(0, '&');
    bool known = i > start && i < left && s[i] == ';' && printable(c);
    return known ? stands_for(i + 1, (char)c) : stands_for(1, '&');
}

static const struct reference {
    const char *name;
    char c;
} references[] = {{"amp;", '&'},    {"apos;", '\''},  {"colon;", ':'}, {"commat;", '@'}, {"comma;", ','},
                  {"dash;", '-'},   {"equals;", '='}, {"gt;", '>'},    {"hyphen;", '-'}, {"lowbar;", '_'},
                  {"lpar;", '('},   {"lt;", '<'},     {"nbsp;", ' '},  {"num;", '#'},    {"percnt;", '%'},
                  {"period;", '.'}, {"plus;", '+'},   {"quot;", '"'},  {"rpar;", ')'},   {"sol;", '/'}};

static struct kt_pii_unit named(const char *s, size_t left, bool final)
{
    for (size_t i = 0; i < KT_COUNT(references); i++) {
        size_t len = strlen(references[i].name), seen = left - 1 < len ? left - 1 : len;
        if (memcmp(s + 1, references[i].name, seen) != 0)
            continue;
        if (seen < len && !final)
            return stands_for(0, '&');
        if (seen == len)
            return stands_for(len + 1, references[i].c);
    }
    return stands_for(1, '&');
}

struct kt_pii_unit kt_pii_web_unit(const char *s, size_t left, bool json, bool final)
{
    if (s[0] == '%')
        return percent(s, left, final);
    if (s[0] == '&' && left > 1)
        return s[1] == '#' ? numbered(s, left, final) : named(s, left, final);
    if (s[0] == '&')
        return stands_for(final ? 1 : 0, '&');
    return kt_pii_unit(s, left, json, final);
}
