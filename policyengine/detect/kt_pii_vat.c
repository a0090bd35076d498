/* SPDX-License-Identifier: Apache-2.0 */
/* VAT numbers with their country's prefix ("DE 123 456 789", "NL123456789B01"); Italian ones also behind a
 * word and without it. Where the check is simple it decides, elsewhere a word has to stand in front. */
#include "policyengine/detect/kt_pii_text.h"

#include <string.h>

/* t: the number without its prefix, in capitals; the form has been compared already. */
typedef bool (*check_fn)(const char *t);

static unsigned digit(const char *t, unsigned i)
{
    return (unsigned)(t[i] - '0');
}

/* The sum of the weighted digits leaves this rest; 10 is written as 0. */
static bool rest_11(const char *t, const char *weights, unsigned at)
{
    unsigned rest = kt_pii_weighted(t, weights) % 11;
    return (rest < 2 ? 0 : 11 - rest) == digit(t, at);
}

static bool check_at(const char *t) /* U12345678 */
{
    unsigned sum = 4;
    for (unsigned i = 0; i < 7; i++) {
        unsigned d = digit(t, i + 1) * (i % 2 ? 2 : 1);
        sum += d / 10 + d % 10;
    }
    return (10 - sum % 10) % 10 == digit(t, 8);
}

static bool check_be(const char *t)
{
    return t[0] <= '1' && 97 - kt_pii_mod(t, 8, 97) == kt_pii_value(t + 8, 2);
}

static bool check_de(const char *t)
{
    return t[0] != '0' && kt_pii_mod11_10(t, 9);
}

static bool check_dk(const char *t)
{
    return t[0] != '0' && kt_pii_weighted(t, "27654321") % 11 == 0;
}

static bool check_el(const char *t)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < 8; i++)
        sum += digit(t, i) << (8 - i);
    return sum % 11 % 10 == digit(t, 8) && !kt_pii_uniform(t, 9);
}

static bool check_ee(const char *t)
{
    return (10 - kt_pii_weighted(t, "37137137") % 10) % 10 == digit(t, 8);
}

/* The last character of a company's code is a digit or the letter of that digit. */
static bool check_cif(const char *t)
{
    unsigned sum = 0;
    for (unsigned i = 1; i <= 7; i++) {
        unsigned d = digit(t, i) * (i % 2 ? 2 : 1);
        sum += d / 10 + d % 10;
    }
    unsigned check = (10 - sum % 10) % 10;
    return t[8] == (char)('0' + check) || t[8] == "JABCDEFGHI"[check];
}

static bool check_es(const char *t)
{
    static const char letters[] = "TRWAGMYFPDXBNJZSQVHLCKE";
    if (kt_pii_form(t, "99999999A"))
        return letters[kt_pii_value(t, 8) % 23] == t[8];
    if (!kt_pii_form(t, "A9999999*"))
        return false;
    if (strchr("XYZ", t[0]))
        return letters[((unsigned)(t[0] - 'X') * 10000000 + kt_pii_value(t + 1, 7)) % 23] == t[8];
    return strchr("ABCDEFGHJKLMNPQRSUVW", t[0]) && check_cif(t);
}

static bool check_fi(const char *t)
{
    return rest_11(t, "79a5842", 7) && !kt_pii_uniform(t, 8);
}

static bool check_fr(const char *t)
{
    if (!kt_pii_digit((unsigned char)t[0]) || !kt_pii_digit((unsigned char)t[1]))
        return false; /* keys with letters are rare: a word decides */
    return (12 + 3 * kt_pii_mod(t + 2, 9, 97)) % 97 == kt_pii_value(t, 2) && kt_pii_luhn(t + 2, 9);
}

static bool check_gb(const char *t)
{
    unsigned sum = kt_pii_weighted(t, "8765432") + kt_pii_value(t + 7, 2);
    return (sum % 97 == 0 || (sum + 55) % 97 == 0) && !kt_pii_uniform(t, 9);
}

static bool check_hr(const char *t)
{
    return kt_pii_mod11_10(t, 11);
}

static bool check_hu(const char *t)
{
    return (10 - kt_pii_weighted(t, "9731973") % 10) % 10 == digit(t, 7) && !kt_pii_uniform(t, 8);
}

static bool check_ie(const char *t)
{
    unsigned second = kt_pii_alpha((unsigned char)t[8]) ? (unsigned)(t[8] - 'A') + 1 : 0;
    return "WABCDEFGHIJKLMNOPQRSTUV"[(kt_pii_weighted(t, "8765432") + 9 * second) % 23] == t[7];
}

static bool check_it(const char *t)
{
    return kt_pii_luhn(t, 11) && kt_pii_value(t, 7) > 0 && kt_pii_value(t + 7, 3) < 1000;
}

static bool check_lu(const char *t)
{
    return kt_pii_mod(t, 6, 89) == kt_pii_value(t + 6, 2) && t[0] != '0';
}

/* mod 97 of the whole, letters as two digits: "NL" is 2321, "B" is 11. */
static bool check_nl(const char *t)
{
    unsigned rest = 11 - kt_pii_weighted(t, "98765432") % 11;
    if (11 - rest == digit(t, 8))
        return true;
    unsigned sum = 2321 % 97;
    for (unsigned i = 0; i < 12; i++)
        sum = t[i] == 'B' ? (sum * 100 + 11) % 97 : (sum * 10 + digit(t, i)) % 97;
    return sum == 1;
}

static bool check_pl(const char *t)
{
    return kt_pii_weighted(t, "657234567") % 11 == digit(t, 9);
}

static bool check_pt(const char *t)
{
    return rest_11(t, "98765432", 8) && t[0] != '0';
}

static bool check_se(const char *t)
{
    return kt_pii_luhn(t, 10) && t[10] == '0' && t[11] != '0';
}

static bool check_si(const char *t)
{
    unsigned check = 11 - kt_pii_weighted(t, "8765432") % 11;
    return t[0] != '0' && check != 11 && check % 10 == digit(t, 7);
}

static bool check_sk(const char *t)
{
    return t[0] != '0' && kt_pii_mod(t, 10, 11) == 0;
}

static const struct country {
    char prefix[4];
    const char *form;
    check_fn check; /* NULL: only behind a word */
} countries[] = {
    {"CHE", "999999999", NULL},       {"AT", "U99999999", check_at},    {"BE", "9999999999", check_be},
    {"BG", "9999999999", NULL},       {"BG", "999999999", NULL},        {"CY", "99999999A", NULL},
    {"CZ", "9999999999", NULL},       {"CZ", "999999999", NULL},        {"CZ", "99999999", NULL},
    {"DE", "999999999", check_de},    {"DK", "99999999", check_dk},     {"EE", "999999999", check_ee},
    {"EL", "999999999", check_el},    {"ES", "*9999999*", check_es},    {"FI", "99999999", check_fi},
    {"FR", "**999999999", check_fr},  {"GB", "999999999", check_gb},    {"XI", "999999999", check_gb},
    {"HR", "99999999999", check_hr},  {"HU", "99999999", check_hu},     {"IE", "9999999AA", check_ie},
    {"IE", "9999999A", check_ie},     {"IT", "99999999999", check_it},  {"LT", "999999999999", NULL},
    {"LT", "999999999", NULL},        {"LU", "99999999", check_lu},     {"LV", "99999999999", NULL},
    {"MT", "99999999", NULL},         {"NL", "999999999B99", check_nl}, {"PL", "9999999999", check_pl},
    {"PT", "999999999", check_pt},    {"RO", "9999999999", NULL},       {"RO", "99999999", NULL},
    {"SE", "999999999999", check_se}, {"SI", "99999999", check_si},     {"SK", "9999999999", check_sk},
};

/* What was read so far follows the form. */
static bool follows(const struct kt_pii_chars *c, const struct country *k, size_t prefix)
{
    for (unsigned i = 0; i < c->count; i++) {
        unsigned char x = (unsigned char)c->text[i];
        char f = i < prefix ? k->prefix[i] : k->form[i - prefix];
        if (f == '9' ? !kt_pii_digit(x) : f == 'A' ? !kt_pii_alpha(x) : f != '*' && f != (char)x)
            return false;
    }
    return true;
}

static enum kt_pii_answer try_country(const struct kt_pii_view *v, size_t at, const struct country *k,
                                      size_t *end)
{
    struct kt_pii_chars c;
    size_t prefix = strlen(k->prefix);
    enum kt_pii_answer a = kt_pii_chars(v, at, (unsigned)(prefix + strlen(k->form)), " .-", &c);
    if (a == KT_PII_NO || c.lower || !follows(&c, k, prefix))
        return KT_PII_NO;
    if (a == KT_PII_MORE)
        return a;
    bool right = k->check && k->check(c.text + prefix);
    bool named = !k->check && kt_pii_context(v, at, 48, KT_PII_W_VAT | KT_PII_W_TAX);
    if (!right && !named)
        return KT_PII_NO;
    *end = c.end;
    return kt_pii_ends_word(v, c.end, false);
}

static enum kt_pii_answer italian(const struct kt_pii_view *v, size_t at, size_t *end)
{
    const struct kt_pii_number *n;
    enum kt_pii_answer a = kt_pii_plain_number(v, at, "b", "", &n, end);
    if (a == KT_PII_NO || !check_it(n->digits) || !kt_pii_context(v, at, 32, KT_PII_W_VAT))
        return KT_PII_NO;
    return a;
}

static enum kt_pii_answer vat_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    *start = at;
    if (kt_pii_digit((unsigned char)v->data[at]))
        return italian(v, at, end);
    if (v->data[at] < 'A' || v->data[at] > 'Z' || !kt_pii_starts(v, at) || v->len - at < 2)
        return KT_PII_NO;
    for (size_t i = 0; i < KT_COUNT(countries); i++) {
        if (memcmp(v->data + at, countries[i].prefix, 2) != 0)
            continue;
        enum kt_pii_answer a = try_country(v, at, &countries[i], end);
        if (a != KT_PII_NO)
            return a;
    }
    return KT_PII_NO;
}

const struct kt_pii_kind kt_pii_vat = {.label = "vat",
                                       .name = "VAT",
                                       .also = " eu_vat vat_code de_vat_id it_vat_code ",
                                       .help = "VAT numbers of Europe: form and check of the country",
                                       .starts = KT_PII_AT_DIGIT | KT_PII_AT_LETTER,
                                       .words = KT_PII_LEN(2, 16),
                                       .digits = 11,
                                       .told = KT_PII_W_VAT,
                                       .match = vat_match};
