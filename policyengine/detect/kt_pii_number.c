/* SPDX-License-Identifier: Apache-2.0 */
/* Reads one number written in groups. Everything that reads numbers (cards, SSNs, phones) starts from this.
 */
#include "policyengine/detect/kt_pii_text.h"

#include "policyengine/detect/kt_bytes.h"

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
 * here. `form`: it is the value of a member of a query, whose spaces may be written as '+'. */
static enum kt_pii_answer next_group(const struct kt_pii_view *v, size_t at, bool closed, bool form,
                                     char *sep, size_t *next)
{
    *sep = closed ? ')' : 0;
    *next = at;
    if (at == v->len)
        return v->final ? KT_PII_NO : KT_PII_MORE;
    if (separator(v->data[at]) || (form && v->data[at] == '+')) {
        char as = v->data[at] == '+' ? ' ' : v->data[at];
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

/* One group at `at`, brackets included, behind the last one of the row. NO leaves the row as it was. */
static enum kt_pii_answer group(const struct kt_pii_view *v, size_t at, char sep, struct kt_pii_run *r)
{
    bool bracket = v->data[at] == '(';
    size_t first = at + bracket, left = v->len - first;
    size_t limit = left > GROUP_MAX ? first + GROUP_MAX + 1 : v->len;
    size_t i = kt_bytes_end(v->data, limit, first, kt_bytes_digits);
    size_t size = i - first;
    char *digits = r->digits + r->from[r->groups];
    if (left >= GROUP_MAX)
        memcpy(digits, v->data + first, GROUP_MAX); /* what follows the digits is not read */
    else
        memcpy(digits, v->data + first, left);
    if (i == v->len && !v->final && size <= GROUP_MAX)
        return KT_PII_MORE;
    if (size == 0 || size > GROUP_MAX || (bracket && (i == v->len || v->data[i] != ')')))
        return KT_PII_NO;
    r->size[r->groups] = (unsigned char)size;
    r->sep[r->groups] = sep;
    r->end[r->groups] = i + bracket;
    r->closed = bracket;
    r->from[r->groups + 1] = (uint16_t)(r->from[r->groups] + size);
    r->groups++;
    return KT_PII_YES;
}

/* The groups from r->at on go to the front: room for more of the row. */
static void make_room(struct kt_pii_run *r)
{
    unsigned skip = r->at, left = r->groups - skip, digits = r->from[skip];
    memmove(r->digits, r->digits + digits, r->from[r->groups] - digits);
    memmove(r->size, r->size + skip, left);
    memmove(r->sep, r->sep + skip, left);
    memmove(r->end, r->end + skip, left * sizeof *r->end);
    for (unsigned i = 0; i <= left; i++)
        r->from[i] = (uint16_t)(r->from[skip + i] - digits);
    r->groups = left;
    r->to = r->to > skip ? r->to - skip : 0;
    r->at = 0;
}

/* Reads on until all groups of the number at r->at are there. */
static void read_on(const struct kt_pii_view *v, struct kt_pii_run *r)
{
    if (r->at > KT_PII_RUN - KT_PII_GROUPS)
        make_room(r);
    while (!r->over && r->groups < r->at + KT_PII_GROUPS) {
        char sep = 0;
        size_t next = 0;
        enum kt_pii_answer a = next_group(v, r->end[r->groups - 1], r->closed, r->form, &sep, &next);
        if (a == KT_PII_YES)
            a = group(v, next, sep, r);
        r->over = a != KT_PII_YES;
        r->more = a == KT_PII_MORE;
    }
}

/* The number that begins at group r->at of the row. */
static enum kt_pii_answer cut(const struct kt_pii_view *v, size_t at, char lead, struct kt_pii_cache *c)
{
    struct kt_pii_run *r = &c->run;
    read_on(v, r);
    unsigned first = r->at, from = r->from[first], to = r->to > first ? r->to : first;
    while (to < r->groups && to < first + KT_PII_GROUPS && r->from[to + 1] - from <= KT_PII_DIGITS)
        to++;
    r->to = to;
    struct kt_pii_number *n = &c->number;
    n->start = at;
    n->lead = lead;
    n->count = r->from[to] - from;
    n->groups = to - first;
    n->digits = r->digits + from;
    n->size = r->size + first;
    n->end = r->end + first;
    n->sep = r->sep + first;
    return to == r->groups && r->more ? KT_PII_MORE : KT_PII_YES;
}

static enum kt_pii_answer read_number(const struct kt_pii_view *v, size_t at, struct kt_pii_cache *c)
{
    struct kt_pii_run *r = &c->run;
    r->groups = r->at = r->to = r->from[0] = 0;
    r->over = r->more = false;
    r->form = kt_pii_assigned(v, at);
    c->number = (struct kt_pii_number){
        .start = at, .digits = r->digits, .size = r->size, .end = r->end, .sep = r->sep};
    r->size[0] = 0;
    bool wrapped = v->data[at] == '(' && at + 1 < v->len && v->data[at + 1] == '+'; /* "(+351) 21..." */
    char lead = v->data[at] == '+' || v->data[at] == '(' ? v->data[at] : 0;
    size_t i = at + (lead == '+');
    if (wrapped) {
        lead = '+';
        i = at + 2;
    }
    if (i == v->len)
        return v->final ? KT_PII_NO : KT_PII_MORE;
    enum kt_pii_answer a = group(v, i, 0, r);
    if (a != KT_PII_YES)
        return a;
    if (wrapped && r->end[0] < v->len && v->data[r->end[0]] == ')') {
        r->end[0]++;
        r->closed = true;
    }
    return cut(v, at, lead, c);
}

/* In a row of numbers the one at a later group is what is left of the one before. False where the row has no
 * such group. */
static bool within_row(const struct kt_pii_view *v, size_t at, struct kt_pii_cache *c)
{
    struct kt_pii_run *r = &c->run;
    if (c->number_answer != KT_PII_YES || !kt_pii_digit((unsigned char)v->data[at]) || at <= c->number.start)
        return false;
    unsigned i = r->at;
    while (i < r->groups && r->end[i] <= at)
        i++;
    if (i == r->at || i == r->groups || r->end[i] != at + r->size[i])
        return false;
    r->at = i;
    return true;
}

enum kt_pii_answer kt_pii_number(const struct kt_pii_view *v, size_t at, const struct kt_pii_number **n)
{
    struct kt_pii_cache *c = v->cache;
    if (c->number_at != at) {
        bool known = c->number_at != KT_PII_FAR && within_row(v, at, c);
        c->number_answer = known ? cut(v, at, 0, c) : read_number(v, at, c);
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
