/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers of persons in further countries, one line each. A form that says little ("9 digits") counts only
 * behind a word that names such a number; one with its own punctuation or a strong check stands for itself.
 */
#include "policyengine/detect/kt_pii_forms.h"

#include <string.h>

typedef bool (*check_fn)(const char *d);

static unsigned digit(const char *d, unsigned i)
{
    return (unsigned)(d[i] - '0');
}

static unsigned two(const char *d, unsigned i)
{
    return kt_pii_value(d + i, 2);
}

static bool check_pesel(const char *d)
{
    return kt_pii_date(two(d, 4), two(d, 2) % 20) &&
           (10 - kt_pii_weighted(d, "1379137913") % 10) % 10 == digit(d, 10);
}

static bool check_bsn(const char *d)
{
    return (kt_pii_weighted(d, "98765432") + 10 * digit(d, 8)) % 11 == 0 && !kt_pii_uniform(d, 9);
}

static bool check_rrn_be(const char *d)
{
    unsigned old = 97 - kt_pii_mod(d, 9, 97), check = two(d, 9);
    unsigned young = 97 - (unsigned)((2000000000ull + kt_pii_value(d, 9)) % 97);
    bool date = two(d, 2) <= 12 && two(d, 4) <= 31;
    return date && (check == old || check == young);
}

static bool check_ahv(const char *d)
{
    return memcmp(d, "756", 3) == 0 && kt_pii_weighted(d, "1313131313131") % 10 == 0;
}

static bool cpf_digit(const char *d, unsigned n)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < n; i++)
        sum += digit(d, i) * (n + 1 - i);
    return sum * 10 % 11 % 10 == digit(d, n);
}

static bool check_cpf(const char *d)
{
    return !kt_pii_uniform(d, 11) && cpf_digit(d, 9) && cpf_digit(d, 10);
}

static bool check_cnpj(const char *d)
{
    unsigned a = kt_pii_weighted(d, "543298765432") % 11, b = kt_pii_weighted(d, "6543298765432") % 11;
    return (a < 2 ? 0 : 11 - a) == digit(d, 12) && (b < 2 ? 0 : 11 - b) == digit(d, 13) &&
           !kt_pii_uniform(d, 14);
}

static bool check_sin(const char *d)
{
    return d[0] != '0' && d[0] != '8' && !kt_pii_uniform(d, 9) && kt_pii_luhn(d, 9);
}

static bool check_tfn(const char *d)
{
    return kt_pii_weighted(d, "14375869a") % 11 == 0;
}

static bool check_medicare_au(const char *d)
{
    return d[0] >= '2' && d[0] <= '6' && kt_pii_weighted(d, "13791379") % 10 == digit(d, 8);
}

/* Verhoeff's scheme over the dihedral group of order ten. */
static bool check_aadhaar(const char *d)
{
    static const unsigned char step[] = {1, 5, 7, 6, 2, 8, 3, 0, 9, 4};
    unsigned sum = 0;
    if (d[0] < '2')
        return false;
    for (unsigned i = 0; i < 12; i++) {
        unsigned x = digit(d, 11 - i);
        for (unsigned n = i % 8; n > 0; n--)
            x = step[x];
        unsigned a = sum % 5, b = x % 5;
        bool flipped = sum >= 5, other = x >= 5;
        sum = flipped ? (a + 5 - b) % 5 : (a + b) % 5;
        sum += flipped != other ? 5 : 0;
    }
    return sum == 0;
}

static bool check_tckn(const char *d)
{
    unsigned odd = 0, even = 0;
    for (unsigned i = 0; i < 9; i++)
        *(i % 2 ? &even : &odd) += digit(d, i);
    return d[0] != '0' && (7 * odd + 10 * even - even) % 10 == digit(d, 9) &&
           (odd + even + digit(d, 9)) % 10 == digit(d, 10);
}

static bool check_za(const char *d)
{
    return kt_pii_date(two(d, 4), two(d, 2)) && d[10] <= '2' && kt_pii_luhn(d, 13);
}

static bool check_rrn_kr(const char *d)
{
    return kt_pii_date(two(d, 4), two(d, 2)) &&
           (11 - kt_pii_weighted(d, "234567892345") % 11) % 10 == digit(d, 12);
}

static bool check_personnummer(const char *d)
{
    unsigned day = two(d, 4);
    return kt_pii_date(day > 60 ? day - 60 : day, two(d, 2)) && kt_pii_luhn(d, 10);
}

static bool check_personnummer12(const char *d)
{
    return two(d, 0) >= 18 && two(d, 0) <= 20 && check_personnummer(d + 2);
}

static bool check_fodselsnummer(const char *d)
{
    unsigned a = 11 - kt_pii_weighted(d, "376189452") % 11, b = 11 - kt_pii_weighted(d, "5432765432") % 11;
    unsigned day = two(d, 0);
    return kt_pii_date(day > 40 ? day - 40 : day, two(d, 2)) && a % 11 == digit(d, 9) &&
           b % 11 == digit(d, 10);
}

static bool check_cpr(const char *d)
{
    return kt_pii_date(two(d, 0), two(d, 2));
}

static bool check_svnr(const char *d)
{
    return kt_pii_date(two(d, 4), two(d, 6)) && d[0] != '0' &&
           (digit(d, 0) * 3 + digit(d, 1) * 7 + digit(d, 2) * 9 + kt_pii_weighted(d + 4, "584216")) % 11 ==
               digit(d, 3);
}

static bool check_nif_pt(const char *d)
{
    unsigned rest = kt_pii_weighted(d, "98765432") % 11;
    return (rest < 2 ? 0 : 11 - rest) == digit(d, 8) && d[0] != '0';
}

static bool check_rodne(const char *d)
{
    unsigned month = two(d, 2) % 50;
    return kt_pii_mod(d, 10, 11) == 0 && kt_pii_date(two(d, 4), month > 20 ? month - 20 : month);
}

static bool check_cnp(const char *d)
{
    unsigned rest = kt_pii_weighted(d, "279146358279") % 11;
    return d[0] != '0' && kt_pii_date(two(d, 5), two(d, 3)) && (rest == 10 ? 1 : rest) == digit(d, 12);
}

static bool check_oib(const char *d)
{
    return kt_pii_mod11_10(d, 11);
}

static bool check_amka(const char *d)
{
    return kt_pii_date(two(d, 0), two(d, 2)) && kt_pii_luhn(d, 11);
}

static bool check_teudat(const char *d)
{
    return kt_pii_luhn(d, 9) && !kt_pii_uniform(d, 9);
}

/* What a scheme needs: nothing, a word such as "id", its name; and a "tax number" may be this one. */
enum { ALONE, ID, NAMED, TAX = 4 };

static const struct scheme {
    const char *forms, *seps;
    check_fn check;
    unsigned need;
} schemes[] = {
    {"623|b", ".-", check_pesel, ID}, /* Poland */
    {"b", "", check_pesel, ID},
    {"9|333|423", " .-", check_bsn, NAMED | TAX}, /* Netherlands */
    {"b", "", check_rrn_be, ID},                  /* Belgium */
    {"3442", ".", check_ahv, ALONE},              /* Switzerland */
    {"d", "", check_ahv, ALONE},
    {"b", "", check_cpf, ID | TAX},        /* Brazil */
    {"333", " -", check_sin, NAMED | TAX}, /* Canada */
    {"9", "", check_sin, NAMED | TAX},
    {"333|9", " ", check_tfn, NAMED | TAX}, /* Australia */
    {"451|a", " -", check_medicare_au, NAMED},
    {"444", " -", check_aadhaar, ALONE}, /* India */
    {"c", "", check_aadhaar, NAMED},
    {"b", "", check_tckn, ALONE | TAX},     /* Turkey */
    {"d", "", check_za, ID},                /* South Africa */
    {"67", "-", check_rrn_kr, ALONE},       /* Korea */
    {"64", "-", check_personnummer, ALONE}, /* Sweden */
    {"84", "-", check_personnummer12, ALONE},
    {"a", "", check_personnummer, NAMED},
    {"c", "", check_personnummer12, ID},
    {"b", "", check_fodselsnummer, ALONE}, /* Norway */
    {"65", " ", check_fodselsnummer, ALONE},
    {"64|a", "-", check_cpr, NAMED},           /* Denmark */
    {"46|a", " ", check_svnr, NAMED},          /* Austria */
    {"9|333", " ", check_nif_pt, NAMED | TAX}, /* Portugal */
    {"64", "/", check_rodne, ALONE},           /* Czechia, Slovakia */
    {"d", "", check_cnp, ID | TAX},            /* Romania */
    {"b", "", check_oib, NAMED | TAX},         /* Croatia */
    {"b", "", check_amka, ID},                 /* Greece */
    {"9", "", check_teudat, NAMED},            /* Israel */
};

/* Punctuation of these is not the same everywhere: "123.456.789-09", "85.07.30-033.61". */
static const struct mixed {
    const char *sizes, *seps;
    check_fn check;
} mixed[] = {
    {"3332", "..-", check_cpf},
    {"23342", "../-", check_cnpj},
    {"22232", "..-.", check_rrn_be},
};

static enum kt_pii_answer mixed_number(const struct kt_pii_view *v, size_t at, size_t *end)
{
    const struct kt_pii_number *n;
    if (!kt_pii_starts_number(v, at))
        return KT_PII_NO;
    enum kt_pii_answer a = kt_pii_number(v, at, &n);
    if (a == KT_PII_YES && (n->groups < 4 || n->sep[1] != '.'))
        return KT_PII_NO;
    for (size_t i = 0; i < KT_COUNT(mixed) && a == KT_PII_YES; i++) {
        size_t groups = strlen(mixed[i].sizes);
        if (!kt_pii_sizes(n, mixed[i].sizes) || memcmp(n->sep + 1, mixed[i].seps, groups - 1) != 0 ||
            !mixed[i].check(n->digits))
            continue;
        *end = n->end[groups - 1];
        return kt_pii_ends_number(v, *end, '-');
    }
    return a == KT_PII_MORE ? a : KT_PII_NO;
}

_Static_assert(KT_COUNT(schemes) <= 64, "an index has 64 entries");

/* Most numbers are none's. Filled once; two threads that fill it at once write the same. */
static uint64_t schemes_of(const struct kt_pii_number *n)
{
    static struct kt_pii_form_index x;
    static atomic_bool ready;
    if (!atomic_load_explicit(&ready, memory_order_acquire)) {
        for (unsigned i = 0; i < KT_COUNT(schemes); i++)
            kt_pii_index_forms(&x, i, schemes[i].forms, schemes[i].seps);
        atomic_store_explicit(&ready, true, memory_order_release);
    }
    return kt_pii_of_form(&x, n);
}

static enum kt_pii_answer plain(const struct kt_pii_view *v, size_t at, size_t *end)
{
    const struct kt_pii_number *n;
    if (kt_pii_number(v, at, &n) == KT_PII_MORE)
        return KT_PII_MORE;
    for (uint64_t set = schemes_of(n); set; set &= set - 1) {
        unsigned i = (unsigned)__builtin_ctzll(set);
        enum kt_pii_answer a = kt_pii_plain_number(v, at, schemes[i].forms, schemes[i].seps, &n, end);
        if (a == KT_PII_NO || !schemes[i].check(n->digits))
            continue;
        size_t tax = kt_pii_near(v, at, 48, KT_PII_W_TAX);
        size_t named =
            kt_pii_near(v, at, 48, KT_PII_W_NATIONAL | KT_PII_W_IDENTITY | KT_PII_W_SSN | KT_PII_W_SOCIAL);
        /* "Steuer-ID 36 752 490 583" is no Canadian number behind 36 */
        bool of_tax = schemes[i].need & TAX && !kt_pii_row_goes_on(v, at);
        named = of_tax && tax < named ? tax : named;
        size_t other = kt_pii_near(v, at, 32, KT_PII_W_PHONE | KT_PII_W_BANK | KT_PII_W_NHS);
        bool quiet = (tax == KT_PII_FAR || of_tax) && kt_pii_stands_alone(v, at) && !kt_pii_in_row(v, at) &&
                     other == KT_PII_FAR && !kt_pii_context(v, at, 24, KT_PII_W_OTHER);
        unsigned need = schemes[i].need & ~(unsigned)TAX;
        bool id = need == ALONE || (need == ID && kt_pii_context(v, at, 24, KT_PII_W_ID));
        if ((id && quiet) || (named != KT_PII_FAR && named <= other))
            return a;
    }
    return KT_PII_NO;
}

/* Finland, "131052-308T": day, century, order, check character. */
static bool hetu(const char *t)
{
    static const char check[] = "0123456789ABCDEFHJKLMNPRSTUVWXY";
    char digits[10];
    memcpy(digits, t, 6);
    memcpy(digits + 6, t + 7, 3);
    return kt_pii_date(two(t, 0), two(t, 2)) && check[kt_pii_mod(digits, 9, 31)] == kt_pii_upper(t[10]);
}

static enum kt_pii_answer finnish(const struct kt_pii_view *v, size_t at, size_t *end)
{
    char t[12] = "";
    if (!kt_pii_starts_number(v, at))
        return KT_PII_NO;
    for (unsigned i = 0; i < 11; i++) {
        if (at + i >= v->len)
            return v->final ? KT_PII_NO : KT_PII_MORE;
        t[i] = v->data[at + i];
        bool is_digit = kt_pii_digit((unsigned char)t[i]);
        if (i == 6    ? !t[i] || !strchr("-+ABCDEFUVWXY", t[i])
            : i == 10 ? !kt_pii_alnum((unsigned char)t[i])
                      : !is_digit)
            return KT_PII_NO;
    }
    *end = at + 11;
    return hetu(t) ? kt_pii_ends_word(v, *end, false) : KT_PII_NO;
}

static enum kt_pii_answer national_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    const struct kt_pii_number *n;
    *start = at;
    enum kt_pii_answer a = kt_pii_number(v, at, &n);
    if (a == KT_PII_MORE)
        return a;
    if (n->count < 9)
        return n->count == 6 && n->groups == 1 ? finnish(v, at, end) : KT_PII_NO;
    a = mixed_number(v, at, end);
    if (a == KT_PII_NO)
        a = plain(v, at, end);
    return a == KT_PII_NO && n->size[0] == 6 ? finnish(v, at, end) : a;
}

const struct kt_pii_kind kt_pii_national_id = {
    .label = "national_id",
    .name = "NATIONAL_ID",
    .also = " national_ids ",
    .help = "numbers of persons of some twenty further countries: check digits",
    .starts = KT_PII_AT_DIGIT,
    .words = KT_PII_LEN(2, 4) | KT_PII_LEN(6, 6) | KT_PII_LEN(8, 14),
    .digits = 6,
    .apart = true,
    .match = national_match};
