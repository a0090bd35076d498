/* SPDX-License-Identifier: Apache-2.0 */
/* Reads one number written in groups. Everything that reads numbers (cards, SSNs, phones) starts from this.
 */
#include "policyengine/detect/kt_pii_text.h"

#include <string.h>

#define GROUP_MAX 20u /* digits of one group that are read; no value is longer */

static bool separator(char c)
{
    return c == ' ' || c == '-' || c == '.' || c == '/';
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
    if (separator(v->data[at])) {
        char as = v->data[at];
        *next = at + 1;
        if (spaced_separator(v, &as, next) == KT_PII_MORE)
            return KT_PII_MORE;
        if (!closed)
            *sep = as;
    }
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

/* Reads on behind the groups that `n` holds already. */
static enum kt_pii_answer read_on(const struct kt_pii_view *v, size_t end, bool closed,
                                  struct kt_pii_number *n)
{
    for (;;) {
        char sep = 0;
        size_t i = end;
        enum kt_pii_answer a = next_group(v, end, closed, &sep, &i);
        if (a == KT_PII_YES) {
            closed = v->data[i] == '(';
            a = group(v, i, sep, n, &end);
        }
        if (a != KT_PII_YES)
            return a == KT_PII_MORE ? a : KT_PII_YES;
    }
}

static enum kt_pii_answer read_number(const struct kt_pii_view *v, size_t at, struct kt_pii_number *n)
{
    n->count = n->groups = 0;
    n->start = at;
    bool wrapped = v->data[at] == '(' && at + 1 < v->len && v->data[at + 1] == '+'; /* "(+351) 21..." */
    char sep = v->data[at] == '+' || v->data[at] == '(' ? v->data[at] : 0;
    size_t i = at + (sep == '+');
    if (wrapped) {
        sep = '+';
        i = at + 2;
    }
    if (i == v->len)
        return v->final ? KT_PII_NO : KT_PII_MORE;
    bool closed = v->data[i] == '(';
    size_t end = i;
    enum kt_pii_answer a = group(v, i, sep, n, &end);
    if (a != KT_PII_YES)
        return a;
    if (wrapped && end < v->len && v->data[end] == ')') {
        n->end[0] = ++end;
        closed = true;
    }
    return read_on(v, end, closed, n);
}

/* In a row of numbers the one at a later group is what is left of the one before: only what is new is read.
 * False where `n` holds no such group. */
static bool cut_to(const struct kt_pii_view *v, size_t at, struct kt_pii_number *n)
{
    unsigned skip = 0, digits = 0;
    if (!kt_pii_digit((unsigned char)v->data[at]) || at <= n->start)
        return false;
    while (skip < n->groups && n->end[skip] <= at)
        digits += n->size[skip++];
    if (skip == 0 || skip == n->groups || n->end[skip] != at + n->size[skip])
        return false;
    n->groups -= skip;
    n->count -= digits;
    n->start = at;
    memmove(n->digits, n->digits + digits, n->count);
    memmove(n->size, n->size + skip, n->groups * sizeof *n->size);
    memmove(n->end, n->end + skip, n->groups * sizeof *n->end);
    memmove(n->sep, n->sep + skip, n->groups);
    n->sep[0] = 0;
    return true;
}

enum kt_pii_answer kt_pii_number(const struct kt_pii_view *v, size_t at, const struct kt_pii_number **n)
{
    struct kt_pii_cache *c = v->cache;
    if (c->number_at != at) {
        bool known = c->number_at != KT_PII_FAR && c->number_answer == KT_PII_YES;
        if (known && cut_to(v, at, &c->number)) {
            size_t end = c->number.end[c->number.groups - 1];
            c->number_answer = read_on(v, end, v->data[end - 1] == ')', &c->number);
        } else {
            c->number_answer = read_number(v, at, &c->number);
        }
        c->number.digits[c->number.count] = '\0';
        c->number_at = at;
    }
    *n = &c->number;
    return c->number_answer;
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

/* Number of groups of the form at *form (up to '|') that the number starts with; 0 where it does not. *form
 * moves behind it. */
static unsigned fits(const struct kt_pii_number *n, const char **form)
{
    const char *f = *form;
    unsigned i = 0;
    while (*f && *f != '|' && i < n->groups && n->size[i] == kt_pii_form_size(*f)) {
        f++;
        i++;
    }
    bool all = !*f || *f == '|';
    while (*f && *f != '|')
        f++;
    *form = f;
    return all ? i : 0;
}

bool kt_pii_sizes(const struct kt_pii_number *n, const char *sizes)
{
    return fits(n, &sizes) > 0;
}

enum kt_pii_answer kt_pii_plain_number(const struct kt_pii_view *v, size_t at, const char *forms,
                                       const char *seps, const struct kt_pii_number **n, size_t *end)
{
    if (!kt_pii_starts_number(v, at))
        return KT_PII_NO;
    enum kt_pii_answer a = kt_pii_number(v, at, n);
    if (a != KT_PII_YES || (*n)->sep[0])
        return a == KT_PII_MORE ? a : KT_PII_NO;
    for (const char *form = forms; *form; form += *form == '|') {
        unsigned groups = fits(*n, &form);
        if (groups == 0)
            continue;
        char sep = kt_pii_separator(*n, groups);
        if (groups > 1 && (!sep || !strchr(seps, sep)))
            continue;
        a = kt_pii_ends_number(v, (*n)->end[groups - 1], sep);
        if (a == KT_PII_NO)
            continue;
        *end = (*n)->end[groups - 1];
        return a;
    }
    return KT_PII_NO;
}
