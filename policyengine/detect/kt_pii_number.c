/* SPDX-License-Identifier: Apache-2.0 */
/* Reads one number written in groups. Everything that reads numbers (cards, SSNs, phones) starts from this.
 */
#include "policyengine/detect/kt_pii_text.h"

#include <string.h>

#define GROUP_MAX 20u /* digits of one group that are read; no value is longer */

static const struct {
    char bytes[4];
    unsigned len;
    char as;
} separators[] = {
    {" ", 1, ' '},
    {"-", 1, '-'},
    {".", 1, '.'},
    {"/", 1, '/'},
    {"\xc2\xa0", 2, ' '},
    {"\xe2\x80\xaf", 3, ' '},
    {"\xe2\x80\x91", 3, '-'},
    {"\xe2\x80\x93", 3, '-'},
    {"\xe2\x80\x90", 3, '-'},
};

/* MORE: the window ends inside of what may be a separator. */
static enum kt_pii_answer separator(const struct kt_pii_view *v, size_t at, char *as, size_t *next)
{
    size_t left = v->len - at;
    for (size_t i = 0; i < KT_COUNT(separators); i++) {
        size_t len = separators[i].len;
        if (memcmp(v->data + at, separators[i].bytes, len < left ? len : left) != 0)
            continue;
        if (len > left)
            return v->final ? KT_PII_NO : KT_PII_MORE;
        *as = separators[i].as;
        *next = at + len;
        return KT_PII_YES;
    }
    return KT_PII_NO;
}

/* " - " and " / " join as '-' and '/' alone do. */
static enum kt_pii_answer spaced_separator(const struct kt_pii_view *v, char *as, size_t *next)
{
    if (*as != ' ' || v->len - *next < 2) {
        bool open = *as == ' ' && !v->final && (*next == v->len || strchr("-/", v->data[*next]));
        return open ? KT_PII_MORE : KT_PII_YES;
    }
    char c = v->data[*next];
    if ((c == '-' || c == '/') && v->data[*next + 1] == ' ') {
        *as = c;
        *next += 2;
    }
    return KT_PII_YES;
}

/* From behind a group to the first byte of the next one: YES with its separator, NO where the number ends
 * here. */
static enum kt_pii_answer next_group(const struct kt_pii_view *v, size_t at, bool closed, char *sep,
                                     size_t *next)
{
    *sep = closed ? ')' : 0;
    *next = at;
    if (at == v->len)
        return v->final ? KT_PII_NO : KT_PII_MORE;
    char as = 0;
    enum kt_pii_answer a = separator(v, at, &as, next);
    if (a == KT_PII_YES) {
        a = spaced_separator(v, &as, next);
        if (!closed)
            *sep = as;
    }
    if (a == KT_PII_MORE)
        return a;
    if (*next == v->len)
        return v->final ? KT_PII_NO : KT_PII_MORE;
    if (v->data[*next] == '(') {
        *sep = '(';
        return KT_PII_YES;
    }
    return *sep && kt_pii_digit((unsigned char)v->data[*next]) ? KT_PII_YES : KT_PII_NO;
}

/* One group at `at`, brackets included. NO leaves `n` as it was. */
static enum kt_pii_answer group(const struct kt_pii_view *v, size_t at, char sep, struct kt_pii_number *n,
                                size_t *end)
{
    bool bracket = v->data[at] == '(';
    size_t i = at + bracket;
    unsigned size = 0;
    while (i < v->len && size <= GROUP_MAX && kt_pii_digit((unsigned char)v->data[i])) {
        i++;
        size++;
    }
    if (i == v->len && !v->final && size <= GROUP_MAX)
        return KT_PII_MORE;
    if (size == 0 || (bracket && (i == v->len || v->data[i] != ')')))
        return KT_PII_NO;
    if (n->groups == KT_PII_GROUPS || size > GROUP_MAX || n->count + size > KT_PII_DIGITS)
        return KT_PII_NO;
    memcpy(n->digits + n->count, v->data + at + bracket, size);
    n->count += size;
    n->size[n->groups] = size;
    n->sep[n->groups] = sep;
    *end = n->end[n->groups++] = i + bracket;
    return KT_PII_YES;
}

enum kt_pii_answer kt_pii_number(const struct kt_pii_view *v, size_t at, struct kt_pii_number *n)
{
    memset(n, 0, sizeof *n);
    n->start = at;
    char sep = v->data[at] == '+' || v->data[at] == '(' ? v->data[at] : 0;
    size_t i = at + (sep == '+');
    if (i == v->len)
        return v->final ? KT_PII_NO : KT_PII_MORE;
    for (;;) {
        bool closed = v->data[i] == '(';
        size_t end = i;
        enum kt_pii_answer a = group(v, i, sep, n, &end);
        if (a == KT_PII_YES)
            a = next_group(v, end, closed, &sep, &i);
        if (a == KT_PII_MORE)
            return a;
        if (a == KT_PII_NO)
            return n->groups > 0 ? KT_PII_YES : KT_PII_NO;
    }
}

char kt_pii_separator(const struct kt_pii_number *n, unsigned groups)
{
    if (groups < 2)
        return 0;
    for (unsigned i = 2; i < groups; i++)
        if (n->sep[i] != n->sep[1])
            return 0;
    return n->sep[1];
}

enum kt_pii_answer kt_pii_ends_number(const struct kt_pii_view *v, size_t end, char sep)
{
    if (end == v->len)
        return v->final ? KT_PII_YES : KT_PII_MORE;
    unsigned char c = (unsigned char)v->data[end];
    if (kt_pii_word(c))
        return KT_PII_NO;
    bool joins = c == '.' || c == '-' || c == '@' || (c == '/' && sep == '/') || (c == ' ' && sep == ' ');
    if (!joins)
        return KT_PII_YES;
    if (end + 1 == v->len)
        return v->final ? KT_PII_YES : KT_PII_MORE;
    unsigned char next = (unsigned char)v->data[end + 1];
    bool goes_on = c == '@' || (c == '-' && sep == '-') ? kt_pii_word(next) : kt_pii_digit(next);
    return goes_on ? KT_PII_NO : KT_PII_YES;
}
