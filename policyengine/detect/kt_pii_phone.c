/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Phone numbers. International ones ("+44 20 7946 0018") speak for themselves; national ones are taken where
 * their grouping is one that phone numbers are written in, and anything looser only behind a word such as
 * "tel". Runs of digits with no grouping are order numbers and epochs far more often than phones.
 */
#include "policyengine/detect/kt_pii_text.h"

#include <string.h>

static const char *const phone_words[] = {"phone",
                                          "phones",
                                          "telephone",
                                          "tel",
                                          "mobile",
                                          "cell",
                                          "cellphone",
                                          "fax",
                                          "call",
                                          "whatsapp",
                                          "sms",
                                          "text",
                                          "dial",
                                          "hotline",
                                          "telefon",
                                          "telefonnummer",
                                          "handy",
                                          "rufnummer",
                                          "mobil",
                                          "anrufen",
                                          "t\xc3\xa9l",
                                          "t\xc3\xa9l\xc3\xa9phone",
                                          "telefono",
                                          "tel\xc3\xa9"
                                          "fono",
                                          "m\xc3\xb3vil",
                                          "movil",
                                          "cellulare",
                                          "chiama",
                                          "portable",
                                          "appelez",
                                          "joindre",
                                          "llame",
                                          "llamar",
                                          "cep",
                                          "telepono",
                                          NULL};

static const char *const other_words[] = {
    "order",     "orders",  "invoice",   "isbn",    "issn", "epoch",      "ticket",   "ref",
    "reference", "version", "serial",    "sku",     "id",   "ids",        "tracking", "commit",
    "part",      "model",   "timestamp", "build",   "rfc",  "bestellung", "commande", "pedido",
    "ordine",    "patent",  "doi",       "article", NULL};

/* Group sizes of national writings. `lead`: digits that the first group may start with. */
struct shape {
    const char *sizes;
    const char *lead;
    const char *seps;
};

static const struct shape shapes[] = {
    {"334", "123456789", "-)"},  {"334", "23456789", ". "}, /* 209-555-3364, (209) 555-3364 */
    {"1334", "1", "- .)"},                                  /* 1-209-555-3364 */
    {"3322", "23456789", " -."}, {"1334", "0", " -)"},      /* 532 123 45 67 */
    {"13322", "0", " -)"},       {"137", "0", " -)"},       /* 0 532 123 45 67 */
    {"3222", "6789", " -."},     {"2322", "89", " -."},     /* 685 88 62 62, 91 968 57 74 */
    {"22222", "0", " -./"},                                 /* 02 50 63 60 45 */
    {"37", "3", " -/"},                                     /* 301 8391180 */
};

/* Lengths of national numbers behind a country code; what is not here has 6..12 digits. */
static const struct country {
    const char *code;
    unsigned char min, max;
} countries[] = {
    {"1", 10, 10},  {"7", 10, 10}, {"20", 8, 10},  {"27", 9, 9},   {"30", 10, 10}, {"31", 9, 9},
    {"32", 8, 9},   {"33", 9, 9},  {"34", 9, 9},   {"36", 8, 9},   {"39", 6, 11},  {"40", 9, 9},
    {"41", 9, 9},   {"43", 6, 13}, {"44", 9, 10},  {"45", 8, 8},   {"46", 7, 10},  {"47", 8, 8},
    {"48", 9, 9},   {"49", 6, 12}, {"51", 8, 9},   {"52", 10, 11}, {"53", 6, 8},   {"54", 10, 11},
    {"55", 10, 11}, {"56", 9, 9},  {"57", 8, 10},  {"58", 10, 10}, {"60", 8, 10},  {"61", 9, 9},
    {"62", 8, 12},  {"63", 9, 10}, {"64", 8, 10},  {"65", 8, 8},   {"66", 8, 9},   {"81", 9, 10},
    {"82", 8, 10},  {"84", 9, 10}, {"86", 10, 11}, {"90", 10, 10}, {"91", 10, 10}, {"92", 9, 10},
    {"93", 9, 9},   {"94", 9, 9},  {"95", 7, 10},  {"98", 10, 10},
};

static bool date_like(const struct kt_pii_number *n, unsigned groups, unsigned digits)
{
    for (unsigned i = 0, at = 0; i < groups; at += n->size[i++])
        if (n->size[i] == 4 && digits <= 8 &&
            (memcmp(n->digits + at, "19", 2) == 0 || memcmp(n->digits + at, "20", 2) == 0))
            return true;
    return false;
}

/* Digits of the country code at `d`; 0 where no such code is assigned. */
static unsigned country_code(const char *d, unsigned count, unsigned *min, unsigned *max)
{
    *min = 6;
    *max = 12;
    for (size_t i = 0; i < KT_COUNT(countries); i++) {
        unsigned n = (unsigned)strlen(countries[i].code);
        if (count < n || memcmp(d, countries[i].code, n) != 0)
            continue;
        *min = countries[i].min;
        *max = countries[i].max;
        return n;
    }
    static const char *const three[] = {"21", "22", "23", "24", "25", "26", "29", "35",
                                        "37", "38", "42", "50", "59", "67", "68", "69",
                                        "80", "85", "87", "88", "96", "97", "99"};
    for (size_t i = 0; count >= 3 && i < KT_COUNT(three); i++)
        if (memcmp(d, three[i], 2) == 0)
            return 3;
    return 0;
}

/* Groups that make an international number whose code starts behind `skip` digits; 0 = none. */
static unsigned international(const struct kt_pii_number *n, unsigned skip)
{
    unsigned min, max;
    unsigned code = country_code(n->digits + skip, n->count - skip, &min, &max);
    if (code == 0)
        return 0;
    unsigned best = 0, digits = 0, trunk = 0;
    for (unsigned i = 0; i < n->groups; i++) {
        if (n->sep[i] == '(' && n->size[i] == 1 && n->digits[digits] == '0')
            trunk = 1; /* "+49 (0)89": written, not dialled */
        digits += n->size[i];
        unsigned national = digits - skip - code - trunk;
        if (digits < skip + code + trunk || national < min)
            continue;
        if (national > max)
            break;
        best = i + 1;
    }
    return best;
}

static bool shape_fits(const struct shape *s, const struct kt_pii_number *n, unsigned groups)
{
    if (strlen(s->sizes) != groups || !strchr(s->lead, n->digits[0]))
        return false;
    for (unsigned i = 0; i < groups; i++) {
        if (n->size[i] != (unsigned)(s->sizes[i] - '0'))
            return false;
        char sep = n->sep[i] == '(' ? ')' : n->sep[i];
        if (i > 0 && !strchr(s->seps, sep))
            return false;
    }
    /* "209-555.3364" is something else; a bracket may differ: "(209) 555-3364" */
    return kt_pii_separator(n, groups) || groups == 2 || n->sep[0] == '(' || n->sep[1] == '(' ||
           n->sep[1] == ')';
}

/* "0171/1882629", "089 362621", "020 7946 0958": a trunk zero, an area code and the rest. */
static bool trunk_shape(const struct kt_pii_number *n, unsigned groups, unsigned digits)
{
    if (n->digits[0] != '0' || n->digits[1] == '0' || digits < 9 || digits > 12 || groups > 5)
        return false;
    char sep = groups > 1 ? kt_pii_separator(n, groups) : 0;
    bool slash_first = groups > 2 && n->sep[1] == '/' && n->sep[2] == ' ';
    if (groups == 1 || n->size[0] < 2 || n->size[0] > 5 || (!sep && !slash_first && n->sep[0] != '('))
        return false;
    for (unsigned i = 1; i < groups; i++)
        if (n->size[i] < 2)
            return false;
    return groups > 2 || sep != '.';
}

/* Mobile numbers in one run: 06.., 07.. (ten digits), 05../07../09.. (eleven), 015..017 (eleven or twelve).
 */
static bool mobile_run(const char *d, unsigned digits)
{
    if (d[0] != '0')
        return false;
    return (digits == 10 && (d[1] == '6' || d[1] == '7')) || (digits == 11 && strchr("579", d[1])) ||
           ((digits == 11 || digits == 12) && d[1] == '1' && strchr("567", d[2]));
}

static bool spoken_of(const struct kt_pii_number *n, unsigned groups, unsigned digits)
{
    bool uniform = groups == 1 || groups == 2 || kt_pii_separator(n, groups) || n->sep[0] == '(';
    return digits >= 7 && digits <= 13 && uniform && !date_like(n, groups, digits) && n->size[groups - 1] > 1;
}

static bool national(const struct kt_pii_view *v, const struct kt_pii_number *n, unsigned groups,
                     unsigned digits)
{
    bool known = kt_pii_context(v, n->start, 24, phone_words);
    if (known && spoken_of(n, groups, digits))
        return true;
    if (kt_pii_context(v, n->start, 16, other_words))
        return false;
    for (size_t i = 0; i < KT_COUNT(shapes); i++)
        if (shape_fits(&shapes[i], n, groups))
            return true;
    return trunk_shape(n, groups, digits) || (groups == 1 && mobile_run(n->digits, digits));
}

static enum kt_pii_answer ends(const struct kt_pii_view *v, const struct kt_pii_number *n, unsigned groups,
                               bool strong)
{
    char sep = groups > 1 ? n->sep[groups - 1] : 0;
    enum kt_pii_answer a = kt_pii_ends_number(v, n->end[groups - 1], sep);
    bool other_follows = groups < n->groups && n->sep[groups] == ' ';
    return a == KT_PII_NO && strong && other_follows ? KT_PII_YES : a;
}

/* In a row of numbers ("12 345 678 9012") no place is a beginning. */
static bool inside_row(const struct kt_pii_view *v, size_t at)
{
    return (at >= 2 && v->data[at - 1] == ' ' && kt_pii_digit((unsigned char)v->data[at - 2])) ||
           kt_pii_in_iban(v, at);
}

static enum kt_pii_answer match_number(const struct kt_pii_view *v, const struct kt_pii_number *n,
                                       size_t *end)
{
    bool plus = n->sep[0] == '+', zeros = n->digits[0] == '0' && n->digits[1] == '0';
    unsigned skip = plus ? 0 : 2;
    if (plus || (zeros && n->count > 4 && n->groups > 1 && n->size[0] < 6)) {
        unsigned groups = international(n, skip);
        *end = groups ? n->end[groups - 1] : 0;
        return groups ? ends(v, n, groups, true) : KT_PII_NO;
    }
    unsigned digits = n->count;
    for (unsigned groups = n->groups; groups > 0; digits -= n->size[--groups]) {
        if (!national(v, n, groups, digits))
            continue;
        bool strong = n->sep[0] == '(' || n->digits[0] == '0';
        enum kt_pii_answer a = ends(v, n, groups, strong);
        *end = n->end[groups - 1];
        if (a != KT_PII_NO)
            return a;
    }
    return KT_PII_NO;
}

static enum kt_pii_answer phone_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    struct kt_pii_number n;
    if (!kt_pii_starts_number(v, at) || (v->data[at] != '+' && inside_row(v, at)))
        return KT_PII_NO;
    enum kt_pii_answer a = kt_pii_number(v, at, &n);
    if (a != KT_PII_YES)
        return a;
    *start = at;
    return n.count < 7 ? KT_PII_NO : match_number(v, &n, end);
}

const struct kt_pii_kind kt_pii_phone = {
    .label = "phone", .name = "PHONE", .first = "+(0123456789", .match = phone_match};
