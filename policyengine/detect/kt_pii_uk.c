/* SPDX-License-Identifier: Apache-2.0 */
/* United Kingdom: NHS numbers (ten digits, mod 11) and National Insurance numbers. */
#include "policyengine/detect/kt_pii_text.h"

#include <string.h>

#define NHS_FORMS "334|a"

static bool nhs_checks(const char *d)
{
    unsigned check = 11 - kt_pii_weighted(d, "a98765432") % 11;
    return check != 10 && check % 11 == (unsigned)(d[9] - '0') && !kt_pii_uniform(d, 10);
}

/* One number in eleven checks: without a word in front only the printed form counts, and only where it is no
 * North American phone. */
static bool meant_as_nhs(const struct kt_pii_view *v, size_t at, const struct kt_pii_number *n)
{
    size_t nhs = kt_pii_near(v, at, 48, KT_PII_W_NHS | KT_PII_W_PATIENT);
    size_t other = kt_pii_near(v, at, 32, KT_PII_W_PHONE | KT_PII_W_OTHER | KT_PII_W_REACH);
    if (nhs != KT_PII_FAR)
        return other == KT_PII_FAR || nhs <= other || kt_pii_context(v, at, 48, KT_PII_W_NHS);
    bool phone_like = n->digits[0] >= '2' && n->digits[3] >= '2';
    return n->size[0] == 3 && !phone_like && other == KT_PII_FAR && kt_pii_stands_alone(v, at);
}

static enum kt_pii_answer nhs_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    const struct kt_pii_number *n;
    enum kt_pii_answer a = kt_pii_plain_number(v, at, NHS_FORMS, " -", &n, end);
    *start = at;
    return a != KT_PII_NO && nhs_checks(n->digits) && meant_as_nhs(v, at, n) ? a : KT_PII_NO;
}

static bool issued_prefix(const char *t)
{
    static const char *const never[] = {"BG", "GB", "NK", "KN", "TN", "NT", "ZZ"};
    if (strchr("DFIQUV", t[0]) || strchr("DFIQUVO", t[1]))
        return false;
    for (size_t i = 0; i < KT_COUNT(never); i++)
        if (memcmp(t, never[i], 2) == 0)
            return false;
    return true;
}

static enum kt_pii_answer nino_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    static const char form[] = "AA999999A";
    struct kt_pii_chars c;
    if (!kt_pii_starts(v, at))
        return KT_PII_NO;
    enum kt_pii_answer a = kt_pii_chars(v, at, 9, " -", &c);
    kt_pii_capitals(&c);
    for (unsigned i = 0; i < c.count; i++)
        if (form[i] == 'A' ? !kt_pii_alpha((unsigned char)c.text[i])
                           : !kt_pii_digit((unsigned char)c.text[i]))
            return KT_PII_NO;
    if (a != KT_PII_YES)
        return a == KT_PII_MORE && c.count >= 2 && issued_prefix(c.text) ? a : KT_PII_NO;
    if (!issued_prefix(c.text) || c.text[8] > 'D' || (c.upper && c.lower))
        return KT_PII_NO;
    size_t known = kt_pii_near(v, at, 56, KT_PII_W_NATIONAL | KT_PII_W_IDENTITY | KT_PII_W_MEMBER);
    size_t other = kt_pii_near(v, at, 24, KT_PII_W_OTHER);
    if (known == KT_PII_FAR && (other != KT_PII_FAR || (c.lower && c.groups < 5)))
        return KT_PII_NO;
    *start = at;
    *end = c.end;
    return kt_pii_ends_word(v, c.end, false);
}

const struct kt_pii_kind kt_pii_nhs = {.label = "nhs",
                                       .name = "NHS",
                                       .also = " uk_nhs nhs_number national_ids ",
                                       .help = "UK NHS numbers: mod 11",
                                       .starts = KT_PII_AT_DIGIT,
                                       .words = KT_PII_LEN(3, 3) | KT_PII_LEN(10, 10),
                                       .digits = 10,
                                       .forms = NHS_FORMS,
                                       .seps = " -",
                                       .match = nhs_match};

const struct kt_pii_kind kt_pii_nino = {.label = "nino",
                                        .name = "NINO",
                                        .also = " uk_nino national_insurance_number national_ids ",
                                        .help = "UK National Insurance numbers: prefixes that are issued",
                                        .starts = KT_PII_AT_LETTER,
                                        .words = KT_PII_LEN(2, 2) | KT_PII_LEN(8, 9),
                                        .match = nino_match};
