/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers without strtod: that one reads by the program's locale. */
#include "policyengine/body/kt_json.h"

#include <math.h>

#define DIGITS 18 /* that fit into the mantissa; a double tells 17 apart */
#define EXPONENT_MAX 100000

struct number {
    struct kt_span raw;
    size_t at;
    int64_t mantissa;
    long exponent;
    int digits; /* in the mantissa */
};

static bool digit(const struct number *n)
{
    return n->at < n->raw.len && n->raw.data[n->at] >= '0' && n->raw.data[n->at] <= '9';
}

/* `fraction`: digits behind the point. */
static void read_digits(struct number *n, bool fraction)
{
    for (; digit(n); n->at++) {
        bool taken = n->digits < DIGITS;
        if (taken) {
            n->mantissa = n->mantissa * 10 + (n->raw.data[n->at] - '0');
            n->digits += n->mantissa != 0;
        }
        n->exponent += taken ? -(long)fraction : (long)!fraction;
    }
}

static void read_exponent(struct number *n)
{
    long e = 0;
    bool minus = n->raw.data[n->at] == '-';
    n->at += minus || n->raw.data[n->at] == '+';
    for (; digit(n); n->at++)
        if (e < EXPONENT_MAX)
            e = e * 10 + (n->raw.data[n->at] - '0');
    n->exponent += minus ? -e : e;
}

kt_result kt_json_number(const struct kt_json *j, uint32_t tok, double *out)
{
    KT_ENSURE(j->tok[tok].type == KT_JSON_NUMBER, KT_ERR_SYNTAX);
    struct number n = {.raw = kt_json_raw(j, tok)};
    bool minus = n.raw.data[0] == '-';
    n.at = minus;
    read_digits(&n, false);
    if (n.at < n.raw.len && n.raw.data[n.at] == '.') {
        n.at++;
        read_digits(&n, true);
    }
    if (n.at < n.raw.len) {
        n.at++; /* e */
        read_exponent(&n);
    }
    long double v = (long double)n.mantissa;
    if (n.mantissa && n.exponent)
        v = n.exponent < -4900 ? v * powl(10, -4900) * powl(10, (long double)(n.exponent + 4900))
            : n.exponent < 0   ? v / powl(10, (long double)-n.exponent)
                               : v * powl(10, (long double)n.exponent);
    *out = (double)(minus ? -v : v);
    return kt_ok();
}
