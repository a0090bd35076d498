/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers compared digit by digit: a double cannot tell 9007199254740993 from 9007199254740992. */
#include "policyengine/body/kt_json.h"

#define EXPONENT_MAX 1000000000

struct decimal {
    bool minus;
    const char *at, *end; /* digits and perhaps a point, from the first one that is no zero */
    long top; /* power of ten in front of the first digit: 0.5 has 0, 12 has 2; unused where it is zero */
};

static long exponent_of(const char *p, const char *end)
{
    long e = 0;
    bool minus = p < end && *p == '-';
    p += p < end && (*p == '-' || *p == '+');
    for (; p < end; p++)
        e = e < EXPONENT_MAX ? e * 10 + (*p - '0') : e;
    return minus ? -e : e;
}

static struct decimal read_decimal(struct kt_span raw)
{
    const char *p = raw.data, *end = raw.data + raw.len, *point = NULL, *first = NULL, *e = p;
    struct decimal d = {.minus = raw.len && *p == '-'};
    p += d.minus;
    for (e = p; e < end && *e != 'e' && *e != 'E'; e++) {
        if (*e == '.')
            point = e;
        else if (*e != '0' && !first)
            first = e;
    }
    d.at = first ? first : e;
    d.end = e;
    if (!first) {
        d.minus = false; /* -0 is 0 */
        return d;
    }
    const char *units = point ? point : e;
    d.top = first < units ? units - first : -(first - units - 1);
    d.top += e < end ? exponent_of(e + 1, end) : 0;
    return d;
}

static char next_digit(struct decimal *d)
{
    d->at += d->at < d->end && *d->at == '.';
    return d->at < d->end ? *d->at++ : '0';
}

static int compare_sizes(struct decimal a, struct decimal b)
{
    bool none = a.at == a.end, nothing = b.at == b.end;
    if (none || nothing)
        return none && nothing ? 0 : none ? -1 : 1;
    if (a.top != b.top)
        return a.top < b.top ? -1 : 1;
    while (a.at < a.end || b.at < b.end) {
        char x = next_digit(&a), y = next_digit(&b);
        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

int kt_json_number_compare(const struct kt_json *j, uint32_t tok, const struct kt_json *k, uint32_t other)
{
    struct decimal a = read_decimal(kt_json_raw(j, tok)), b = read_decimal(kt_json_raw(k, other));
    if (a.minus != b.minus)
        return a.minus ? -1 : 1;
    return a.minus ? compare_sizes(b, a) : compare_sizes(a, b);
}
