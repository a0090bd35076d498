/* SPDX-License-Identifier: Apache-2.0 */
/* Hardware addresses: "00:1a:2b:3c:4d:5e", "00-1A-...", "001a.2b3c.4d5e". All zeros and all ones are
 * nobody's.
 */
#include "policyengine/detect/kt_pii_text.h"

#include <string.h>

#define WRITTEN_MAX 17u /* bytes */

/* Reads 12 hex digits in groups of `size`; MORE where the view ends on the way. */
static enum kt_pii_answer pairs(const struct kt_pii_view *v, size_t at, unsigned size, const char *seps,
                                char hex[13], size_t *end)
{
    char sep = 0;
    size_t i = at;
    for (unsigned n = 0; n < 12; n++, i++) {
        if (i >= v->len)
            return v->final ? KT_PII_NO : KT_PII_MORE;
        if (n > 0 && n % size == 0) {
            char c = v->data[i++];
            if (!c || !strchr(seps, c) || (sep && c != sep))
                return KT_PII_NO;
            sep = c;
            if (i >= v->len)
                return v->final ? KT_PII_NO : KT_PII_MORE;
        }
        if (!kt_pii_hex((unsigned char)v->data[i]))
            return KT_PII_NO;
        hex[n] = kt_pii_upper(v->data[i]);
    }
    hex[12] = '\0';
    *end = i;
    return KT_PII_YES;
}

/* Behind it: no word, no further group. */
static enum kt_pii_answer behind(const struct kt_pii_view *v, size_t end, char sep)
{
    enum kt_pii_answer a = kt_pii_ends_word(v, end, true);
    if (a != KT_PII_YES || end >= v->len || v->data[end] != sep)
        return a;
    if (end + 1 >= v->len)
        return v->final ? KT_PII_YES : KT_PII_MORE;
    return kt_pii_hex((unsigned char)v->data[end + 1]) ? KT_PII_NO : KT_PII_YES;
}

static enum kt_pii_answer mac_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    char hex[13] = "";
    if (v->len - at >= WRITTEN_MAX && v->data[at + 2] != ':' && v->data[at + 2] != '-' &&
        v->data[at + 4] != '.')
        return KT_PII_NO; /* neither form, and nothing that is still to come makes it one */
    if (!kt_pii_starts(v, at) ||
        (at > 0 && at > v->floor && v->data[at - 1] && strchr(":-.", v->data[at - 1])))
        return KT_PII_NO;
    enum kt_pii_answer a = pairs(v, at, 2, ":-", hex, end);
    char sep = a == KT_PII_YES ? v->data[at + 2] : '.';
    if (a == KT_PII_NO)
        a = pairs(v, at, 4, ".", hex, end);
    if (a != KT_PII_YES)
        return a;
    if (strcmp(hex, "000000000000") == 0 || strcmp(hex, "FFFFFFFFFFFF") == 0)
        return KT_PII_NO;
    bool digits_only = strspn(hex, "0123456789") == 12;
    if (digits_only && sep != ':' && !kt_pii_context(v, at, 40, KT_PII_W_MAC))
        return KT_PII_NO;
    *start = at;
    return behind(v, *end, sep);
}

const struct kt_pii_kind kt_pii_mac = {.label = "mac",
                                       .name = "MAC",
                                       .also = " mac_address ",
                                       .help = "hardware addresses of network cards",
                                       .starts = KT_PII_AT_DIGIT | KT_PII_AT_LETTER,
                                       .words = KT_PII_LEN(2, 2) | KT_PII_LEN(4, 4),
                                       .behind = ":-.",
                                       .behind_words = true,
                                       .match = mac_match};
