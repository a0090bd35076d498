/* SPDX-License-Identifier: Apache-2.0 */
/* US social security numbers: AAA-GG-SSSS. Areas 000, 666 and 9xx, group 00 and serial 0000 were never
 * issued. */
#include "policyengine/detect/kt_pii_text.h"

#include <string.h>

static const char *const ssn_words[] = {"ssn", "ssns", "social", "security", "ss", NULL};

static bool issued(const char *d)
{
    return memcmp(d, "000", 3) != 0 && memcmp(d, "666", 3) != 0 && d[0] != '9' &&
           memcmp(d + 3, "00", 2) != 0 && memcmp(d + 5, "0000", 4) != 0;
}

/* How many groups of the number make an SSN; 0 = none. Unusual writings need a word in front that says what
 * it is. */
static unsigned ssn_groups(const struct kt_pii_view *v, const struct kt_pii_number *n)
{
    if (n->sep[0] != 0)
        return 0;
    if (n->groups >= 3 && n->size[0] == 3 && n->size[1] == 2 && n->size[2] == 4) {
        char sep = kt_pii_separator(n, 3);
        bool usual = sep == '-' || sep == ' ';
        return usual || (sep == '.' && kt_pii_context(v, n->start, 40, ssn_words)) ? 3 : 0;
    }
    bool run = n->size[0] == 9;
    bool odd = n->groups >= 2 && n->sep[1] == '-' &&
               ((n->size[0] == 3 && n->size[1] == 6) || (n->size[0] == 5 && n->size[1] == 4));
    if ((run || odd) && kt_pii_context(v, n->start, 40, ssn_words))
        return run ? 1 : 2;
    return 0;
}

static enum kt_pii_answer ssn_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    struct kt_pii_number n;
    if (!kt_pii_starts_number(v, at))
        return KT_PII_NO;
    enum kt_pii_answer a = kt_pii_number(v, at, &n);
    if (a != KT_PII_YES)
        return a;
    unsigned groups = ssn_groups(v, &n);
    if (groups == 0 || !issued(n.digits))
        return KT_PII_NO;
    *start = at;
    *end = n.end[groups - 1];
    return kt_pii_ends_number(v, *end, groups > 1 ? n.sep[1] : 0);
}

const struct kt_pii_kind kt_pii_ssn = {
    .label = "ssn", .name = "SSN", .first = "0123456789", .match = ssn_match};
