/* SPDX-License-Identifier: Apache-2.0 */
/* Forms of numbers: the sizes of the groups that they are written in. */
#include "policyengine/detect/kt_pii_forms.h"

#include "policyengine/detect/kt_bytes.h"

#include <string.h>

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
    if (a != KT_PII_YES || (*n)->lead)
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

/* One form of several groups. */
static void index_groups(struct kt_pii_form_index *x, uint64_t bit, const char *form)
{
    size_t groups = strcspn(form, "|");
    for (unsigned g = 0; g < KT_PII_FORM_GROUPS; g++)
        for (unsigned s = 0; s <= KT_PII_DIGITS; s++)
            if (g >= groups || s == kt_pii_form_size(form[g]))
                atomic_fetch_or(&x->group[g][s], bit);
}

void kt_pii_index_forms(struct kt_pii_form_index *x, unsigned i, const char *forms, const char *seps)
{
    uint64_t bit = 1ull << i;
    for (const char *f = forms; *f; f += strcspn(f, "|")) {
        f += *f == '|';
        if (strcspn(f, "|") == 1)
            atomic_fetch_or(&x->run[kt_pii_form_size(*f)], bit);
        else
            index_groups(x, bit, f);
    }
    for (unsigned c = 1; c < KT_COUNT(x->joined); c++)
        if (!seps || strchr(seps, (int)c))
            atomic_fetch_or(&x->joined[c], bit);
}

void kt_pii_index_any(struct kt_pii_form_index *x, unsigned i)
{
    for (unsigned s = 0; s <= KT_PII_DIGITS; s++)
        atomic_fetch_or(&x->run[s], 1ull << i);
}

static uint64_t load(const _Atomic uint64_t *set)
{
    return atomic_load_explicit(set, memory_order_relaxed);
}

uint64_t kt_pii_of_form(const struct kt_pii_form_index *x, const struct kt_pii_number *n)
{
    if (n->groups == 0)
        return load(&x->run[0]);
    uint64_t set = load(&x->run[n->size[0]]);
    if (n->groups < 2)
        return set;
    unsigned third = n->groups > 2 ? n->size[2] : 0;
    return set | (load(&x->group[0][n->size[0]]) & load(&x->group[1][n->size[1]]) &
                  load(&x->group[2][third]) & load(&x->joined[(unsigned char)n->sep[1]]));
}

uint64_t kt_pii_begins_form(const struct kt_pii_form_index *x, const struct kt_pii_view *v, size_t at,
                            size_t end)
{
    size_t first = end - at <= KT_PII_DIGITS ? end - at : 0, second = 0;
    uint64_t run = load(&x->run[first]), groups = load(&x->group[0][first]);
    if (end + 1 >= v->len || v->data[end] != ' ' || !kt_pii_digit((unsigned char)v->data[end + 1]))
        return run | groups;
    second = kt_bytes_end(v->data, v->len, end + 1, kt_bytes_digits) - (end + 1);
    second = second < KT_PII_DIGITS ? second : KT_PII_DIGITS;
    if (end + 1 + second < v->len || v->final)
        groups &= load(&x->group[1][second]) & load(&x->joined[' ']);
    return run | groups;
}
