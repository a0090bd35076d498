/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_pii_text.h"

#include <string.h>

const bool kt_pii_word_bytes[256] = {
    ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['0' ... '9'] = true, ['_'] = true};

bool kt_pii_same(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (kt_pii_upper(a[i]) != kt_pii_upper(b[i]))
            return false;
    return true;
}

enum kt_pii_answer kt_pii_one_follows(const struct kt_pii_view *v, size_t end, const char *const *words,
                                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(words[i]), left = v->len - end;
        if (!kt_pii_same(v->data + end, words[i], left < n ? left : n))
            continue;
        if (left >= n)
            return KT_PII_YES;
        if (!v->final)
            return KT_PII_MORE;
    }
    return KT_PII_NO;
}

bool kt_pii_stands_alone(const struct kt_pii_view *v, size_t at)
{
    if (!kt_pii_starts_number(v, at))
        return false;
    if (at == 0 || at <= v->floor)
        return true;
    char prev = v->data[at - 1];
    if (prev && strchr("#$=&%~\\^*", prev))
        return false;
    bool joins = prev == '.' || prev == '-' || prev == '/';
    return !(joins && at >= 2 && kt_pii_word((unsigned char)v->data[at - 2]));
}

bool kt_pii_in_row(const struct kt_pii_view *v, size_t at)
{
    return kt_pii_row_goes_on(v, at) || kt_pii_in_iban(v, at);
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

enum kt_pii_answer kt_pii_ends_word(const struct kt_pii_view *v, size_t end, bool dash)
{
    if (end == v->len)
        return v->final ? KT_PII_YES : KT_PII_MORE;
    unsigned char c = (unsigned char)v->data[end];
    if (kt_pii_word(c) || c == '@')
        return KT_PII_NO;
    if (dash || c != '-')
        return KT_PII_YES;
    if (end + 1 == v->len)
        return v->final ? KT_PII_YES : KT_PII_MORE;
    return kt_pii_word((unsigned char)v->data[end + 1]) ? KT_PII_NO : KT_PII_YES;
}

/* One separator that another letter or digit follows; *at moves behind it. */
static enum kt_pii_answer one_separator(const struct kt_pii_view *v, size_t *at, const char *seps, bool form,
                                        char *sep)
{
    char c = form && v->data[*at] == '+' ? ' ' : v->data[*at];
    if (!c || !strchr(seps, c) || (*sep && c != *sep))
        return KT_PII_NO;
    if (*at + 1 == v->len)
        return v->final ? KT_PII_NO : KT_PII_MORE;
    if (!kt_pii_alnum((unsigned char)v->data[*at + 1]))
        return KT_PII_NO;
    *sep = c;
    ++*at;
    return KT_PII_YES;
}

enum kt_pii_answer kt_pii_chars(const struct kt_pii_view *v, size_t at, unsigned want, const char *seps,
                                struct kt_pii_chars *out)
{
    *out = (struct kt_pii_chars){.groups = 1};
    char sep = 0;
    bool form = kt_pii_assigned(v, at); /* "iban=DE89+3704+..." */
    for (size_t i = at; out->count < want; i++) {
        if (i < v->len && out->count > 0 && !kt_pii_alnum((unsigned char)v->data[i])) {
            enum kt_pii_answer a = one_separator(v, &i, seps, form, &sep);
            if (a != KT_PII_YES)
                return a;
            out->groups++;
        }
        if (i >= v->len)
            return v->final ? KT_PII_NO : KT_PII_MORE;
        char c = v->data[i];
        if (!kt_pii_alnum((unsigned char)c) || out->count == KT_PII_CHARS)
            return KT_PII_NO;
        out->upper |= c >= 'A' && c <= 'Z';
        out->lower |= c >= 'a' && c <= 'z';
        out->text[out->count++] = c;
        out->end = i + 1;
    }
    return KT_PII_YES;
}

void kt_pii_capitals(struct kt_pii_chars *c)
{
    for (unsigned i = 0; i < c->count; i++)
        c->text[i] = kt_pii_upper(c->text[i]);
}

bool kt_pii_form(const char *text, const char *form)
{
    for (; *form; form++, text++) {
        unsigned char c = (unsigned char)*text;
        bool fits = *form == 'A'   ? kt_pii_alpha(c)
                    : *form == '9' ? kt_pii_digit(c)
                    : *form == '*' ? kt_pii_alnum(c)
                                   : c == (unsigned char)*form;
        if (!fits)
            return false;
    }
    return *text == '\0';
}
