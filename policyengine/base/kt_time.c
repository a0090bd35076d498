/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time as text without the C library's calendar. gmtime_r and strftime take the lock of the time zone, and
 * fork does not free that lock in the child: a child forked while any thread of the program (ours or not) was
 * in there would wait for ever in its turn, and the log's lock with it.
 */
#include "policyengine/base/kt_base.h"

static char *digits(char *at, unsigned value, unsigned width)
{
    for (unsigned i = width; i > 0; value /= 10)
        at[--i] = (char)('0' + value % 10);
    return at + width;
}

static bool is_leap(unsigned year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Turns days since 1970-01-01 into a date. 64 bits of nanoseconds end in 2554, so counting is short. */
static void date_of(unsigned days, unsigned *year, unsigned *month, unsigned *day)
{
    unsigned char months[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned y = 1970, m = 0;
    for (; days >= 365u + is_leap(y); y++)
        days -= 365u + is_leap(y);
    months[1] = is_leap(y) ? 29 : 28;
    for (; days >= months[m]; m++)
        days -= months[m];
    *year = y;
    *month = m + 1;
    *day = days + 1;
}

void kt_rfc3339(uint64_t real_ns, char *out)
{
    uint64_t seconds = real_ns / 1000000000u;
    unsigned rest = (unsigned)(seconds % 86400), year, month, day;
    const char behind[] = {'-', '-', 'T', ':', ':', '.', 'Z'};
    date_of((unsigned)(seconds / 86400), &year, &month, &day);
    const unsigned values[] = {
        year, month, day, rest / 3600, rest / 60 % 60, rest % 60, (unsigned)(real_ns % 1000000000u)};
    const unsigned widths[] = {4, 2, 2, 2, 2, 2, 9};
    for (size_t i = 0; i < KT_COUNT(values); i++) {
        out = digits(out, values[i], widths[i]);
        *out++ = behind[i];
    }
    *out = '\0';
}
