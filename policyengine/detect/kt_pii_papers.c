/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers that only a word in front can tell from any other: passports and driving licences (looked for only
 * where somebody asks for them), and with healthcare_mode record and insurance numbers, NPI and MBI.
 */
#include "policyengine/detect/kt_pii_text.h"

#include <string.h>

#define NPI_FORMS "a|433"

/* One word of letters and digits, five digits at least, `low` to `high` characters, with '-' inside where
 * `dash`. */
static enum kt_pii_answer code_word(const struct kt_pii_view *v, size_t at, unsigned low, unsigned high,
                                    bool dash, size_t *end)
{
    unsigned n = 0, digits = 0;
    size_t i = at;
    if (!kt_pii_starts(v, at))
        return KT_PII_NO;
    for (; i < v->len && n <= high; i++) {
        unsigned char c = (unsigned char)v->data[i];
        bool joins =
            dash && c == '-' && n > 0 && i + 1 < v->len && kt_pii_alnum((unsigned char)v->data[i + 1]);
        if (!kt_pii_alnum(c) && !joins)
            break;
        n += !joins;
        digits += kt_pii_digit(c);
    }
    bool open = i >= v->len || (dash && v->data[i] == '-' && i + 1 == v->len);
    if (open && !v->final && n <= high)
        return KT_PII_MORE;
    if (n < low || n > high || digits < 5 || digits * 3 < n)
        return KT_PII_NO;
    *end = i;
    return kt_pii_ends_word(v, i, true);
}

/* A word of `classes` within 32 bytes, and nothing nearer that names something else. */
static bool named(const struct kt_pii_view *v, size_t at, uint64_t classes)
{
    size_t near = kt_pii_near(v, at, 40, classes);
    return near <= 28 &&
           near <= kt_pii_near(v, at, 40, KT_PII_W_PHONE | KT_PII_W_BIRTH | KT_PII_W_CARD | KT_PII_W_EXPIRY);
}

static enum kt_pii_answer paper(const struct kt_pii_view *v, size_t at, uint64_t classes, unsigned low,
                                unsigned high, bool dash, size_t *start, size_t *end)
{
    *start = at;
    return named(v, at, classes) ? code_word(v, at, low, high, dash, end) : KT_PII_NO;
}

static enum kt_pii_answer passport_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    return paper(v, at, KT_PII_W_PASSPORT, 6, 10, false, start, end);
}

static enum kt_pii_answer licence_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    return paper(v, at, KT_PII_W_LICENCE, 6, 18, true, start, end);
}

static enum kt_pii_answer mrn_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    return paper(v, at, KT_PII_W_RECORD | KT_PII_W_PATIENT, 5, 14, true, start, end);
}

/* Medicare beneficiary identifiers have a form of their own: "1EG4-TE5-MK73", no S, L, O, I, B, Z. */
static bool mbi(const char *t)
{
    static const char kind[] = "9AX9AX9AA99"; /* 9 a digit, A a letter, X either */
    for (unsigned i = 0; i < 11; i++) {
        unsigned char c = (unsigned char)t[i];
        bool letter = kt_pii_alpha(c) && !strchr("SLOIBZ", (char)c);
        bool is_digit = kt_pii_digit(c);
        if (kind[i] == '9' ? !is_digit : kind[i] == 'A' ? !letter : !letter && !is_digit)
            return false;
    }
    return t[0] != '0';
}

static enum kt_pii_answer insurance_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    struct kt_pii_chars c;
    *start = at;
    enum kt_pii_answer a = kt_pii_chars(v, at, 11, "-", &c);
    kt_pii_capitals(&c);
    if (a == KT_PII_YES && mbi(c.text) && kt_pii_starts(v, at) &&
        kt_pii_ends_word(v, c.end, false) != KT_PII_NO) {
        *end = c.end;
        return kt_pii_ends_word(v, c.end, false);
    }
    if (a == KT_PII_MORE && c.count > 0 && c.text[0] >= '1' && c.text[0] <= '9' &&
        (c.count < 2 || kt_pii_alpha((unsigned char)c.text[1])))
        return a;
    return paper(v, at, KT_PII_W_MEMBER, 6, 16, true, start, end);
}

/* National provider identifiers: ten digits from 1 or 2 on, Luhn with the prefix 80840. */
static enum kt_pii_answer npi_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    const struct kt_pii_number *n;
    char whole[16] = "80840";
    enum kt_pii_answer a = kt_pii_plain_number(v, at, NPI_FORMS, "- ", &n, end);
    *start = at;
    if (a == KT_PII_NO || (n->digits[0] != '1' && n->digits[0] != '2'))
        return KT_PII_NO;
    memcpy(whole + 5, n->digits, 10);
    return kt_pii_luhn(whole, 15) && kt_pii_context(v, at, 48, KT_PII_W_NPI) ? a : KT_PII_NO;
}

const struct kt_pii_kind kt_pii_passport = {.label = "passport",
                                            .name = "PASSPORT",
                                            .also = " passport_number us_passport uk_passport ",
                                            .help = "what a word calls a passport number",
                                            .group = KT_PII_OPT_IN,
                                            .starts = KT_PII_AT_DIGIT | KT_PII_AT_LETTER,
                                            .digits = 5,
                                            .told = KT_PII_W_PASSPORT,
                                            .match = passport_match};

const struct kt_pii_kind kt_pii_driver_license = {.label = "driver_license",
                                                  .name = "DRIVER_LICENSE",
                                                  .also =
                                                      " driver_licence driving_licence us_driver_license ",
                                                  .help = "what a word calls a driving licence",
                                                  .group = KT_PII_OPT_IN,
                                                  .starts = KT_PII_AT_DIGIT | KT_PII_AT_LETTER,
                                                  .digits = 5,
                                                  .told = KT_PII_W_LICENCE,
                                                  .match = licence_match};

const struct kt_pii_kind kt_pii_mrn = {.label = "mrn",
                                       .name = "MRN",
                                       .also = " medical_record_number patient_id ",
                                       .help = "what a word calls a patient's record number",
                                       .group = KT_PII_HEALTH,
                                       .starts = KT_PII_AT_DIGIT | KT_PII_AT_LETTER,
                                       .digits = 5,
                                       .told = KT_PII_W_RECORD | KT_PII_W_PATIENT,
                                       .match = mrn_match};

const struct kt_pii_kind kt_pii_insurance_id = {
    .label = "insurance_id",
    .name = "INSURANCE_ID",
    .also = " us_mbi health_insurance_id ",
    .help = "Medicare identifiers, and what a word calls a member's number",
    .group = KT_PII_HEALTH,
    .starts = KT_PII_AT_DIGIT | KT_PII_AT_LETTER,
    .digits = 1,
    .match = insurance_match};

const struct kt_pii_kind kt_pii_npi = {.label = "npi",
                                       .name = "NPI",
                                       .also = " us_npi ",
                                       .help = "US provider identifiers: Luhn, and a word that names them",
                                       .group = KT_PII_HEALTH,
                                       .starts = KT_PII_AT_DIGIT,
                                       .words = KT_PII_LEN(4, 4) | KT_PII_LEN(10, 10),
                                       .digits = 10,
                                       .told = KT_PII_W_NPI,
                                       .forms = NPI_FORMS,
                                       .seps = "- ",
                                       .match = npi_match};
