/* SPDX-License-Identifier: Apache-2.0 */
/* Check digits that several kinds share. */
#include "policyengine/detect/kt_pii_text.h"

bool kt_pii_luhn(const char *digits, size_t n)
{
    static const unsigned char twice[16] = {0, 2, 4, 6, 8, 1, 3, 5, 7, 9};
    unsigned sum = 0;
    for (size_t i = n; i > 1; i -= 2)
        sum += (unsigned)(digits[i - 1] - '0') + twice[digits[i - 2] & 15];
    sum += n % 2 ? (unsigned)(digits[0] - '0') : 0;
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
