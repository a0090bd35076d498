/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the kinds of personal data have in common: byte classes, word boundaries, context words, grouped
 * numbers. */
#include "policyengine/detect/kt_pii.h"

#ifdef __cplusplus
extern "C" {
#endif

static inline bool kt_pii_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static inline bool kt_pii_alpha(unsigned char c)
{
    c |= 0x20;
    return c >= 'a' && c <= 'z';
}

static inline bool kt_pii_hex(unsigned char c)
{
    return kt_pii_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* A byte that glues to a word. ASCII only: in CJK text a number may follow a letter directly. */
extern const bool kt_pii_word_bytes[256];

static inline bool kt_pii_word(unsigned char c)
{
    return kt_pii_word_bytes[c];
}

/* True in JSON source where data[at] is the letter of an escape, e.g. the 'n' of "\\n". */
bool kt_pii_escaped(const struct kt_pii_view *v, size_t at);

/* True where data[at] may start a value: no word byte in front (in JSON source the letter of an escape does
 * not count). */
bool kt_pii_starts(const struct kt_pii_view *v, size_t at);
/* As kt_pii_starts, for numbers: also no '+' and no "12." or "12-" or "12/" in front. */
bool kt_pii_starts_number(const struct kt_pii_view *v, size_t at);

/* True where data[at] goes on with an account number in print form ("FR76 3000 6000 ..."): its groups look
 * like cards and phones. */
bool kt_pii_in_iban(const struct kt_pii_view *v, size_t at);

/* True where one of `words` (lower case, NULL-terminated) stands as a whole word in the `reach` bytes in
 * front of `at`; reach <= 48. */
bool kt_pii_context(const struct kt_pii_view *v, size_t at, size_t reach, const char *const *words);

/* A number in groups, as far as the limits go: "+44 20 7946 0018", "(209) 555-3364", "4111-1111-1111-1111".
 */
#define KT_PII_GROUPS 9
#define KT_PII_DIGITS 24
struct kt_pii_number {
    size_t start; /* of '+', '(' or the first digit */
    char digits[KT_PII_DIGITS];
    unsigned count; /* digits */
    unsigned groups;
    unsigned size[KT_PII_GROUPS]; /* digits in a group */
    size_t end[KT_PII_GROUPS];    /* first byte behind a group (behind its closing bracket) */
    char sep[KT_PII_GROUPS]; /* in front of a group: ' ' '-' '.' '/' ')' or '(' for "(0)"; sep[0] is '+', '('
                                or 0 */
};

/* YES with `n` filled, NO where there is no digit, MORE where the number may go on behind the view. */
enum kt_pii_answer kt_pii_number(const struct kt_pii_view *v, size_t at, struct kt_pii_number *n);
/* Same separator everywhere behind the first group; 0 where they differ or there is one group only. */
char kt_pii_separator(const struct kt_pii_number *n, unsigned groups);
/* What stands behind a value that ends at `end`: YES = it may end there, NO = a word or number goes on. */
enum kt_pii_answer kt_pii_ends_number(const struct kt_pii_view *v, size_t end, char sep);

#ifdef __cplusplus
}
#endif
