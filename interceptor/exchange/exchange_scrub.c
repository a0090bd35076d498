/* SPDX-License-Identifier: Apache-2.0 */
/* A target's key does not come back: some providers quote it where they refuse it. */
#include "interceptor/exchange/kt_exchange_private.h"

#include <string.h>

#define SHORTEST                                                                                             \
    6 /* what servers without keys are given ("none", "EMPTY") is no secret, but a common word               \
       */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The value of the last two of `digits` hex digits; -1 where they are none, or the others are not 0. */
static int byte_of(const char *p, unsigned digits)
{
    for (; digits > 2; digits--, p++)
        if (*p != '0')
            return -1;
    int high = hex(p[0]), low = hex(p[1]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* How many bytes of `p` spell `c`, plainly, in JSON's ways or as in a URL; 0 = they do not. */
static size_t spells(const char *p, size_t left, char c)
{
    int wanted = (unsigned char)c;
    if (left >= 6 && p[0] == '\\' && (p[1] | 0x20) == 'u' && byte_of(p + 2, 4) == wanted)
        return 6;
    if (left >= 3 && p[0] == '%' && byte_of(p + 1, 2) == wanted)
        return 3;
    if (left >= 2 && p[0] == '\\' && p[1] == c)
        return 2;
    return left && *p == c;
}

/* How many bytes of `p` spell the key; 0 = they do not. */
static size_t spelled(const char *p, size_t left, const char *key)
{
    size_t at = 0;
    for (; *key; key++) {
        size_t n = spells(p + at, left - at, *key);
        if (!n)
            return 0;
        at += n;
    }
    return at;
}

/* Of the attempt under way; NULL = it has none. */
static const char *key_of(const struct kt_exchange *x)
{
    const struct kt_x_attempt *a = x->attempt_count ? &x->attempts[x->attempt_count - 1] : NULL;
    for (size_t i = 0; a && a->target && i < x->route.count; i++)
        if (x->route.steps[i].target == a->target)
            return x->route.steps[i].key;
    return NULL;
}

void kt_x_scrub(const struct kt_exchange *x, char *text, size_t len)
{
    const char *key = key_of(x);
    if (!key || strlen(key) < SHORTEST)
        return;
    for (size_t i = 0; i < len;) {
        size_t n = spelled(text + i, len - i, key);
        memset(text + i, '*', n);
        i += n ? n : 1;
    }
}
