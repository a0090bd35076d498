/* SPDX-License-Identifier: Apache-2.0 */
/*
 * E-mail addresses, found at their '@'. Local parts may hold Latin, Greek and
 * Cyrillic letters beyond ASCII, domains those of all scripts, and top-level domains again the former: other
 * scripts run into the sentence around the address where no space is written. What people write for machines
 * not to read is in kt_pii_email_spelt.c.
 */
#include "policyengine/detect/kt_pii_email.h"
#include "policyengine/detect/kt_pii_text.h"

#include <string.h>

#define LOCAL_MAX 64u /* RFC 5321 */
#define DOMAIN_MAX 253u
#define LABEL_MAX 63u
_Static_assert(LOCAL_MAX <= KT_PII_BEHIND, "the local part must lie in the view");

/* A two-byte sequence of U+00C0..U+024F without the two signs among them, an accent of its own (U+0300..
 * U+036F: macOS writes u and a diaeresis for one letter), or a Greek or Cyrillic letter. */
static bool letter_pair(unsigned char lead, unsigned char next)
{
    if (lead == 0xcc || lead == 0xcd)
        return (next & 0xc0) == 0x80 && (lead == 0xcc || next <= 0xaf);
    if (lead >= 0xce && lead <= 0xd4)
        return (next & 0xc0) == 0x80;
    return lead >= 0xc3 && lead <= 0xc9 && (next & 0xc0) == 0x80 &&
           !(lead == 0xc3 && (next == 0x97 || next == 0xb7));
}

static bool local_byte(unsigned char c)
{
    return kt_pii_word(c) || c == '.' || c == '-' || c == '+' || c == '%' || c == '\'';
}

size_t kt_pii_email_local(const struct kt_pii_view *v, size_t at)
{
    size_t low = at > LOCAL_MAX ? at - LOCAL_MAX : 0;
    if (low < v->floor)
        low = v->floor;
    size_t i = at;
    while (i > low) {
        unsigned char c = (unsigned char)v->data[i - 1];
        if (local_byte(c))
            i--;
        else if (i >= low + 2 && letter_pair((unsigned char)v->data[i - 2], c))
            i -= 2;
        else
            break;
    }
    return i;
}

bool kt_pii_email_apart(const struct kt_pii_view *v, size_t start, size_t end)
{
    bool letter = false, other = false;
    for (size_t i = start; i < end; i++) {
        unsigned char c = (unsigned char)v->data[i];
        letter |= kt_pii_alpha(c) || c >= 0x80;
        other |= kt_pii_digit(c) || ((c == '.' || c == '_' || c == '+') && i + 1 < end);
    }
    return letter && other;
}

size_t kt_pii_email_reach(const struct kt_pii_view *v, size_t at)
{
    bool space = at > v->floor && v->data[at - 1] == ' ' && kt_pii_email_may_spell(v, at);
    size_t local = kt_pii_email_local(v, at - space);
    return space && !kt_pii_email_apart(v, local, at - 1) ? at : local;
}

static bool local_part(const struct kt_pii_view *v, size_t at, size_t *start)
{
    size_t i = kt_pii_email_local(v, at);
    while (i < at && strchr(".-'%+", v->data[i]))
        i++;
    *start = i;
    return i < at;
}

/* Letters of other scripts: U+0370..U+07FF, and three bytes but for punctuation and forms. */
static size_t other_letter(const struct kt_pii_view *v, size_t at)
{
    const unsigned char *p = (const unsigned char *)v->data + at;
    size_t n = p[0] >= 0xcd && p[0] <= 0xdf ? 2 : p[0] >= 0xe0 && p[0] <= 0xed ? 3 : 0;
    if (n == 0 || v->len - at < n || (p[1] & 0xc0) != 0x80 || (p[n - 1] & 0xc0) != 0x80)
        return 0;
    return p[0] == 0xe2 || (p[0] == 0xe3 && p[1] == 0x80) ? 0 : n;
}

static bool label_byte(const struct kt_pii_view *v, size_t at, size_t *len)
{
    unsigned char c = (unsigned char)v->data[at];
    *len = 1;
    if (kt_pii_digit(c) || kt_pii_alpha(c) || c == '-')
        return true;
    *len = 2;
    if (at + 1 < v->len && letter_pair(c, (unsigned char)v->data[at + 1]))
        return true;
    *len = other_letter(v, at);
    return *len > 0;
}

/* The end of a top-level domain at the start of label [at,end): one in ASCII letters that exists, or an
 * encoded one, or Greek or Cyrillic letters; `at` where it is none. */
static size_t top_level(const struct kt_pii_view *v, size_t at, size_t end)
{
    size_t i = at;
    if (end - at > 4 && kt_pii_same(v->data + at, "xn--", 4))
        return end;
    while (i + 1 < end && (unsigned char)v->data[i] >= 0xce && (unsigned char)v->data[i] <= 0xd4)
        i += 2;
    if (i > at)
        return i == end && i - at >= 4 ? i : at;
    while (i < end && kt_pii_alpha((unsigned char)v->data[i]))
        i++;
    bool ends = i == end || v->data[i] == '-' || (unsigned char)v->data[i] >= 0xe0;
    return ends && i - at >= 2 && kt_pii_email_top_known(v->data + at, i - at) ? i : at;
}

/* Where the label at `i` ends; MORE where the text behind it is needed to know. */
static enum kt_pii_answer label_end(const struct kt_pii_view *v, size_t label, size_t *end)
{
    size_t i = label, n = 0;
    while (i < v->len && i - label <= LABEL_MAX && label_byte(v, i, &n))
        i += n;
    *end = i;
    bool open = i >= v->len || (i + 1 == v->len && v->data[i] == '.');
    return open && !v->final ? KT_PII_MORE : KT_PII_YES;
}

enum kt_pii_answer kt_pii_email_domain(const struct kt_pii_view *v, size_t at, bool words, size_t *end)
{
    size_t i = at, dot = 1;
    *end = 0;
    for (size_t label = at; label - at <= DOMAIN_MAX; label = i + dot) {
        if (label_end(v, label, &i) == KT_PII_MORE)
            return KT_PII_MORE;
        if (i == label || v->data[label] == '-')
            break;
        size_t top = label > at ? top_level(v, label, i) : label;
        if (top > label)
            *end = top;
        enum kt_pii_answer a = kt_pii_email_dot(v, i, words, &dot);
        if (a == KT_PII_MORE)
            return a;
        if (a == KT_PII_NO)
            break;
    }
    return *end ? KT_PII_YES : KT_PII_NO;
}

/* "\"john doe\"@example.com": what is quoted may be any text and has left a stream already, so that the find
 * is the rest; where the local part is unknown, the host still goes. */
static bool quoted_local(const struct kt_pii_view *v, size_t at)
{
    return at > v->floor + 1 && v->data[at - 1] == '"' && kt_pii_alnum((unsigned char)v->data[at - 2]);
}

static enum kt_pii_answer email_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    if (v->data[at] != '@')
        return kt_pii_email_spelt(v, at, start, end);
    if (!local_part(v, at, start) && !quoted_local(v, at))
        return KT_PII_NO;
    if (at - *start == 3 && memcmp(v->data + *start, "git", 3) == 0) /* git@host:path names a repository */
        return KT_PII_NO;
    enum kt_pii_answer a = kt_pii_email_domain(v, at + 1, false, end);
    return a == KT_PII_YES && kt_pii_email_is_code(v, *start, *end) ? KT_PII_NO : a;
}

const struct kt_pii_kind kt_pii_email = {.label = "email",
                                         .name = "EMAIL",
                                         .also = " email_address e-mail mail ",
                                         .help = "e-mail addresses, international domains included",
                                         .starts = KT_PII_AT_MAIL | KT_PII_AT_SIGN,
                                         .match = email_match};
