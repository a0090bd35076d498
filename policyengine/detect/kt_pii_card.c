/* SPDX-License-Identifier: Apache-2.0 */
/* Payment card numbers: issuer prefix with its lengths, Luhn, and the grouping that cards are printed in. */
#include "policyengine/detect/kt_pii_text.h"

#include <string.h>

/* Numbers of min to max digits whose first four are low to high. */
struct issuer {
    uint16_t low, high, min, max;
};

static const struct issuer issuers[] = {
    {4000, 4999, 13, 19}, {5100, 5599, 16, 16}, {2221, 2720, 16, 16}, {3400, 3499, 15, 15},
    {3700, 3799, 15, 15}, {6011, 6011, 16, 19}, {6440, 6499, 16, 19}, {6500, 6599, 16, 19},
    {3000, 3059, 14, 19}, {3095, 3095, 14, 19}, {3600, 3699, 14, 19}, {3800, 3999, 14, 19},
    {3528, 3589, 16, 19}, {6200, 6299, 16, 19}, {2200, 2204, 16, 19}, {5000, 5099, 13, 19},
    {5600, 5899, 13, 19}, {6304, 6304, 13, 19}, {6759, 6771, 13, 19}, {6000, 6099, 16, 16},
    {8100, 8299, 16, 16}, {9792, 9792, 16, 16}, {1000, 1999, 15, 15}, /* the last: air travel cards */
};

/* All are asked: which one it is nobody can guess, and a branch for each costs more. */
static bool issued(const char *digits, unsigned n)
{
    unsigned first = kt_pii_value(digits, 4), found = 0;
    for (size_t i = 0; i < KT_COUNT(issuers); i++) {
        const struct issuer *x = &issuers[i];
        found |= (first >= x->low) & (first <= x->high) & (n >= x->min) & (n <= x->max);
    }
    return found;
}

/* Cards are written in one run or from a group of four on: "4111 1111 1111 1111", "3782 822463 10005". How
 * many groups at most look so; only the last one may be of one digit. */
static unsigned printed_like_card(const struct kt_pii_number *n)
{
    unsigned i = 1;
    if (n->groups < 2 || n->size[0] != 4 || (n->sep[1] != ' ' && n->sep[1] != '-' && n->sep[1] != '.'))
        return 1;
    while (i < n->groups && n->sep[i] == n->sep[1] && n->size[i] <= 7 && n->size[i - 1] > 1)
        i++;
    return i;
}

/* Other numbers that pass: a French number of a person (fifteen digits from 1 on), a product code of
 * thirteen, an identifier of seventeen or eighteen, and four groups out of a longer row of groups of four. */
static bool reads_otherwise(const struct kt_pii_view *v, const struct kt_pii_number *n, unsigned groups,
                            unsigned digits)
{
    if (digits == 15 && n->digits[0] == '1')
        return 97 - kt_pii_mod(n->digits, 13, 97) == kt_pii_value(n->digits + 13, 2);
    if (digits == 13)
        return kt_pii_context(v, n->start, 32, KT_PII_W_OTHER);
    if (groups == 1)
        return digits == 17 || digits == 18;
    size_t at = n->start;
    bool after_four =
        at >= 5 && v->data[at - 1] == ' ' && !kt_pii_word((unsigned char)(at > 5 ? v->data[at - 6] : ' '));
    for (size_t i = 2; after_four && i <= 5; i++)
        after_four = kt_pii_digit((unsigned char)v->data[at - i]);
    return after_four && at > v->floor + 5;
}

/* Fours and a rest ("4444 4444 4444 4444 333"), or as American Express and Diners print them. Other groups of
 * a row of numbers sum up to a card's length, too. */
static bool usual_groups(const struct kt_pii_number *n, unsigned groups)
{
    if (groups == 1 || (groups == 3 && n->size[1] == 6 && (n->size[2] == 5 || n->size[2] == 4)))
        return true;
    for (unsigned i = 0; i < groups; i++)
        if (i + 1 < groups ? n->size[i] != 4 : n->size[i] > 5)
            return false;
    return true;
}

/* No issuer numbers in fourteen or fifteen digits from 4 on. */
static bool usual(const struct kt_pii_number *n, unsigned groups, unsigned digits)
{
    return usual_groups(n, groups) && !(n->digits[0] == '4' && (digits == 14 || digits == 15));
}

static bool is_card(const struct kt_pii_view *v, const struct kt_pii_number *n, unsigned groups,
                    unsigned digits)
{
    if (digits < 13 || digits > 19)
        return false;
    bool known = issued(n->digits, digits); /* asked first: it takes no look at the words in front */
    bool told = (known || digits >= 14) && kt_pii_context(v, n->start, 48, KT_PII_W_CARD);
    if (!(known || told) || !kt_pii_luhn(n->digits, digits))
        return false;
    unsigned zeros = 0; /* not strspn: what follows the digits was never set */
    while (zeros < digits && n->digits[zeros] == '0')
        zeros++;
    if (zeros == digits)
        return false;
    return told || (usual(n, groups, digits) && !reads_otherwise(v, n, groups, digits));
}

/* "4 8 3 1 2 7 ...": digit by digit, as they are read out, behind a word that names a card. */
static enum kt_pii_answer digit_by_digit(const struct kt_pii_view *v, size_t at, size_t *end)
{
    static const unsigned lengths[] = {16, 15, 14};
    if (!kt_pii_context(v, at, 48, KT_PII_W_CARD) || kt_pii_in_row(v, at))
        return KT_PII_NO;
    for (size_t i = 0; i < KT_COUNT(lengths); i++) {
        struct kt_pii_chars c;
        enum kt_pii_answer a = kt_pii_chars(v, at, lengths[i], " -.", &c);
        if (a == KT_PII_MORE)
            return a;
        if (a == KT_PII_NO || c.groups != lengths[i] || strspn(c.text, "0123456789") != lengths[i] ||
            !issued(c.text, lengths[i]) || !kt_pii_luhn(c.text, lengths[i]))
            continue;
        a = kt_pii_ends_number(v, c.end, v->data[at + 1]);
        if (a == KT_PII_NO)
            continue;
        *end = c.end;
        return a;
    }
    return KT_PII_NO;
}

static enum kt_pii_answer card_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    const struct kt_pii_number *n;
    if (!kt_pii_starts_number(v, at))
        return KT_PII_NO;
    enum kt_pii_answer a = kt_pii_number(v, at, &n);
    *start = at;
    if (a != KT_PII_YES)
        return a == KT_PII_MORE && !kt_pii_in_iban(v, at) ? a : KT_PII_NO;
    if (n->size[0] == 1)
        return n->groups == KT_PII_GROUPS && !kt_pii_in_iban(v, at) ? digit_by_digit(v, at, end) : KT_PII_NO;
    unsigned digits = 0, most = printed_like_card(n);
    for (unsigned i = 0; i < most; i++)
        digits += n->size[i];
    if (digits < 13 || kt_pii_in_iban(v, at))
        return KT_PII_NO;
    for (unsigned groups = most; groups > 0 && digits >= 13; digits -= n->size[--groups]) {
        if (!is_card(v, n, groups, digits))
            continue;
        a = kt_pii_ends_number(v, n->end[groups - 1], groups > 1 ? kt_pii_separator(n, groups) : 0);
        if (a == KT_PII_NO && groups < n->groups && n->sep[groups] == ' ')
            a = KT_PII_YES; /* "4111 1111 1111 1111 123": what follows is another number */
        if (a == KT_PII_NO)
            continue;
        *end = n->end[groups - 1];
        return a;
    }
    return KT_PII_NO;
}

const struct kt_pii_kind kt_pii_card = {.label = "card",
                                        .name = "CARD",
                                        .also = " credit_card creditcard card_number payment_card ",
                                        .help = "payment card numbers: issuer ranges and Luhn",
                                        .group = KT_PII_PCI,
                                        .starts = KT_PII_AT_DIGIT,
                                        .words = KT_PII_LEN(1, 1) | KT_PII_LEN(4, 4) | KT_PII_LEN(13, 19),
                                        .digits = KT_PII_GROUPS,
                                        .told = KT_PII_W_CARD,
                                        .told_words = KT_PII_LEN(1, 1),
                                        .match = card_match};
