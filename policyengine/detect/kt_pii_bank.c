/* SPDX-License-Identifier: Apache-2.0 */
/* US routing numbers, and what stands beside a card number: its security code and its expiry. None of them
 * says what it is: a word in front has to, or the form in which cheques print the first. */
#include "policyengine/detect/kt_pii_text.h"

#include <string.h>

#define ABA_FORMS "9|441"
#define CVV_FORMS "3|4"
#define EXPIRY_FORMS "22|24|12"

static bool aba_checks(const char *d)
{
    unsigned bank = kt_pii_value(d, 2);
    bool assigned =
        (bank >= 1 && bank <= 12) || (bank >= 21 && bank <= 32) || (bank >= 61 && bank <= 72) || bank == 80;
    return assigned && kt_pii_weighted(d, "371371371") % 10 == 0;
}

static enum kt_pii_answer aba_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    const struct kt_pii_number *n;
    enum kt_pii_answer a = kt_pii_plain_number(v, at, ABA_FORMS, "-", &n, end);
    *start = at;
    if (a == KT_PII_NO || !aba_checks(n->digits))
        return KT_PII_NO;
    bool printed = n->size[0] == 4 && kt_pii_stands_alone(v, at); /* as on cheques: "1234-5678-9" */
    return printed || kt_pii_context(v, at, 48, KT_PII_W_BANK) ? a : KT_PII_NO;
}

/* A card is what was found last, or what the words in front speak of. */
static bool near_card(const struct kt_pii_view *v, size_t at)
{
    bool found = v->last && strcmp(v->last->label, "card") == 0 && at - v->floor <= 48;
    return found || kt_pii_context(v, at, 64, KT_PII_W_CARD);
}

static enum kt_pii_answer cvv_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    const struct kt_pii_number *n;
    enum kt_pii_answer a = kt_pii_plain_number(v, at, CVV_FORMS, "", &n, end);
    *start = at;
    if (a == KT_PII_NO)
        return a;
    if (kt_pii_near(v, at, 16, KT_PII_W_CVV) <= 12)
        return a;
    bool year = n->count == 4 && (memcmp(n->digits, "19", 2) == 0 || memcmp(n->digits, "20", 2) == 0);
    if (year)
        return KT_PII_NO;
    bool code = kt_pii_near(v, at, 32, KT_PII_W_CODE) <= 24 && kt_pii_context(v, at, 48, KT_PII_W_SECURITY);
    return code && near_card(v, at) ? a : KT_PII_NO;
}

/* "12/27", "12/2027", "12-27" */
static enum kt_pii_answer expiry_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    const struct kt_pii_number *n;
    enum kt_pii_answer a = kt_pii_plain_number(v, at, EXPIRY_FORMS, "/-", &n, end);
    *start = at;
    if (a == KT_PII_NO)
        return a;
    unsigned month = kt_pii_value(n->digits, n->size[0]);
    if (month < 1 || month > 12 || kt_pii_near(v, at, 24, KT_PII_W_EXPIRY) > 12 || !near_card(v, at))
        return KT_PII_NO;
    return a;
}

const struct kt_pii_kind kt_pii_aba = {.label = "aba",
                                       .name = "ABA",
                                       .also = " aba_routing_number routing_number ",
                                       .help = "US routing numbers: checksum, and a word that names them",
                                       .starts = KT_PII_AT_DIGIT,
                                       .words = KT_PII_LEN(4, 4) | KT_PII_LEN(9, 9),
                                       .digits = 9,
                                       .forms = ABA_FORMS,
                                       .seps = "-",
                                       .match = aba_match};

const struct kt_pii_kind kt_pii_cvv = {.label = "cvv",
                                       .name = "CVV",
                                       .also = " cvc ",
                                       .help = "security codes of cards behind a word that names them",
                                       .group = KT_PII_PCI,
                                       .starts = KT_PII_AT_DIGIT,
                                       .words = KT_PII_LEN(3, 4),
                                       .digits = 3,
                                       .told = KT_PII_W_CVV | KT_PII_W_CODE,
                                       .forms = CVV_FORMS,
                                       .match = cvv_match};

const struct kt_pii_kind kt_pii_card_expiry = {.label = "card_expiry",
                                               .name = "CARD_EXPIRY",
                                               .also = " expiry_date ",
                                               .help = "expiry dates of cards, where a card is spoken of",
                                               .group = KT_PII_PCI,
                                               .starts = KT_PII_AT_DIGIT,
                                               .words = KT_PII_LEN(1, 2),
                                               .digits = 3,
                                               .told = KT_PII_W_EXPIRY,
                                               .forms = EXPIRY_FORMS,
                                               .seps = "/-",
                                               .behind = "/- ", /* "12 / 27" */
                                               .match = expiry_match};
