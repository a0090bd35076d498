/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of persons in France (NIR), Germany (Steuer-ID), Spain (DNI, NIE) and Italy (codice fiscale). */
#include "policyengine/detect/kt_pii_text.h"

#include <string.h>

#define STEUER_FORMS "b|2333"

/* ---- NIR: sex, year, month, department, commune, order, key of 97 ---- */

static bool nir_checks(char *t)
{
    unsigned corsica = t[5] == '2' && t[6] == 'A' ? 19 : t[5] == '2' && t[6] == 'B' ? 18 : 0;
    if (corsica) {
        t[5] = '1';
        t[6] = (char)('0' + corsica % 10);
    }
    for (unsigned i = 0; i < 15; i++)
        if (!kt_pii_digit((unsigned char)t[i]))
            return false;
    unsigned month = kt_pii_value(t + 3, 2);
    bool known_month = (month >= 1 && month <= 12) || (month >= 20 && month <= 42) || month >= 50;
    return t[0] && strchr("123478", t[0]) && known_month &&
           97 - kt_pii_mod(t, 13, 97) == kt_pii_value(t + 13, 2);
}

/* Its first group is the sex, the thirteen digits without the key, or all of it; Corsica has a letter. */
static bool nir_begins(const struct kt_pii_view *v, size_t at)
{
    size_t n = 0;
    while (at + n < v->len && n < 16 && kt_pii_digit((unsigned char)v->data[at + n]))
        n++;
    bool whole = n == 1 || n == 13 || n == 15 || at + n == v->len;
    bool begins = whole || kt_pii_alpha((unsigned char)v->data[at + n]);
    /* a row of numbers is none, and one digit alone has groups behind it */
    return begins && strchr("123478", v->data[at]) && !(n == 1 && kt_pii_in_row(v, at));
}

/* "1 85 05 78 006 084 36", "1850578006084 36": the groups are those of its parts. */
static bool nir_printed(const struct kt_pii_view *v, size_t at, unsigned groups)
{
    size_t first = 0;
    while (at + first < v->len && kt_pii_digit((unsigned char)v->data[at + first]))
        first++;
    return groups == 1 || (groups <= 7 && !kt_pii_in_row(v, at) && (first == 1 || first == 13));
}

/* The key behind a stroke: " / 36", "/36". `c` holds the thirteen digits in front. */
static enum kt_pii_answer nir_key(const struct kt_pii_view *v, struct kt_pii_chars *c)
{
    size_t i = c->end;
    i += i < v->len && v->data[i] == ' ';
    if (i < v->len && v->data[i] != '/')
        return KT_PII_NO;
    i += 1 + (i + 1 < v->len && v->data[i + 1] == ' ');
    for (; c->count < 15; i++) {
        if (i >= v->len)
            return v->final ? KT_PII_NO : KT_PII_MORE;
        if (!kt_pii_digit((unsigned char)v->data[i]))
            return KT_PII_NO;
        c->text[c->count++] = v->data[i];
        c->end = i + 1;
    }
    return KT_PII_YES;
}

static enum kt_pii_answer nir_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    struct kt_pii_chars c;
    if (!nir_begins(v, at) || !kt_pii_starts_number(v, at))
        return KT_PII_NO;
    enum kt_pii_answer a = kt_pii_chars(v, at, 15, " -.", &c);
    if (a == KT_PII_NO && c.count == 13)
        a = nir_key(v, &c);
    kt_pii_capitals(&c);
    for (unsigned i = 0; i < c.count; i++)
        if (i != 6 && !kt_pii_digit((unsigned char)c.text[i]))
            return KT_PII_NO;
    if (a != KT_PII_YES || !nir_checks(c.text) || !nir_printed(v, at, c.groups))
        return a == KT_PII_MORE ? a : KT_PII_NO;
    *start = at;
    *end = c.end;
    return kt_pii_ends_number(v, c.end, 0);
}

/* ---- Steuer-ID: eleven digits, the last one ISO 7064 mod 11,10 ---- */

/* Of the first ten digits exactly one comes twice or three times (not in a row), and none is more frequent.
 */
static bool repeats_once(const char *d)
{
    unsigned count[10] = {0}, repeated = 0;
    for (unsigned i = 0; i < 10; i++)
        count[d[i] - '0']++;
    for (unsigned i = 0; i < 10; i++) {
        if (count[i] > 3)
            return false;
        repeated += count[i] > 1;
    }
    for (unsigned i = 2; i < 10; i++)
        if (d[i] == d[i - 1] && d[i] == d[i - 2])
            return false;
    return repeated == 1;
}

static enum kt_pii_answer steuer_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    const struct kt_pii_number *n;
    enum kt_pii_answer a = kt_pii_plain_number(v, at, STEUER_FORMS, " /", &n, end);
    if (a == KT_PII_NO || n->digits[0] == '0' || !kt_pii_mod11_10(n->digits, 11) ||
        kt_pii_uniform(n->digits, 10))
        return KT_PII_NO;
    size_t tax = kt_pii_near(v, at, 48, KT_PII_W_TAX);
    size_t other = kt_pii_near(v, at, 32, KT_PII_W_PHONE | KT_PII_W_NATIONAL);
    *start = at;
    if (tax != KT_PII_FAR && tax <= other)
        return a;
    bool alone =
        other == KT_PII_FAR && !kt_pii_context(v, at, 24, KT_PII_W_OTHER) && kt_pii_stands_alone(v, at);
    return repeats_once(n->digits) && alone ? a : KT_PII_NO;
}

/* ---- DNI and NIE: a number and the letter of its rest by 23 ---- */

static bool letter_checks(unsigned number, char letter)
{
    return "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23] == kt_pii_upper(letter);
}

/* "12345678Z", "12345678-Z", "12.345.678-Z" */
static enum kt_pii_answer dni(const struct kt_pii_view *v, size_t at, size_t *end)
{
    const struct kt_pii_number *n;
    bool plain_run = false;
    if (!kt_pii_stands_alone(v, at) && !kt_pii_assigned(v, at))
        return KT_PII_NO;
    enum kt_pii_answer a = kt_pii_number(v, at, &n);
    if (a != KT_PII_YES)
        return a;
    plain_run = n->groups == 1 && (n->count == 8 || n->count == 7);
    bool dotted = n->groups == 3 && n->count == 8 && kt_pii_sizes(n, "233") && kt_pii_separator(n, 3) == '.';
    if (!plain_run && !dotted)
        return KT_PII_NO;
    size_t i = n->end[n->groups - 1];
    bool dash = i < v->len && (v->data[i] == '-' || v->data[i] == ' ');
    i += dash;
    if (i >= v->len)
        return v->final ? KT_PII_NO : KT_PII_MORE;
    if (!kt_pii_alpha((unsigned char)v->data[i]) ||
        !letter_checks(kt_pii_value(n->digits, n->count), v->data[i]))
        return KT_PII_NO;
    /* a small letter behind a date or of a hexadecimal number says nothing */
    bool small = v->data[i] > 'f' && memcmp(n->digits, "19", 2) != 0 && memcmp(n->digits, "20", 2) != 0;
    bool strict = !dash && n->count == 8 && (v->data[i] < 'a' || small);
    bool named = kt_pii_context(v, at, 48, KT_PII_W_NATIONAL | KT_PII_W_IDENTITY | KT_PII_W_TAX);
    bool dashed = dash && v->data[i - 1] == '-' && v->data[i] < 'a' && n->count == 8;
    if (!named && !dashed && (!strict || kt_pii_context(v, at, 24, KT_PII_W_OTHER)))
        return KT_PII_NO;
    *end = i + 1;
    return kt_pii_ends_word(v, i + 1, false);
}

/* "X1234567L", "X-1234567-L", "X 1234567 L", "X-1.234.567-L" */
static enum kt_pii_answer nie_chars(const struct kt_pii_view *v, size_t at, struct kt_pii_chars *c)
{
    enum kt_pii_answer a = kt_pii_chars(v, at, 9, "- ", c);
    if (a != KT_PII_NO || c->count != 2)
        return a;
    static const char form[] = "A-9.999.999-A";
    for (unsigned i = 0; i < sizeof form - 1; i++) {
        if (at + i >= v->len)
            return v->final ? KT_PII_NO : KT_PII_MORE;
        char x = v->data[at + i];
        if (form[i] == '9' ? !kt_pii_digit((unsigned char)x) : form[i] != 'A' && x != form[i])
            return KT_PII_NO;
        if (i >= 4 && form[i] != '.' && form[i] != '-')
            c->text[c->count++] = x;
    }
    c->groups = 3;
    c->end = at + sizeof form - 1;
    return KT_PII_YES;
}

static enum kt_pii_answer nie(const struct kt_pii_view *v, size_t at, size_t *end)
{
    struct kt_pii_chars c;
    if (!strchr("XYZxyz", v->data[at]) || !kt_pii_starts(v, at))
        return KT_PII_NO;
    enum kt_pii_answer a = nie_chars(v, at, &c);
    for (unsigned i = 1; i < c.count && i < 8; i++)
        if (!kt_pii_digit((unsigned char)c.text[i]))
            return KT_PII_NO;
    bool spaced = c.groups > 1 && v->data[at + 1] == ' ';
    if (a != KT_PII_YES || c.groups > 3 || (spaced && v->data[at] > 'Z'))
        return a == KT_PII_MORE ? a : KT_PII_NO;
    unsigned number = (unsigned)(kt_pii_upper(c.text[0]) - 'X') * 10000000 + kt_pii_value(c.text + 1, 7);
    if (!kt_pii_alpha((unsigned char)c.text[8]) || !letter_checks(number, c.text[8]))
        return KT_PII_NO;
    *end = c.end;
    return kt_pii_ends_word(v, c.end, false);
}

static enum kt_pii_answer dni_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    *start = at;
    return kt_pii_digit((unsigned char)v->data[at]) ? dni(v, at, end) : nie(v, at, end);
}

/* ---- codice fiscale: name, birth, place, check letter; digits may be written as letters (omocodia) ---- */

static bool cf_form(const struct kt_pii_chars *c)
{
    for (unsigned i = 0; i < c->count; i++) {
        char x = c->text[i];
        bool letter_place = i < 6 || i == 8 || i == 11 || i == 15;
        if (letter_place ? !kt_pii_alpha((unsigned char)x)
                         : !kt_pii_digit((unsigned char)x) && !strchr("LMNPQRSTUV", x))
            return false;
        if (i == 8 && !strchr("ABCDEHLMPRST", x))
            return false;
    }
    return true;
}

static bool cf_checks(const char *t)
{
    static const unsigned char odd[] = {1,  0,  5, 7, 9, 13, 15, 17, 19, 21, 2,  4,  18,
                                        20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23};
    unsigned sum = 0;
    for (unsigned i = 0; i < 15; i++) {
        unsigned value = (unsigned)(kt_pii_digit((unsigned char)t[i]) ? t[i] - '0' : t[i] - 'A');
        sum += i % 2 == 0 ? odd[value] : value;
    }
    return sum % 26 == (unsigned)(t[15] - 'A');
}

static enum kt_pii_answer cf_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    struct kt_pii_chars c;
    if (!kt_pii_starts(v, at))
        return KT_PII_NO;
    enum kt_pii_answer a = kt_pii_chars(v, at, 16, " ", &c);
    kt_pii_capitals(&c);
    /* In groups it is written in capitals: so a word of prose needs nothing behind its space. */
    bool in_groups = c.groups > 1 || (a == KT_PII_MORE && c.end < v->len);
    if (a == KT_PII_NO || (c.lower && in_groups) || !cf_form(&c))
        return KT_PII_NO;
    if (a == KT_PII_MORE || !cf_checks(c.text) || c.groups == 2 || c.groups > 5)
        return a == KT_PII_MORE ? a : KT_PII_NO;
    *start = at;
    *end = c.end;
    return kt_pii_ends_word(v, c.end, false);
}

const struct kt_pii_kind kt_pii_nir = {.label = "nir",
                                       .name = "NIR",
                                       .also = " fr_nir insee national_ids ",
                                       .help = "French numbers of persons: key of 97, Corsica included",
                                       .starts = KT_PII_AT_DIGIT,
                                       .words = KT_PII_LEN(1, 1) | KT_PII_LEN(13, 13) | KT_PII_LEN(15, 15),
                                       .digits = 5,
                                       .leads = KT_PII_LEN(1, 1),
                                       .match = nir_match};

const struct kt_pii_kind kt_pii_steuer_id = {.label = "steuer_id",
                                             .name = "STEUER_ID",
                                             .also = " de_tax_id de_steuer_id steuerid national_ids ",
                                             .help = "German tax numbers of persons: ISO 7064 and repetition",
                                             .starts = KT_PII_AT_DIGIT,
                                             .words = KT_PII_LEN(2, 2) | KT_PII_LEN(11, 11),
                                             .digits = 11,
                                             .forms = STEUER_FORMS,
                                             .seps = " /",
                                             .match = steuer_match};

const struct kt_pii_kind kt_pii_dni_nie = {.label = "dni_nie",
                                           .name = "DNI_NIE",
                                           .also = " dni nie es_nif es_nie national_ids ",
                                           .help = "Spanish DNI and NIE: the letter checks the number",
                                           .starts = KT_PII_AT_DIGIT | KT_PII_AT_LETTER,
                                           .words = KT_PII_LEN(1, 2) | KT_PII_LEN(7, 9),
                                           .digits = 7,
                                           .forms = "7|8|233",
                                           .seps = ".",
                                           .match = dni_match};

const struct kt_pii_kind kt_pii_codice_fiscale = {
    .label = "codice_fiscale",
    .name = "CODICE_FISCALE",
    .also = " it_fiscal_code national_ids ",
    .help = "Italian tax codes: check letter, omocodia included",
    .starts = KT_PII_AT_LETTER,
    .words = KT_PII_LEN(3, 3) | KT_PII_LEN(6, 6) | KT_PII_LEN(16, 16),
    .match = cf_match};
