/* SPDX-License-Identifier: Apache-2.0 */
/* Check digits that several kinds share. */
#include "policyengine/detect/kt_pii_text.h"

bool kt_pii_luhn(const char *digits, size_t n)
{
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned d = (unsigned)(digits[n - 1 - i] - '0');
        if (i % 2 == 1)
            d = d > 4 ? 2 * d - 9 : 2 * d;
        sum += d;
    }
    return sum % 10 == 0;
}

unsigned kt_pii_weighted(const char *digits, const char *weights)
{
    unsigned sum = 0;
    for (; *weights; weights++, digits++)
        sum += (unsigned)(*digits - '0') *
               (*weights >= 'a' ? (unsigned)(*weights - 'a') + 10 : (unsigned)(*weights - '0'));
    return sum;
}

bool kt_pii_mod11_10(const char *digits, size_t n)
{
    unsigned product = 10;
    for (size_t i = 0; i + 1 < n; i++) {
        unsigned sum = ((unsigned)(digits[i] - '0') + product) % 10;
        product = (sum ? sum : 10) * 2 % 11;
    }
    return (11 - product) % 10 == (unsigned)(digits[n - 1] - '0');
}

unsigned kt_pii_mod(const char *digits, size_t n, unsigned by)
{
    unsigned rest = 0;
    for (size_t i = 0; i < n; i++)
        rest = (rest * 10 + (unsigned)(digits[i] - '0')) % by;
    return rest;
}

bool kt_pii_date(unsigned day, unsigned month)
{
    static const unsigned char days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1];
}

unsigned kt_pii_value(const char *digits, size_t n)
{
    unsigned value = 0;
    for (size_t i = 0; i < n; i++)
        value = value * 10 + (unsigned)(digits[i] - '0');
    return value;
}

bool kt_pii_uniform(const char *digits, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (digits[i] != digits[0])
            return false;
    return true;
}
