/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_pii_text.h"

#include <string.h>
#include <strings.h>

#define BACKSLASHES 16u /* looked at; must stay below KT_PII_BEHIND */

const bool kt_pii_word_bytes[256] = {
    ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['0' ... '9'] = true, ['_'] = true};

bool kt_pii_escaped(const struct kt_pii_view *v, size_t at)
{
    unsigned n = 0;
    while (v->json && n < BACKSLASHES && n < at && v->data[at - 1 - n] == '\\')
        n++;
    return n % 2 == 1;
}

/* What stands in front of `at` is the end of an escape: "\n", "\u00a0". */
static bool behind_escape(const struct kt_pii_view *v, size_t at)
{
    if (!v->json)
        return false;
    if (at >= 2 && strchr("nrtbf", v->data[at - 1]) && kt_pii_escaped(v, at - 1))
        return true;
    if (at < 6 || v->data[at - 5] != 'u' || !kt_pii_escaped(v, at - 5))
        return false;
    for (size_t i = at - 4; i < at; i++)
        if (!kt_pii_hex((unsigned char)v->data[i]))
            return false;
    return true;
}

bool kt_pii_starts(const struct kt_pii_view *v, size_t at)
{
    return at <= v->floor || !kt_pii_word((unsigned char)v->data[at - 1]) || behind_escape(v, at);
}

bool kt_pii_starts_number(const struct kt_pii_view *v, size_t at)
{
    if (!kt_pii_starts(v, at))
        return false;
    if (at == 0)
        return true;
    char prev = v->data[at - 1];
    if (prev == '+')
        return false;
    bool joins = prev == '.' || prev == '-' || prev == '/';
    return !(joins && at >= 2 && kt_pii_digit((unsigned char)v->data[at - 2]));
}

static bool upper(unsigned char c)
{
    return c >= 'A' && c <= 'Z';
}

/* Four capitals or digits and a space end at `at`. */
static bool iban_group(const struct kt_pii_view *v, size_t at)
{
    if (at < 5 || v->data[at - 1] != ' ')
        return false;
    for (size_t i = at - 5; i < at - 1; i++)
        if (!upper((unsigned char)v->data[i]) && !kt_pii_digit((unsigned char)v->data[i]))
            return false;
    return true;
}

bool kt_pii_in_iban(const struct kt_pii_view *v, size_t at)
{
    for (unsigned groups = 0; groups < 8 && iban_group(v, at); groups++, at -= 5) {
        const unsigned char *g = (const unsigned char *)v->data + at - 5;
        if (upper(g[0]) && upper(g[1]) && kt_pii_digit(g[2]) && kt_pii_digit(g[3]))
            return at == 5 || !kt_pii_word(g[-1]);
    }
    return false;
}

static bool context_byte(unsigned char c)
{
    return kt_pii_alpha(c) || c >= 0x80;
}

bool kt_pii_context(const struct kt_pii_view *v, size_t at, size_t reach, const char *const *words)
{
    size_t low = at > reach ? at - reach : 0;
    for (size_t end = at; end > low;) {
        size_t start = end;
        while (start > low && context_byte((unsigned char)v->data[start - 1]))
            start--;
        bool cut = start == low && low > 0 && context_byte((unsigned char)v->data[low - 1]);
        for (const char *const *w = words; start < end && !cut && *w; w++)
            if (strlen(*w) == end - start && strncasecmp(*w, v->data + start, end - start) == 0)
                return true;
        end = start < end ? start : end - 1;
    }
    return false;
}
