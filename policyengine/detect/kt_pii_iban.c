/* SPDX-License-Identifier: Apache-2.0 */
/* IBANs, compact or in print form: the structure that the registry of ISO 13616 gives for the country, and
 * the check digits (mod 97). */
#include "policyengine/detect/kt_pii_text.h"

#include <string.h>

/* What follows the two check digits: n = digits, a = capitals, c = either. */
static const struct structure {
    char country[3];
    const char *bban;
} structures[] = {
    {"AD", "n8c12"},    {"AE", "n19"},      {"AL", "n8c16"},    {"AT", "n16"},     {"AZ", "a4c20"},
    {"BA", "n16"},      {"BE", "n12"},      {"BG", "a4n6c8"},   {"BH", "a4c14"},   {"BI", "n23"},
    {"BR", "n23a1c1"},  {"BY", "c4n4c16"},  {"CH", "n5c12"},    {"CR", "n18"},     {"CY", "n8c16"},
    {"CZ", "n20"},      {"DE", "n18"},      {"DJ", "n23"},      {"DK", "n14"},     {"DO", "c4n20"},
    {"EE", "n16"},      {"EG", "n25"},      {"ES", "n20"},      {"FI", "n14"},     {"FK", "a2n12"},
    {"FO", "n14"},      {"FR", "n10c11n2"}, {"GB", "a4n14"},    {"GE", "a2n16"},   {"GI", "a4c15"},
    {"GL", "n14"},      {"GR", "n7c16"},    {"GT", "c24"},      {"HN", "a4n20"},   {"HR", "n17"},
    {"HU", "n24"},      {"IE", "a4n14"},    {"IL", "n19"},      {"IQ", "a4n15"},   {"IS", "n22"},
    {"IT", "a1n10c12"}, {"JO", "a4n4c18"},  {"KW", "a4c22"},    {"KZ", "n3c13"},   {"LB", "n4c20"},
    {"LC", "a4c24"},    {"LI", "n5c12"},    {"LT", "n16"},      {"LU", "n3c13"},   {"LV", "a4c13"},
    {"LY", "n21"},      {"MC", "n10c11n2"}, {"MD", "c20"},      {"ME", "n18"},     {"MK", "n3c10n2"},
    {"MN", "n16"},      {"MR", "n23"},      {"MT", "a4n5c18"},  {"MU", "a4n19a3"}, {"NI", "a4n20"},
    {"NL", "a4n10"},    {"NO", "n11"},      {"OM", "n3c16"},    {"PK", "a4c16"},   {"PL", "n24"},
    {"PS", "a4c21"},    {"PT", "n21"},      {"QA", "a4c21"},    {"RO", "a4c16"},   {"RS", "n18"},
    {"RU", "n14c15"},   {"SA", "n2c18"},    {"SC", "a4n20a3"},  {"SD", "n14"},     {"SE", "n20"},
    {"SI", "n15"},      {"SK", "n20"},      {"SM", "a1n10c12"}, {"SO", "n19"},     {"ST", "n21"},
    {"SV", "a4n20"},    {"TL", "n19"},      {"TN", "n20"},      {"TR", "n6c16"},   {"UA", "n6c19"},
    {"VA", "n18"},      {"VG", "a4n16"},    {"XK", "n16"},      {"YE", "a4n4c18"},
};

static const char *structure_of(const char *text)
{
    for (size_t i = 0; i < KT_COUNT(structures); i++)
        if (kt_pii_upper(text[0]) == structures[i].country[0] &&
            kt_pii_upper(text[1]) == structures[i].country[1])
            return structures[i].bban;
    return NULL;
}

/* The next part of a structure: its class and its length. */
static const char *part(const char *s, char *class, unsigned *len)
{
    *class = *s++;
    for (*len = 0; kt_pii_digit((unsigned char)*s); s++)
        *len = *len * 10 + (unsigned)(*s - '0');
    return s;
}

static unsigned whole_length(const char *s)
{
    unsigned sum = 4, len;
    char class;
    while (*s) {
        s = part(s, &class, &len);
        sum += len;
    }
    return sum;
}

/* True where the characters read so far follow the structure. */
static bool follows(const struct kt_pii_chars *c, const char *s)
{
    char class = 'n';
    unsigned len = 2;
    for (unsigned i = 2; i < c->count; i++, len--) {
        if (len == 0)
            s = part(s, &class, &len);
        bool digit = kt_pii_digit((unsigned char)c->text[i]);
        if (class == 'n' ? !digit : class == 'a' && digit)
            return false;
    }
    return true;
}

static bool checks(const struct kt_pii_chars *c)
{
    unsigned rest = 0;
    for (unsigned i = 0; i < c->count; i++) {
        char d = kt_pii_upper(c->text[(i + 4) % c->count]);
        rest = kt_pii_digit((unsigned char)d) ? rest * 10 + (unsigned)(d - '0')
                                              : rest * 100 + (unsigned)(d - 'A') + 10;
        rest %= 97;
    }
    return rest == 1 && !(c->upper && c->lower);
}

static enum kt_pii_answer iban_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    struct kt_pii_chars c;
    bool third = v->len - at > 2 && kt_pii_alpha((unsigned char)v->data[at + 2]);
    const char *s = v->len - at < 2 || third ? NULL : structure_of(v->data + at);
    if (!s || !kt_pii_starts(v, at))
        return KT_PII_NO;
    enum kt_pii_answer a = kt_pii_chars(v, at, whole_length(s), " -.", &c);
    if (a == KT_PII_NO || !follows(&c, s))
        return KT_PII_NO;
    if (a == KT_PII_MORE || !checks(&c))
        return a == KT_PII_MORE ? a : KT_PII_NO;
    *start = at;
    *end = c.end;
    return kt_pii_ends_word(v, c.end, true);
}

/* All at once: in rows of numbers any of them may end it. */
static bool four_digits(const char *p)
{
    uint32_t w;
    memcpy(&w, p, sizeof w);
    return (((w ^ 0x30303030u) | ((w & 0x0f0f0f0fu) + 0x06060606u)) & 0xf0f0f0f0u) == 0;
}

bool kt_pii_in_iban(const struct kt_pii_view *v, size_t at)
{
    for (unsigned groups = 0; groups < 8 && at >= 5 && v->data[at - 1] == ' '; groups++, at -= 5) {
        const unsigned char *g = (const unsigned char *)v->data + at - 5;
        if (four_digits(v->data + at - 5))
            continue;
        for (unsigned i = 0; i < 4; i++)
            if (!kt_pii_digit(g[i]) && !(g[i] >= 'A' && g[i] <= 'Z'))
                return false;
        if (!kt_pii_digit(g[0]) && !kt_pii_digit(g[1]) && kt_pii_digit(g[2]) && kt_pii_digit(g[3]))
            return at == 5 || !kt_pii_word(g[-1]);
    }
    return false;
}

const struct kt_pii_kind kt_pii_iban = {.label = "iban",
                                        .name = "IBAN",
                                        .also = " iban_code bank_account ",
                                        .help = "bank account numbers: structure of the country and mod 97",
                                        .starts = KT_PII_AT_LETTER,
                                        .words = KT_PII_LEN(2, 2) | KT_PII_LEN(4, 34),
                                        .match = iban_match};
