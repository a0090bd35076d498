/* SPDX-License-Identifier: Apache-2.0 */
/* Vehicle identification numbers: 17 characters without I, O and Q; the ninth checks the others. European
 * makers may leave the ninth unused ('Z' or another letter): such a number needs a word that says what it is.
 */
#include "policyengine/detect/kt_pii_text.h"

#include <string.h>

static int value_of(char c)
{
    static const char letters[] = "12345678*12345*7*923456789"; /* A..Z */
    return kt_pii_digit((unsigned char)c) ? c - '0' : letters[c - 'A'] == '*' ? -1 : letters[c - 'A'] - '0';
}

static bool vin_checks(const char *t)
{
    static const unsigned char weights[] = {8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2};
    unsigned sum = 0;
    for (unsigned i = 0; i < 17; i++) {
        int value = value_of(t[i]);
        if (value < 0)
            return false;
        sum += (unsigned)value * weights[i];
    }
    return t[8] == (sum % 11 == 10 ? 'X' : (char)('0' + sum % 11));
}

/* It names a maker and ends in a serial number. */
static bool vin_form(const char *t)
{
    unsigned letters = 0;
    for (unsigned i = 0; i < 17; i++) {
        if (kt_pii_alpha((unsigned char)t[i]) && value_of(t[i]) < 0)
            return false;
        letters += kt_pii_alpha((unsigned char)t[i]);
    }
    return letters >= 2 && strspn(t + 13, "0123456789") == 4;
}

static enum kt_pii_answer vin_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    struct kt_pii_chars c;
    if (!kt_pii_starts(v, at))
        return KT_PII_NO;
    enum kt_pii_answer a = kt_pii_chars(v, at, 17, "", &c);
    bool mixed = c.upper && c.lower, small = c.lower;
    if (a != KT_PII_YES)
        return a;
    kt_pii_capitals(&c);
    if (mixed || !vin_form(c.text))
        return KT_PII_NO;
    bool named = kt_pii_context(v, at, 48, KT_PII_W_VIN);
    bool unchecked = c.text[8] != 'X' && kt_pii_alpha((unsigned char)c.text[8]);
    if (!(vin_checks(c.text) && (named || !small)) && !(named && unchecked))
        return KT_PII_NO;
    if (!named && kt_pii_context(v, at, 24, KT_PII_W_OTHER)) /* "tracking 1Z..." */
        return KT_PII_NO;
    *start = at;
    *end = c.end;
    return kt_pii_ends_word(v, c.end, false);
}

const struct kt_pii_kind kt_pii_vin = {.label = "vin",
                                       .name = "VIN",
                                       .also = " vehicle_identification_number ",
                                       .help = "vehicle identification numbers: check digit",
                                       .starts = KT_PII_AT_DIGIT | KT_PII_AT_LETTER,
                                       .words = KT_PII_LEN(17, 17),
                                       .digits = 17,
                                       .match = vin_match};
