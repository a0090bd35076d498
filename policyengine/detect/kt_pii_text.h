/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the kinds of personal data have in common: byte classes, word boundaries, context words, grouped
 * numbers, values of letters and digits. */
#include "policyengine/detect/kt_pii.h"
#include "policyengine/detect/kt_pii_words.h"

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

static inline bool kt_pii_alnum(unsigned char c)
{
    return kt_pii_digit(c) || kt_pii_alpha(c);
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

/* The same letters without regard to case, ASCII only and whatever the locale. */
bool kt_pii_same(const char *a, const char *b, size_t len);

static inline char kt_pii_upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* True where data[at] may start a value: no word byte in front. */
static inline bool kt_pii_starts(const struct kt_pii_view *v, size_t at)
{
    return at <= v->floor || !kt_pii_word((unsigned char)v->data[at - 1]);
}

/* As kt_pii_starts, for numbers: also no '+' and no "12." or "12-" or "12/" in front. */
static inline bool kt_pii_starts_number(const struct kt_pii_view *v, size_t at)
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

/* As kt_pii_starts, for numbers whose form says little: also not in a path, a part number or an anchor
 * ("/1234567890", "AB-1234567890", "#1234567890", "$12", "x=1"), and not behind a decimal point. */
bool kt_pii_stands_alone(const struct kt_pii_view *v, size_t at);
/* A number right behind "=": the value of a variable, of a member of a query. */
static inline bool kt_pii_assigned(const struct kt_pii_view *v, size_t at)
{
    return at > v->floor && v->data[at - 1] == '=';
}

/* What stands behind a value that ends at `end`: YES = it may end there, NO = a word or number goes on. */
enum kt_pii_answer kt_pii_ends_number(const struct kt_pii_view *v, size_t end, char sep);
/* The same for values that are words: neither a word byte nor '@' follows, nor "-word" where `dash` is false.
 */
enum kt_pii_answer kt_pii_ends_word(const struct kt_pii_view *v, size_t end, bool dash);
/* True (YES) where one of these words follows, in letters of either case; MORE: it may, the text is not there
 * yet. */
enum kt_pii_answer kt_pii_one_follows(const struct kt_pii_view *v, size_t end, const char *const *words,
                                      size_t count);

/* True where data[at] goes on with an account number in print form ("FR76 3000 6000 ..."): its groups look
 * like cards and phones. */
bool kt_pii_in_iban(const struct kt_pii_view *v, size_t at);

/* A number and a space stand in front. */
static inline bool kt_pii_row_goes_on(const struct kt_pii_view *v, size_t at)
{
    return at > v->floor + 1 && v->data[at - 1] == ' ' && kt_pii_digit((unsigned char)v->data[at - 2]);
}
/* In a row of numbers ("12 345 678 9012") or an account number no place is a beginning. */
bool kt_pii_in_row(const struct kt_pii_view *v, size_t at);

/* ---- context (kt_pii_words.c) ---- */

#define KT_PII_REACH 80u /* bytes in front of a value whose words count; stays below KT_PII_BEHIND */
#define KT_PII_FAR ((size_t)-1)

/* Distance from `at` back to the end of the nearest word of a class in `classes` that starts within `reach`
 * bytes; KT_PII_FAR where there is none. */
size_t kt_pii_near(const struct kt_pii_view *v, size_t at, size_t reach, uint64_t classes);
static inline bool kt_pii_context(const struct kt_pii_view *v, size_t at, size_t reach, uint64_t classes)
{
    return kt_pii_near(v, at, reach, classes) != KT_PII_FAR;
}

/* True where no word stands within `reach` bytes in front of the place that is asked about, nor over its
 * column. */
bool kt_pii_silent(const struct kt_pii_view *v, size_t at, size_t reach);
/* Classes of all words within KT_PII_TOLD bytes in front of the place, and over its column. */
uint64_t kt_pii_said(const struct kt_pii_view *v, size_t at);

/* ---- numbers (kt_pii_number.c) ---- */

/* A number in groups, as far as the limits go: "+44 20 7946 0018", "(209) 555-3364", "4111-1111-1111-1111".
 * The arrays are of a row of groups, which goes on behind those of the number. */
#define KT_PII_GROUPS 9u
#define KT_PII_DIGITS 24u
struct kt_pii_number {
    size_t start;           /* of '+', '(' or the first digit */
    char lead;              /* '+', '(' or 0 */
    unsigned count, groups; /* digits, groups */
    const char *digits;
    const unsigned char *size; /* digits in a group */
    const size_t *end;         /* first byte behind a group (behind its closing bracket) */
    const char *sep; /* in front of a group behind the first: ' ' '-' '.' '/' ')' or '(' for "(0)" */
};

/* YES with `n` filled, NO where there is no digit, MORE where the number may go on behind the view. Borrowed
 * from the cache of the view, valid until the next call. */
enum kt_pii_answer kt_pii_number(const struct kt_pii_view *v, size_t at, const struct kt_pii_number **n);
/* Same separator everywhere behind the first group; 0 where they differ or there is one group only. */
char kt_pii_separator(const struct kt_pii_number *n, unsigned groups);

/* ---- forms of numbers (kt_pii_forms.c) ---- */

/* True where the first groups have these sizes ("324") and are followed by a boundary or another group. */
bool kt_pii_sizes(const struct kt_pii_number *n, const char *sizes);

/* What a character of a form stands for. */
static inline unsigned kt_pii_form_size(char c)
{
    return c >= 'a' ? (unsigned)(c - 'a') + 10 : (unsigned)(c - '0');
}

/* A number that is the whole of what stands here: starts_number, exactly one of these forms, a boundary
 * behind. `forms`: sizes of groups joined by '|', e.g. "334|10" is written "334|a" (a = 10, b = 11, ...).
 * `seps`: which separators may stand between groups (the same everywhere). YES: *end is set. */
enum kt_pii_answer kt_pii_plain_number(const struct kt_pii_view *v, size_t at, const char *forms,
                                       const char *seps, const struct kt_pii_number **n, size_t *end);

/* ---- values of letters and digits ---- */

#define KT_PII_CHARS 64
struct kt_pii_chars {
    char text[KT_PII_CHARS + 1]; /* as written, without the separators */
    unsigned count, groups;
    bool upper, lower; /* it holds such letters */
    size_t end;
};

/* Reads exactly `want` letters and digits from `at` on, with single separators of `seps` (the same
 * everywhere) between them. */
enum kt_pii_answer kt_pii_chars(const struct kt_pii_view *v, size_t at, unsigned want, const char *seps,
                                struct kt_pii_chars *out);
/* text in capitals */
void kt_pii_capitals(struct kt_pii_chars *c);
/* True where `text` follows a form: 'A' a letter, '9' a digit, '*' either, everything else itself. */
bool kt_pii_form(const char *text, const char *form);

/* ---- the cache of a scan: all kinds ask the same things about one place ---- */

/* A row of groups that is being read: each of them once, whichever numbers begin at it. */
#define KT_PII_RUN 64u
struct kt_pii_run {
    unsigned groups, at, to; /* read; where the number of the cache begins, and ends */
    bool over, more;         /* no group follows; one may, behind the view */
    bool closed;             /* the last one ends in a bracket */
    bool form;               /* a '+' stands for a space */
    size_t end[KT_PII_RUN];
    uint16_t from[KT_PII_RUN + 1]; /* in digits; the last one is where the next group goes */
    unsigned char size[KT_PII_RUN];
    char sep[KT_PII_RUN];
    char digits[KT_PII_RUN * 20 + 1];
};

#define KT_PII_NEAR_WORDS 12
#define KT_PII_SEEN 32u
struct kt_pii_cache {
    size_t number_at, words_at; /* KT_PII_FAR = empty */
    enum kt_pii_answer number_answer;
    struct kt_pii_number number;
    struct kt_pii_run run;
    bool column; /* the place is in one of a table, and these are the words over it */
    uint64_t last, all;
    size_t row;     /* where its row starts in the view: no word in front of it counts */
    size_t letters; /* no letter stands between it and the place */
    unsigned words;
    size_t words_low;          /* words that end behind it are known */
    size_t quiet, quiet_floor; /* the last place in front of which kt_pii_said found nothing; 0 = none */
    struct {
        uint64_t classes;
        size_t start, end;
    } word[KT_PII_NEAR_WORDS];
    struct kt_pii_seen {
        size_t end, start, floor;
        size_t whole; /* where the letters in front of it begin */
        size_t next;  /* where the search goes on */
        uint64_t classes;
    } seen[KT_PII_SEEN]; /* by `end`; 0 = empty */
};
static inline void kt_pii_cache_init(struct kt_pii_cache *c)
{
    c->number_at = c->words_at = c->words_low = KT_PII_FAR;
    c->words = 0;
    c->run.groups = 0;
    c->quiet = c->quiet_floor = 0;
    for (unsigned i = 0; i < KT_PII_SEEN; i++)
        c->seen[i].end = 0;
    c->letters = SIZE_MAX / 2; /* unknown */
    c->column = false;
}

/* ---- check digits (kt_pii_check.c) ---- */

bool kt_pii_luhn(const char *digits, size_t n);
/* Sum of digit times weight; weights are one decimal digit each, or 'a' = 10. */
unsigned kt_pii_weighted(const char *digits, const char *weights);
/* ISO 7064 mod 11,10: the last of n digits checks the others. */
bool kt_pii_mod11_10(const char *digits, size_t n);
/* Remainder of a number of any length. */
unsigned kt_pii_mod(const char *digits, size_t n, unsigned by);
/* A day of the calendar; month 1..12. Leap years are those of 2000. */
bool kt_pii_date(unsigned day, unsigned month);
unsigned kt_pii_value(const char *digits, size_t n);
/* One digit only, again and again. */
bool kt_pii_uniform(const char *digits, size_t n);

#ifdef __cplusplus
}
#endif
