/* SPDX-License-Identifier: Apache-2.0 */
/*
 * E-mail addresses as people write them for machines not to read: "jane (at) example.org", "jane[at]example
 * [dot]org", "jane at example dot org", "jane arroba example punto com". In brackets the words speak for
 * themselves; without them ("at", "dot") both must be words, and the last label a usual top-level domain.
 */
#include "policyengine/detect/kt_pii_email.h"
#include "policyengine/detect/kt_pii_text.h"

#include <string.h>

/* kt_pii.c knows their first letters. */
static const char *const at_words[] = {"at", "arroba", "arobase", "chiocciola"};
static const char *const dot_words[] = {"dot", "punto", "point", "punkt", "ponto"};

static bool is_one_of(const char *word, size_t len, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(list[i]) == len && kt_pii_same(word, list[i], len))
            return true;
    return false;
}

bool kt_pii_email_at_word(const char *word, size_t len)
{
    return (len == 2 || len > 5) && is_one_of(word, len, at_words, KT_COUNT(at_words));
}

#define WORD_MAX 10u

/* The letters at `at`; 0 where they go on behind the view. */
static enum kt_pii_answer letters(const struct kt_pii_view *v, size_t at, size_t *len)
{
    size_t n = 0;
    while (at + n < v->len && n <= WORD_MAX && kt_pii_alpha((unsigned char)v->data[at + n]))
        n++;
    *len = n;
    return at + n == v->len && n <= WORD_MAX && !v->final ? KT_PII_MORE : KT_PII_YES;
}

static char closing(char open)
{
    return open == '(' ? ')' : open == '[' ? ']' : open == '{' ? '}' : 0;
}

bool kt_pii_email_may_spell(const struct kt_pii_view *v, size_t at)
{
    size_t n = 0;
    if (at == v->len || closing(v->data[at]))
        return true;
    bool cut = letters(v, at, &n) == KT_PII_MORE;
    for (size_t i = 0; i < KT_COUNT(at_words); i++) {
        size_t len = strlen(at_words[i]);
        if ((n == len || (cut && n < len)) && kt_pii_same(v->data + at, at_words[i], n))
            return true;
    }
    return false;
}

/* "(word)" or "(.)" at `at`, with one of the words or the sign in it. *len: its bytes. */
static enum kt_pii_answer bracketed(const struct kt_pii_view *v, size_t at, const char *const *words,
                                    size_t count, char sign, size_t *len)
{
    char close = at < v->len ? closing(v->data[at]) : 0;
    size_t n = 0;
    if (!close)
        return KT_PII_NO;
    if (at + 1 == v->len)
        return v->final ? KT_PII_NO : KT_PII_MORE;
    if (letters(v, at + 1, &n) == KT_PII_MORE)
        return KT_PII_MORE;
    bool is = n == 0 ? v->data[at + 1] == sign : is_one_of(v->data + at + 1, n, words, count);
    size_t end = at + 1 + (n ? n : 1);
    if (!is)
        return KT_PII_NO;
    if (end == v->len)
        return v->final ? KT_PII_NO : KT_PII_MORE;
    *len = end + 1 - at;
    return v->data[end] == close ? KT_PII_YES : KT_PII_NO;
}

/* A space that something stands behind. */
static enum kt_pii_answer space(const struct kt_pii_view *v, size_t at)
{
    if (at < v->len && v->data[at] != ' ')
        return KT_PII_NO;
    if (at + 1 < v->len)
        return KT_PII_YES;
    return v->final ? KT_PII_NO : KT_PII_MORE;
}

/* " dot " */
static enum kt_pii_answer spoken_dot(const struct kt_pii_view *v, size_t at, size_t *len)
{
    size_t n = 0;
    if (letters(v, at + 1, &n) == KT_PII_MORE)
        return KT_PII_MORE;
    if (!is_one_of(v->data + at + 1, n, dot_words, KT_COUNT(dot_words)))
        return KT_PII_NO;
    *len = n + 2;
    return space(v, at + 1 + n);
}

enum kt_pii_answer kt_pii_email_dot(const struct kt_pii_view *v, size_t at, bool words, size_t *len)
{
    *len = 1;
    if (at < v->len && v->data[at] == '.')
        return KT_PII_YES;
    enum kt_pii_answer spaced = words ? space(v, at) : KT_PII_NO;
    if (spaced == KT_PII_MORE)
        return spaced;
    size_t from = at + (spaced == KT_PII_YES);
    enum kt_pii_answer a = bracketed(v, from, dot_words, KT_COUNT(dot_words), '.', len);
    if (a == KT_PII_NO)
        return spaced == KT_PII_YES ? spoken_dot(v, at, len) : KT_PII_NO;
    if (a == KT_PII_MORE || spaced == KT_PII_NO)
        return a;
    *len += 2; /* a space on both sides or on none */
    return space(v, at + *len - 1);
}

static bool usual_top_level(const struct kt_pii_view *v, size_t end)
{
    static const char *const known[] = {"com", "org", "net", "edu", "gov", "info", "biz", "io", "de", "fr",
                                        "es",  "it",  "uk",  "ch",  "eu",  "us",   "nl",  "be", "pt", "pl",
                                        "co",  "at",  "ai",  "dev", "app", "me",   "ca",  "au", "br", "mx"};
    size_t n = 0;
    while (n < end && n <= WORD_MAX && kt_pii_alpha((unsigned char)v->data[end - 1 - n]))
        n++;
    return is_one_of(v->data + end - n, n, known, KT_COUNT(known));
}

/* "jane at example dot com", but not "we met at the dot com". */
static enum kt_pii_answer spoken(const struct kt_pii_view *v, size_t at, size_t local_end, size_t domain,
                                 size_t *end)
{
    static const char *const articles[] = {"the", "a", "an", "this", "that", "our", "your", "my", "el", "la"};
    enum kt_pii_answer a = kt_pii_email_domain(v, domain, true, end);
    if (a != KT_PII_YES)
        return a;
    size_t n = 0;
    while (domain + n < *end && kt_pii_alpha((unsigned char)v->data[domain + n]))
        n++;
    bool dots = memchr(v->data + domain, '.', *end - domain) == NULL; /* "look at example.com" */
    bool named = !is_one_of(v->data + domain, n, articles, KT_COUNT(articles));
    return dots && named && local_end < at && usual_top_level(v, *end) ? a : KT_PII_NO;
}

enum kt_pii_answer kt_pii_email_spelt(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    bool gap = at > v->floor && v->data[at - 1] == ' ';
    size_t local_end = at - gap, len = 0;
    *start = kt_pii_email_local(v, local_end);
    while (*start < local_end && strchr(".-'%+", v->data[*start]))
        ++*start;
    if (*start >= local_end)
        return KT_PII_NO;
    if (gap && !kt_pii_email_apart(v, *start, local_end))
        *start = at;
    enum kt_pii_answer a = KT_PII_YES;
    bool word = kt_pii_alpha((unsigned char)v->data[at]);
    if (word)
        a = letters(v, at, &len);
    else
        a = bracketed(v, at, at_words, KT_COUNT(at_words), '@', &len);
    if (a != KT_PII_YES || (word && !kt_pii_email_at_word(v->data + at, len)))
        return a == KT_PII_MORE ? a : KT_PII_NO;
    a = space(v, at + len);
    if (a == KT_PII_MORE || (a == KT_PII_YES) != gap)
        return a == KT_PII_MORE ? a : KT_PII_NO; /* a space on both sides or on none: "row[at] x.y" is code */
    size_t domain = at + len + gap;
    return word ? spoken(v, at, local_end, domain, end) : kt_pii_email_domain(v, domain, gap, end);
}
