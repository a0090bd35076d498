/* SPDX-License-Identifier: Apache-2.0 */
/* US social security and taxpayer numbers, AAA-GG-SSSS. Social security: areas 000, 666 and 9xx, group 00
 * and serial 0000 were never issued, two well-known numbers were withdrawn. Taxpayer numbers (ITIN) are areas
 * 9xx with groups 50-65, 70-88, 90-92 and 94-99. */
#include "policyengine/detect/kt_pii_text.h"

#include <string.h>

#define FORMS "324|9|36|54"

static bool issued(const char *d)
{
    static const char *const withdrawn[] = {"078051120", "219099999"};
    for (size_t i = 0; i < KT_COUNT(withdrawn); i++)
        if (memcmp(d, withdrawn[i], 9) == 0)
            return false;
    return d[0] != '9' && memcmp(d, "000", 3) != 0 && memcmp(d, "666", 3) != 0 &&
           kt_pii_value(d + 3, 2) != 0 && memcmp(d + 5, "0000", 4) != 0;
}

static bool taxpayer(const char *d)
{
    unsigned group = kt_pii_value(d + 3, 2);
    return d[0] == '9' && memcmp(d + 5, "0000", 4) != 0 &&
           ((group >= 50 && group <= 65) || (group >= 70 && group <= 88) || (group >= 90 && group <= 92) ||
            group >= 94);
}

/* "Part 123-45-6789", "order no. 123-45-6789": the word right in front names another number. */
static bool of_something(const struct kt_pii_view *v, size_t at)
{
    size_t far = kt_pii_near(v, at, 24, KT_PII_W_OTHER);
    if (far > 10)
        return false;
    for (size_t i = at - far; i < at; i++)
        if (kt_pii_digit((unsigned char)v->data[i]) || v->data[i] == '\n')
            return false;
    return true;
}

/* "my social: ", "social number is ": nothing else stands between the word that ended `gap` bytes in front of
 * `at` and the number. "social distancing" and "the social network has" are no such. */
static bool right_in_front(const struct kt_pii_view *v, size_t at, size_t gap)
{
    static const char *const words[] = {"is", "no", "num", "number", "nr"};
    if (gap > 16)
        return false;
    for (size_t i = at - gap, end; i < at; i = end) {
        for (end = i; end < at && kt_pii_alpha((unsigned char)v->data[end]); end++)
            ;
        bool known = end == i;
        for (size_t k = 0; k < KT_COUNT(words) && !known; k++)
            known = strlen(words[k]) == end - i && kt_pii_same(v->data + i, words[k], end - i);
        if (!known)
            return false;
        end += end == i;
    }
    return true;
}

/* "SS# ", "ss no. ". Two letters alone are seconds of a format, and much else. */
static bool of_ss(const struct kt_pii_view *v, size_t at)
{
    size_t gap = kt_pii_near(v, at, 24, KT_PII_W_SS);
    if (gap == KT_PII_FAR || !right_in_front(v, at, gap))
        return false;
    return memchr(v->data + at - gap, '#', gap) || kt_pii_near(v, at, 24, KT_PII_W_NUMBER) < gap;
}

/* A word in front says that the number is one of these. */
static bool is_told(const struct kt_pii_view *v, size_t at)
{
    const size_t reach = 40;
    if (kt_pii_context(v, at, reach, KT_PII_W_SSN | KT_PII_W_TAX))
        return true;
    size_t social = kt_pii_near(v, at, reach, KT_PII_W_SOCIAL);
    if (social != KT_PII_FAR) {
        size_t insured = kt_pii_near(v, at, reach, KT_PII_W_MEMBER); /* "social insurance number" */
        return kt_pii_context(v, at, reach, KT_PII_W_SECURITY) || right_in_front(v, at, social) ||
               (insured != KT_PII_FAR && right_in_front(v, at, insured));
    }
    if (kt_pii_context(v, at, reach, KT_PII_W_SOC))
        return kt_pii_context(v, at, reach, KT_PII_W_SEC | KT_PII_W_SECURITY);
    return of_ss(v, at);
}

/* "536228761 is my SSN": the word stands behind. */
static enum kt_pii_answer told_behind(const struct kt_pii_view *v, size_t end)
{
    static const char *const words[] = {" is my ssn",  " is my social", " is his ssn", " is her ssn",
                                        " is the ssn", " as my ssn",    " (ssn",       " is an ssn"};
    return kt_pii_one_follows(v, end, words, KT_COUNT(words));
}

/* How many groups of the number make an SSN; 0 = none. Unusual writings need a word in front that says what
 * it is. */
static unsigned ssn_groups(const struct kt_pii_view *v, const struct kt_pii_number *n)
{
    bool usual_sizes = n->size[0] == 3 && kt_pii_sizes(n, "324"), run = n->size[0] == 9;
    bool odd = n->groups >= 2 && n->sep[1] == '-' && (kt_pii_sizes(n, "36") || kt_pii_sizes(n, "54"));
    if (n->lead != 0 || !(usual_sizes || run || odd))
        return 0;
    bool told = is_told(v, n->start);
    if (usual_sizes) {
        char sep = kt_pii_separator(n, 3);
        bool spaced = sep == ' ' && kt_pii_stands_alone(v, n->start) && (n->groups == 3 || n->sep[3] != ' ');
        /* "700 - 23 - 9200" is a sum unless something says otherwise */
        bool tight = n->end[0] + 1 + n->size[1] == n->end[1];
        bool usual = (sep == '-' && tight) || spaced ||
                     (sep == '.' && n->groups == 3 && kt_pii_stands_alone(v, n->start));
        return told || (usual && !of_something(v, n->start)) ? (sep ? 3 : 0) : 0;
    }
    return told ? (run ? 1 : 2) : 0;
}

/* Nine digits without a sign between them, and nothing in front that tells. */
static bool asks_behind(const struct kt_pii_number *n, bool (*valid)(const char *digits))
{
    return n->lead == 0 && n->size[0] == 9 && valid(n->digits);
}

static enum kt_pii_answer match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end,
                                bool (*valid)(const char *digits))
{
    const struct kt_pii_number *n;
    if (!kt_pii_starts_number(v, at))
        return KT_PII_NO;
    enum kt_pii_answer a = kt_pii_number(v, at, &n);
    if (a != KT_PII_YES)
        return a;
    unsigned groups = n->count >= 9 && valid(n->digits) ? ssn_groups(v, n) : 0;
    if (groups == 0 && asks_behind(n, valid)) {
        a = told_behind(v, n->end[0]);
        groups = 1;
        if (a != KT_PII_YES)
            return a;
    }
    if (groups == 0)
        return KT_PII_NO;
    *start = at;
    *end = n->end[groups - 1];
    return kt_pii_ends_number(v, *end, groups > 1 ? n->sep[1] : 0);
}

static enum kt_pii_answer ssn_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    return match(v, at, start, end, issued);
}

static enum kt_pii_answer itin_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    return match(v, at, start, end, taxpayer);
}

const struct kt_pii_kind kt_pii_ssn = {.label = "ssn",
                                       .name = "SSN",
                                       .also = " us_ssn social_security_number national_ids ",
                                       .help = "US social security numbers by their areas and groups",
                                       .starts = KT_PII_AT_DIGIT,
                                       .words = KT_PII_LEN(3, 5) | KT_PII_LEN(9, 9),
                                       .digits = 9,
                                       .forms = FORMS,
                                       .match = ssn_match};

const struct kt_pii_kind kt_pii_itin = {.label = "itin",
                                        .name = "ITIN",
                                        .also = " us_itin taxpayer_id national_ids ",
                                        .help = "US taxpayer numbers (ITIN), areas 9xx, by their groups",
                                        .starts = KT_PII_AT_DIGIT,
                                        .words = KT_PII_LEN(3, 5) | KT_PII_LEN(9, 9),
                                        .digits = 9,
                                        .forms = FORMS,
                                        .match = itin_match};
