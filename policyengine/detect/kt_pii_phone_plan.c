/* SPDX-License-Identifier: Apache-2.0 */
/* Numbering plans, as far as they tell a phone from other numbers: lengths behind country codes (E.164), and
 * the groups in which national numbers are written. */
#include "policyengine/detect/kt_pii_phone_plan.h"

#include "policyengine/detect/kt_pii_forms.h"

#include <string.h>

/* Digits of national numbers behind a country code. */
static const struct country {
    char code[4];
    unsigned char min, max;
} countries[] = {
    {"1", 10, 10},  {"7", 10, 10}, {"20", 8, 10},  {"27", 9, 9},   {"30", 10, 10}, {"31", 9, 9},
    {"32", 8, 9},   {"33", 9, 9},  {"34", 9, 9},   {"36", 8, 9},   {"39", 6, 11},  {"40", 9, 9},
    {"41", 9, 9},   {"43", 6, 13}, {"44", 9, 10},  {"45", 8, 8},   {"46", 7, 10},  {"47", 8, 8},
    {"48", 9, 9},   {"49", 6, 12}, {"51", 8, 9},   {"52", 10, 11}, {"53", 6, 8},   {"54", 10, 11},
    {"55", 10, 11}, {"56", 9, 9},  {"57", 8, 10},  {"58", 10, 10}, {"60", 8, 10},  {"61", 9, 9},
    {"62", 8, 12},  {"63", 9, 10}, {"64", 8, 10},  {"65", 8, 8},   {"66", 8, 9},   {"81", 9, 10},
    {"82", 8, 10},  {"84", 9, 10}, {"86", 10, 11}, {"90", 10, 10}, {"91", 10, 10}, {"92", 9, 10},
    {"93", 9, 9},   {"94", 9, 9},  {"95", 7, 10},  {"98", 10, 10}, {"351", 9, 9},  {"352", 5, 9},
    {"353", 7, 9},  {"354", 7, 9}, {"356", 8, 8},  {"358", 6, 11}, {"370", 8, 8},  {"371", 8, 8},
    {"372", 7, 8},  {"380", 9, 9}, {"381", 8, 9},  {"385", 8, 9},  {"386", 8, 8},  {"420", 9, 9},
    {"421", 9, 9},  {"852", 8, 8}, {"971", 8, 9},  {"972", 8, 9},
};

/* The first two digits of assigned codes with three. */
static const char three_digits[][3] = {"21", "22", "23", "24", "25", "26", "29", "35", "37", "38", "42", "50",
                                       "59", "67", "68", "69", "80", "85", "87", "88", "96", "97", "99"};

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
    for (size_t i = 0; count >= 3 && i < KT_COUNT(three_digits); i++)
        if (memcmp(d, three_digits[i], 2) == 0)
            return 3;
    return 0;
}

bool kt_pii_phone_mobile(const struct kt_pii_number *n, unsigned skip)
{
    unsigned min, max;
    unsigned code = n->count > skip ? country_code(n->digits + skip, n->count - skip, &min, &max) : 0;
    return code == 2 && min == max && n->groups == 1 && n->count == skip + code + min &&
           strchr("67", n->digits[skip + code]);
}

unsigned kt_pii_phone_international(const struct kt_pii_number *n, unsigned skip)
{
    unsigned min, max;
    unsigned code = n->count > skip ? country_code(n->digits + skip, n->count - skip, &min, &max) : 0;
    if (code == 0)
        return 0;
    /* behind "00" nothing else says that it is one: area and exchange do not start with 0 or 1 there */
    if (skip > 0 && n->digits[skip] == '1' && (n->count < 7 || n->digits[3] < '2' || n->digits[6] < '2'))
        return 0;
    unsigned best = 0, digits = 0, trunk = 0;
    for (unsigned i = 0; i < n->groups; i++) {
        /* "+49 (0)89", "+44 (020)", "+44 020": a zero that is written, not dialled */
        bool zero = digits == skip + code && n->digits[digits] == '0' && n->size[i] <= 5;
        if (zero && !(code == 2 && memcmp(n->digits + skip, "39", 2) == 0))
            trunk = 1;
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

/* Group sizes of national writings; ' ' '-' '.' '/' are the separators they are written with, ')' one behind
 * a bracket. */
static const struct shape {
    const char *sizes;
    const char *lead; /* digits that the first group may start with */
    const char *seps;
    bool sure;
} shapes[] = {
    /* North America */
    {"334", "23456789", "-. )", true},
    {"1334", "1", "- .)", true},
    {"334", "1", "-", true},
    {"334", "1", " .)", false},
    {"334", "23456789", "/-", true}, /* "617/555-0134" */
    {"a", "23456789", "", false},
    /* France, Belgium, Switzerland, Turkey */
    {"22222", "0", " -./", true},
    {"3322", "23456789", " -.", true},
    {"13322", "0", " -)", true},
    {"1334", "0", " -)", true},
    {"137", "0", " -)", true},
    /* Spain, Portugal, Poland */
    {"3222", "6789", " -.", true},
    {"2322", "89", " -.", true},
    {"333", "679", " -.", false},
    {"333", "58", " -", false},
    {"2322", "12345678", ")- ", true}, /* "(22) 267-05-47" */
    {"234", "2", " ", false},
    {"2322", "1234567", " -", false},
    {"9", "56789", "", false},
    /* Italy */
    {"37", "3", " -/", true},
    {"334", "3", " -/", true},
    {"3223", "3", " ", true},
    /* Denmark, Norway */
    {"2222", "123456789", " ", false},
    {"323", "49", " ", false},
    /* India */
    {"55", "6789", " -", false},
    /* Brazil: "(11) 91234-5678" */
    {"254", "123456789", ")-", true},
    {"244", "123456789", ")-", true},
    {"254", "123456789", " -", true},
    /* Australia: "1300 123 456" */
    {"433", "1", " ", true},
    /* Freephone: "800 123 456", "0800 ..." is a trunk number */
    {"333", "89", " ", false},
};

_Static_assert(KT_COUNT(shapes) <= 64, "an index has 64 entries");

/* Filled once; two threads that fill it at once write the same. */
static uint64_t shapes_of(const struct kt_pii_number *n)
{
    static struct kt_pii_form_index x;
    static atomic_bool ready;
    if (!atomic_load_explicit(&ready, memory_order_acquire)) {
        for (unsigned i = 0; i < KT_COUNT(shapes); i++)
            kt_pii_index_forms(&x, i, shapes[i].sizes, NULL);
        atomic_store_explicit(&ready, true, memory_order_release);
    }
    return kt_pii_of_form(&x, n);
}

static bool shape_fits(const struct shape *s, const struct kt_pii_number *n, unsigned groups)
{
    if (strlen(s->sizes) != groups || !strchr(s->lead, n->digits[0]) || !kt_pii_sizes(n, s->sizes))
        return false;
    for (unsigned i = 1; i < groups; i++)
        if (!strchr(s->seps, n->sep[i] == '(' ? ')' : n->sep[i]))
            return false;
    /* "209-555.3364" is something else; a bracket or a first group may differ: "(209) 555-3364" */
    bool bracket = n->lead == '(' || n->sep[1] == '(' || n->sep[1] == ')';
    if (strchr(s->seps, '/') && strchr(s->seps, '-') && groups == 3 && n->sep[1] == '/' && n->sep[2] == '-')
        return true;
    return groups < 3 || kt_pii_separator(n, groups) || bracket || s->sizes[1] > '3';
}

/* North American exchanges do not start with 0 or 1; samples that people write ("555-123-4567") do. */
static bool exchange_fits(const struct kt_pii_number *n, unsigned groups, unsigned digits)
{
    if (digits != 10 || (groups > 1 && !(groups == 3 && kt_pii_sizes(n, "334"))))
        return true;
    bool dashed = groups == 3 && n->sep[2] == '-';
    bool italian = groups == 3 && n->digits[0] == '3' && n->lead == 0;
    return italian || n->digits[3] >= (dashed ? '1' : '2') || memcmp(n->digits, "123456", 6) == 0;
}

/* "0171/1882629", "089 362621", "020 7946 0958", "(0171) 188-2629", "0475/12.34.56", "070-123 45 67". */
static bool trunk_shape(const struct kt_pii_number *n, unsigned groups, unsigned digits)
{
    if (n->digits[0] != '0' || n->digits[1] == '0' || digits < 9 || digits > 12 || groups < 2 || groups > 5)
        return false;
    if (n->size[0] < 2 || n->size[0] > 5)
        return false;
    for (unsigned i = 1; i < groups; i++)
        if (n->size[i] < 2 || n->sep[i] == '(' || (i > 1 && n->sep[i] == '/'))
            return false;
    /* What stands behind the area code may differ from what stands between the other groups, and so may what
     * stands in front of an extension: "0211 / 353 37-93". */
    for (unsigned i = 3; i < groups; i++)
        if (n->sep[i] != n->sep[2] && !(i + 1 == groups && n->sep[1] == '/' && n->sep[i] == '-'))
            return false;
    bool area = n->lead == '(' || n->sep[1] == '/' || n->sep[1] == '-' || n->sep[1] == ' ';
    bool ssn_like = kt_pii_sizes(n, "324") && groups == 3, zip_like = kt_pii_sizes(n, "54") && groups == 2;
    bool date_like = kt_pii_sizes(n, "2224") && groups == 4;
    bool dotted = n->sep[1] == '.' && groups > 2 && kt_pii_separator(n, groups);
    return (area || dotted) && !ssn_like && !zip_like && !date_like;
}

/* Numbers in one run with a trunk zero. Mobile ones are known by their second digit. */
static enum kt_pii_phone_form trunk_run(const char *d, unsigned digits)
{
    if (d[0] != '0' || d[1] == '0' || digits < 9 || digits > 12)
        return KT_PII_PHONE_NONE;
    bool mobile = (digits == 10 && (d[1] == '6' || d[1] == '7')) || (digits == 11 && strchr("579", d[1])) ||
                  ((digits == 11 || digits == 12) && d[1] == '1' && strchr("567", d[2]));
    return mobile ? KT_PII_PHONE_SURE : KT_PII_PHONE_HINTED;
}

enum kt_pii_phone_form kt_pii_phone_national(const struct kt_pii_number *n, unsigned groups, unsigned digits)
{
    if (digits > 1 && n->digits[0] == '0' && n->digits[1] == '0')
        return KT_PII_PHONE_NONE; /* "00 00 00 00 00" is a dump: no area begins with 0 */
    if (groups == 1 && n->digits[0] == '0')
        return trunk_run(n->digits, digits);
    if (trunk_shape(n, groups, digits)) /* "046 454 286" has the groups of other numbers */
        return groups == 3 && digits == 9 && kt_pii_sizes(n, "333") ? KT_PII_PHONE_HINTED : KT_PII_PHONE_SURE;
    enum kt_pii_phone_form best = KT_PII_PHONE_NONE;
    for (uint64_t set = shapes_of(n); set && best < KT_PII_PHONE_SURE; set &= set - 1) {
        const struct shape *s = &shapes[__builtin_ctzll(set)];
        if (shape_fits(s, n, groups))
            best = s->sure ? KT_PII_PHONE_SURE : KT_PII_PHONE_HINTED;
    }
    return best != KT_PII_PHONE_NONE && !exchange_fits(n, groups, digits) ? KT_PII_PHONE_HINTED : best;
}
