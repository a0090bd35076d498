/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Phone numbers. International ones ("+44 20 7946 0018") speak for themselves; national ones are taken where
 * their grouping is one that phone numbers are written in, and anything looser only behind a word such as
 * "tel". Runs of digits with no grouping are order numbers and epochs far more often than phones.
 */
#include "policyengine/detect/kt_pii_phone_plan.h"

#include <string.h>

#define OTHERS (KT_PII_W_OTHER | KT_PII_W_ID)
#define EXTENSION_MAX 6u /* digits */

static bool date_like(const struct kt_pii_number *n, unsigned groups, unsigned digits)
{
    if (groups == 1 && digits == 8 && n->digits[0] <= '2') /* "19960704" */
        return kt_pii_date(kt_pii_value(n->digits + 6, 2), kt_pii_value(n->digits + 4, 2)) &&
               kt_pii_value(n->digits, 2) - 18 < 4;
    for (unsigned i = 0, at = 0; i < groups; at += n->size[i++])
        if (n->size[i] == 4 && digits <= 8 &&
            (memcmp(n->digits + at, "19", 2) == 0 || memcmp(n->digits + at, "20", 2) == 0))
            return true;
    return false;
}

/* Behind a word that names a phone: seven digits or more that are no date. */
static bool spoken_of(const struct kt_pii_number *n, unsigned groups, unsigned digits)
{
    bool fraction = groups == 2 && n->sep[1] == '.' && n->size[0] > 4; /* "1412830.188" */
    if (fraction)
        return false;
    bool uniform = groups <= 2 || kt_pii_separator(n, groups) || n->lead == '(' || n->digits[0] == '0';
    return digits >= 7 && digits <= 13 && uniform && !date_like(n, groups, digits) && n->size[groups - 1] > 1;
}

/* A word names another number: what follows it is that, right or wrong. */
#define NAMED_OTHERWISE                                                                                      \
    (OTHERS | KT_PII_W_NHS | KT_PII_W_SSN | KT_PII_W_SOCIAL | KT_PII_W_BANK | KT_PII_W_TAX |                 \
     KT_PII_W_NATIONAL | KT_PII_W_VAT | KT_PII_W_VIN | KT_PII_W_NPI | KT_PII_W_RECORD | KT_PII_W_MEMBER |    \
     KT_PII_W_PASSPORT | KT_PII_W_LICENCE | KT_PII_W_CARD | KT_PII_W_VERSION)

/* In a row of numbers (" 2222 | 910 962 6399 |") a cell that has the groups of a phone is none. */
static bool among_cells(const struct kt_pii_view *v, size_t at)
{
    size_t i = at;
    while (i > v->floor && i > 0 && v->data[i - 1] == ' ')
        i--;
    if (i <= v->floor || i == 0 || v->data[i - 1] != '|')
        return false;
    i--;
    while (i > v->floor && i > 0 && v->data[i - 1] == ' ')
        i--;
    return i > v->floor && i > 0 && kt_pii_digit((unsigned char)v->data[i - 1]);
}

static bool national(const struct kt_pii_view *v, const struct kt_pii_number *n, unsigned groups,
                     unsigned digits)
{
    if (groups == 1 && kt_pii_uniform(n->digits, digits)) /* 999999999 */
        return false;
    size_t phone = kt_pii_near(v, n->start, 40, KT_PII_W_PHONE);
    size_t other = kt_pii_near(v, n->start, 40, NAMED_OTHERWISE);
    if (phone <= 32 && phone < other && spoken_of(n, groups, digits))
        return true;
    enum kt_pii_phone_form form = kt_pii_phone_national(n, groups, digits);
    bool assigned = groups > 1 && kt_pii_assigned(v, n->start); /* "PHONE=030 1234567", not "id=0301234567" */
    if (form == KT_PII_PHONE_NONE || (!assigned && !kt_pii_stands_alone(v, n->start)))
        return false;
    size_t hint = kt_pii_near(v, n->start, 40, KT_PII_W_PHONE | KT_PII_W_REACH);
    if (form == KT_PII_PHONE_SURE && hint == KT_PII_FAR && among_cells(v, n->start))
        return false;
    if (form == KT_PII_PHONE_SURE)
        return other > 16 || hint <= other; /* "customer" is both: the writing decides */
    return hint < other || (other == KT_PII_FAR && kt_pii_context(v, n->start, 24, KT_PII_W_NUMBER));
}

/* "7683286033 bytes": a number in one run that is counted in something is no phone, whatever word stands in
 * front. */
static enum kt_pii_answer counts(const struct kt_pii_view *v, size_t end)
{
    static const char *const units[] = {"bytes",   "byte",    "bits",   "kb",     "mb",    "gb",
                                        "units",   "items",   "rows",   "euros",  "euro",  "eur",
                                        "usd",     "dollars", "pounds", "times",  "views", "einwohner",
                                        "stimmen", "people",  "stuck",  "seconds"};
    size_t i = end, n = 0;
    if (i < v->len && v->data[i] != ' ')
        return KT_PII_NO;
    for (i++; i + n < v->len && kt_pii_alpha((unsigned char)v->data[i + n]) && n < 10; n++)
        continue;
    if (i + n >= v->len && !v->final && n < 10)
        return KT_PII_MORE;
    for (size_t u = 0; u < KT_COUNT(units); u++)
        if (strlen(units[u]) == n && kt_pii_same(units[u], v->data + i, n))
            return KT_PII_YES;
    return KT_PII_NO;
}

/* "x123", " ext. 123", " extension 12" behind a number: part of it. */
static enum kt_pii_answer extension(const struct kt_pii_view *v, size_t *end)
{
    static const char *const words[] = {"extension", "ext", "x", "durchwahl", "poste"};
    size_t i = *end, left;
    i += i < v->len && v->data[i] == ' ';
    left = v->len - i;
    for (size_t w = 0; w < KT_COUNT(words); w++) {
        size_t len = strlen(words[w]), seen = len < left ? len : left;
        if (!kt_pii_same(v->data + i, words[w], seen))
            continue;
        if (seen < len) {
            if (!v->final)
                return KT_PII_MORE;
            continue;
        }
        size_t at = i + len, digits = 0;
        while (at < v->len && at < i + len + 3 && v->data[at] && strchr(" .:", v->data[at]))
            at++;
        while (at + digits < v->len && digits <= EXTENSION_MAX &&
               kt_pii_digit((unsigned char)v->data[at + digits]))
            digits++;
        if (at + digits >= v->len && !v->final && digits <= EXTENSION_MAX)
            return KT_PII_MORE;
        if (digits == 0 || digits > EXTENSION_MAX ||
            (at + digits < v->len && kt_pii_word((unsigned char)v->data[at + digits])))
            continue;
        *end = at + digits;
        return KT_PII_YES;
    }
    return KT_PII_NO;
}

static enum kt_pii_answer ends(const struct kt_pii_view *v, const struct kt_pii_number *n, unsigned groups,
                               bool strong, size_t *end)
{
    *end = n->end[groups - 1];
    enum kt_pii_answer a = groups == n->groups ? extension(v, end) : KT_PII_NO;
    if (a != KT_PII_NO)
        return a;
    char sep = groups > 1 ? n->sep[groups - 1] : 0;
    a = kt_pii_ends_number(v, *end, sep);
    if (a != KT_PII_NO || !strong || groups == n->groups || n->sep[groups] != ' ')
        return a;
    /* Another number follows. "04 49 21 37 18 38" is a row of numbers: what follows goes on in its step. */
    unsigned digits = 0;
    for (unsigned i = 0; i < groups; i++)
        digits += n->size[i];
    bool row = groups > 1 && n->size[groups] == n->size[groups - 1] && n->digits[digits] != '0';
    bool hinted = n->lead || kt_pii_context(v, n->start, 40, KT_PII_W_PHONE | KT_PII_W_REACH);
    return row && !hinted ? KT_PII_NO : KT_PII_YES;
}

/* "0031612345678" in one run: a country, a mobile one, all of its digits. */
static bool exactly_as_dialled(const struct kt_pii_view *v, const struct kt_pii_number *n)
{
    return kt_pii_phone_mobile(n, 2) && kt_pii_stands_alone(v, n->start);
}

static enum kt_pii_answer match_number(const struct kt_pii_view *v, const struct kt_pii_number *n,
                                       size_t *end)
{
    bool plus = n->lead == '+';
    bool zeros = memcmp(n->digits, "00", 2) == 0 && n->digits[2] != '0' && n->size[0] > 1 && n->count > 10;
    if (plus || zeros) {
        unsigned groups = kt_pii_phone_international(n, plus ? 0 : 2);
        bool told = kt_pii_context(v, n->start, 28, OTHERS);
        bool hinted = kt_pii_context(v, n->start, 40, KT_PII_W_PHONE | KT_PII_W_REACH);
        bool doubtful = zeros && (told || (n->groups == 1 && !hinted && !exactly_as_dialled(v, n)));
        return groups && !doubtful ? ends(v, n, groups, true, end) : KT_PII_NO;
    }
    unsigned digits = n->count;
    for (unsigned groups = n->groups; groups > 0; digits -= n->size[--groups]) {
        if (digits > 14 || !national(v, n, groups, digits))
            continue;
        bool strong = n->lead == '(' || n->digits[0] == '0';
        enum kt_pii_answer a = ends(v, n, groups, strong, end);
        enum kt_pii_answer counted = a == KT_PII_YES && groups == 1 ? counts(v, *end) : KT_PII_NO;
        if (counted != KT_PII_NO)
            return counted == KT_PII_YES ? KT_PII_NO : KT_PII_MORE;
        if (a != KT_PII_NO)
            return a;
    }
    return KT_PII_NO;
}

/* The rest of "13,178,002.113936031", or of ".4320". */
static bool in_thousands(const struct kt_pii_view *v, const struct kt_pii_number *n)
{
    size_t at = n->start;
    if (at > v->floor + 1 && v->data[at - 1] == '.' && v->data[at - 2] == ' ')
        return true;
    return n->size[0] == 3 && at >= 2 && v->data[at - 1] == ',' &&
           kt_pii_digit((unsigned char)v->data[at - 2]) && (n->groups == 1 || n->sep[1] == '.');
}

#define NAME_MAX_BYTES 32u

/* "a=250+375+1200" is a sum; "?tel=250+375+1200" is a number of groups. */
static bool is_sum(const struct kt_pii_view *v, const struct kt_pii_number *n)
{
    size_t i = n->start - 1, low = i > NAME_MAX_BYTES ? i - NAME_MAX_BYTES : 0;
    if (!kt_pii_assigned(v, n->start) || n->groups < 2 || v->data[n->end[0]] != '+')
        return false;
    while (i > low && i > v->floor &&
           (kt_pii_word((unsigned char)v->data[i - 1]) || v->data[i - 1] == '-' || v->data[i - 1] == '.'))
        i--;
    bool member = i > 0 && (v->data[i - 1] == '?' || v->data[i - 1] == '&');
    return !member && !kt_pii_context(v, n->start, 40, KT_PII_W_PHONE);
}

static enum kt_pii_answer phone_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    const struct kt_pii_number *n;
    if (!kt_pii_starts_number(v, at) || (v->data[at] != '+' && kt_pii_in_row(v, at)))
        return KT_PII_NO;
    enum kt_pii_answer a = kt_pii_number(v, at, &n);
    if (a != KT_PII_YES)
        return a;
    *start = at;
    if (n->count < 7 || in_thousands(v, n) || is_sum(v, n))
        return KT_PII_NO;
    a = match_number(v, n, end);
    /* "(+49 30 1234567)", "(0612345678)": a bracket around the whole is not the number's */
    bool closed = v->data[n->end[0] - 1] == ')';
    if (a == KT_PII_YES && v->data[at] == '(' && (!closed || *end == n->end[0])) {
        *start = at + 1;
        *end -= closed;
    }
    return a;
}

const struct kt_pii_kind kt_pii_phone = {.label = "phone",
                                         .name = "PHONE",
                                         .also = " phone_number telephone mobile ",
                                         .help = "phone numbers by the rules of their country",
                                         .starts = KT_PII_AT_DIGIT | KT_PII_AT_SIGN,
                                         .digits = 7,
                                         .leads = UINT64_MAX,
                                         .match = phone_match};
