/* SPDX-License-Identifier: Apache-2.0 */
/* Retry-After (RFC 9110, 10.2.3) and its kin. Independent of locale and time zone. */
#include "interceptor/route/kt_retry.h"

#include <string.h>
#include <strings.h>

#define DAY_MS 86400000ll

static const char *skip_space(const char *p)
{
    while (*p == ' ' || *p == '\t')
        p++;
    return p;
}

/* A number with an optional fraction and nothing behind it, times `scale`; -1 where it is none. */
static int64_t number_ms(const char *p, double scale)
{
    double value = 0, place = 0.1;
    p = skip_space(p);
    if (*p < '0' || *p > '9')
        return -1;
    for (; *p >= '0' && *p <= '9'; p++)
        value = value < 1e12 ? value * 10 + (*p - '0') : value;
    if (*p == '.')
        for (p++; *p >= '0' && *p <= '9'; p++, place /= 10)
            value += (*p - '0') * place;
    if (*skip_space(p))
        return -1;
    value = value * scale + 0.999; /* up: never earlier than asked */
    return value < (double)DAY_MS ? (int64_t)value : DAY_MS;
}

/* Reads `digits` digits, or up to two where it is 0. */
static const char *digits(const char *p, int count, int *out)
{
    int n = 0;
    *out = 0;
    for (; p[n] >= '0' && p[n] <= '9' && n < (count ? count : 2); n++)
        *out = *out * 10 + (p[n] - '0');
    return n && (!count || n == count) ? p + n : NULL;
}

static const char *month(const char *p, int *out)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int i = 0; i < 12; i++) {
        if (strncasecmp(p, names + 3 * (ptrdiff_t)i, 3) == 0) {
            *out = i + 1;
            return p + 3;
        }
    }
    return NULL;
}

static const char *clock_time(const char *p, int hms[3])
{
    for (int i = 0; i < 3 && p; i++) {
        p = digits(p, 2, &hms[i]);
        if (p && i < 2)
            p = *p == ':' ? p + 1 : NULL;
    }
    return p && hms[0] < 24 && hms[1] < 60 && hms[2] <= 60 ? p : NULL;
}

/* Days since 1970 of a Gregorian date (Howard Hinnant's algorithm). */
static int64_t days_of(int64_t y, int m, int d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400, year = y - era * 400;
    int64_t day = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + year * 365 + year / 4 - year / 100 + day - 719468;
}

/* "06 Nov 1994 08:49:37 GMT" and "06-Nov-94 08:49:37 GMT". */
static bool day_first(const char *p, int64_t now_year, int *y, int *m, int *d, int hms[3])
{
    if (!(p = digits(p, 0, d)) || (*p != ' ' && *p != '-'))
        return false;
    char dash = *p++;
    if (!(p = month(p, m)) || *p++ != dash || !(p = digits(p, dash == '-' ? 2 : 4, y)) || *p++ != ' ')
        return false;
    if (dash == '-') /* two digits: not more than fifty years ahead */
        *y += (int)(now_year - now_year % 100) + (*y > now_year % 100 + 50 ? -100 : 0);
    p = clock_time(p, hms);
    return p && strncasecmp(skip_space(p), "GMT", 3) == 0;
}

/* asctime: "Nov  6 08:49:37 1994". */
static bool month_first(const char *p, int *y, int *m, int *d, int hms[3])
{
    if (!(p = month(p, m)) || !(p = digits(skip_space(p), 0, d)) || *p++ != ' ' || !(p = clock_time(p, hms)))
        return false;
    return *p == ' ' && digits(p + 1, 4, y);
}

/* ms since 1970; -1 where it is no HTTP date. */
static int64_t date_ms(const char *p, uint64_t real_ms)
{
    int y, m, d, hms[3];
    int64_t now_year = 1970 + (int64_t)(real_ms / 31556952000ull);
    p = skip_space(p);
    while ((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z')) /* the day's name tells nothing new */
        p++;
    p = skip_space(*p == ',' ? p + 1 : p);
    bool fine =
        *p >= '0' && *p <= '9' ? day_first(p, now_year, &y, &m, &d, hms) : month_first(p, &y, &m, &d, hms);
    if (!fine || d < 1 || d > 31 || y < 1970)
        return -1;
    return ((days_of(y, m, d) * 24 + hms[0]) * 60 + hms[1]) * 60000 + (int64_t)hms[2] * 1000;
}

int64_t kt_retry_after_ms(const char *retry_after, const char *retry_after_ms, const char *date,
                          uint64_t real_ms)
{
    int64_t ms = retry_after_ms ? number_ms(retry_after_ms, 1) : -1;
    if (ms < 0 && retry_after)
        ms = number_ms(retry_after, 1000);
    if (ms >= 0 || !retry_after)
        return ms;
    int64_t until = date_ms(retry_after, real_ms), now = date ? date_ms(date, real_ms) : -1;
    if (until < 0)
        return -1;
    ms = until - (now >= 0 ? now : (int64_t)real_ms);
    return ms < 0 ? 0 : ms > DAY_MS ? DAY_MS : ms;
}
