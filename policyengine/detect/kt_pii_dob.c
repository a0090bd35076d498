/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dates of birth: a full date behind a word that says so. Dates are everywhere; only "born on 12/03/1981" and
 * "DOB: March 12, 1981" are somebody's. Behind verbs ("born", "geboren") an old date in words is a biography,
 * unless somebody speaks of himself or of a patient.
 */
#include "policyengine/detect/kt_pii_text.h"

#include <string.h>

#define OLDEST 1900u
#define OLDEST_TOLD 1925u /* of people whom a sentence tells of: biographies are of the dead as a rule */
#define YOUNGEST 2035u
#define SOMEBODY (KT_PII_W_SELF | KT_PII_W_PATIENT | KT_PII_W_IDENTITY)
#define LONGEST_MONTH 14u /* bytes of a name */

/* Month names without accents: their first three letters, in the languages of the context words. */
static const struct month {
    const char *start;
    unsigned number;
} months[] = {
    {"jan", 1},  {"ene", 1},  {"gen", 1},  {"sty", 1},  {"feb", 2},  {"fev", 2},  {"lut", 2},  {"mar", 3},
    {"mae", 3},  {"maa", 3},  {"apr", 4},  {"avr", 4},  {"abr", 4},  {"kwi", 4},  {"may", 5},  {"mai", 5},
    {"mag", 5},  {"mei", 5},  {"maj", 5},  {"jun", 6},  {"jui", 6},  {"giu", 6},  {"cze", 6},  {"jul", 7},
    {"lug", 7},  {"lip", 7},  {"aug", 8},  {"aou", 8},  {"ago", 8},  {"sie", 8},  {"sep", 9},  {"set", 9},
    {"wrz", 9},  {"okt", 10}, {"oct", 10}, {"ott", 10}, {"out", 10}, {"paz", 10}, {"nov", 11}, {"lis", 11},
    {"dez", 12}, {"dec", 12}, {"dic", 12}, {"gru", 12},
};

/* Reads a month's name at *i; MORE where the word goes on behind the view. */
static enum kt_pii_answer month_name(const struct kt_pii_view *v, size_t *i, unsigned *month)
{
    char plain[KT_PII_PLAIN_MAX];
    size_t n = 0;
    while (*i + n < v->len && n <= LONGEST_MONTH) {
        unsigned char c = (unsigned char)v->data[*i + n];
        if (!kt_pii_alpha(c) && c < 0x80)
            break;
        n++;
    }
    if (*i + n == v->len && !v->final && n <= LONGEST_MONTH)
        return KT_PII_MORE;
    if (n < 3 || n > LONGEST_MONTH || kt_pii_plain_word(v->data + *i, n, plain) < 3)
        return KT_PII_NO;
    *month = 0;
    for (size_t m = 0; m < KT_COUNT(months) && !*month; m++)
        if (memcmp(plain, months[m].start, 3) == 0)
            *month = months[m].number;
    *i += n;
    return *month ? KT_PII_YES : KT_PII_NO;
}

static enum kt_pii_answer open_end(const struct kt_pii_view *v, size_t i)
{
    return i >= v->len && !v->final ? KT_PII_MORE : KT_PII_NO;
}

/* Digits at *i, at most `most` of them. */
static enum kt_pii_answer number(const struct kt_pii_view *v, size_t *i, unsigned most, unsigned *value)
{
    unsigned n = 0;
    *value = 0;
    for (; *i < v->len && n <= most && kt_pii_digit((unsigned char)v->data[*i]); n++)
        *value = *value * 10 + (unsigned)(v->data[(*i)++] - '0');
    if (*i >= v->len && !v->final && n <= most)
        return KT_PII_MORE;
    return n > 0 && n <= most ? KT_PII_YES : KT_PII_NO;
}

/* Passes over what stands between the parts of a date: ". ", ", ", " de ", "st ", "-". */
static enum kt_pii_answer between(const struct kt_pii_view *v, size_t *i)
{
    static const char fillers[][4] = {"de", "of", "del", "st", "nd", "rd", "th", "er", "do", "den", "the"};
    for (unsigned parts = 0; parts < 6; parts++) {
        if (*i >= v->len)
            return open_end(v, *i);
        unsigned char c = (unsigned char)v->data[*i];
        if (c == ' ' || c == '.' || c == ',' || c == '-') {
            ++*i;
            continue;
        }
        if (!kt_pii_alpha(c))
            return KT_PII_YES;
        size_t n = 0;
        while (*i + n < v->len && kt_pii_alpha((unsigned char)v->data[*i + n]) && n < 4)
            n++;
        if (*i + n >= v->len && !v->final)
            return KT_PII_MORE;
        bool filler = false;
        char word[4] = "";
        memcpy(word, v->data + *i, n);
        for (size_t f = 0; n < sizeof word && f < KT_COUNT(fillers); f++)
            filler |= memcmp(word, fillers[f], sizeof word) == 0;
        if (!filler)
            return KT_PII_YES;
        *i += n;
    }
    return KT_PII_NO;
}

/* "12 March 1981" or "March 12, 1981". */
static enum kt_pii_answer in_words(const struct kt_pii_view *v, size_t at, size_t *end, unsigned *year)
{
    unsigned day = 0, month = 0;
    size_t i = at;
    bool day_first = kt_pii_digit((unsigned char)v->data[at]);
    for (unsigned step = 0; step < 2; step++) {
        enum kt_pii_answer a = (step == 0) == day_first ? number(v, &i, 2, &day) : month_name(v, &i, &month);
        if (a == KT_PII_YES)
            a = between(v, &i);
        if (a != KT_PII_YES)
            return a;
    }
    size_t start = i;
    enum kt_pii_answer a = number(v, &i, 4, year);
    if (a == KT_PII_NO || !kt_pii_date(day, month) || (a == KT_PII_YES && i - start != 4))
        return KT_PII_NO;
    *end = i;
    return a == KT_PII_YES ? kt_pii_ends_word(v, i, true) : a;
}

static unsigned full_year(unsigned year, unsigned digits)
{
    return digits == 2 ? 1900 + year : year;
}

/* "12/03/1981", "3.12.81", "1981-12-03" */
static enum kt_pii_answer in_digits(const struct kt_pii_view *v, size_t at, size_t *end, unsigned *year)
{
    const struct kt_pii_number *n;
    enum kt_pii_answer a = kt_pii_number(v, at, &n);
    if (a == KT_PII_YES && (n->groups < 3 || n->sep[1] == ' ' || n->sep[1] != n->sep[2] || n->size[1] > 2))
        return KT_PII_NO;
    a = kt_pii_plain_number(v, at, "224|222|124|214|114|112|122|212|422|421|412|411", "/.-", &n, end);
    if (a == KT_PII_NO || (a == KT_PII_MORE && n->groups < 3))
        return a;
    unsigned part[3];
    for (unsigned i = 0, d = 0; i < 3; d += n->size[i++])
        part[i] = kt_pii_value(n->digits + d, n->size[i]);
    bool year_first = n->size[0] == 4;
    *year = year_first ? part[0] : full_year(part[2], n->size[2]);
    unsigned day = year_first ? part[2] : part[0], month = part[1];
    return kt_pii_date(day, month) || kt_pii_date(month, day) ? a : KT_PII_NO;
}

/* "Ich bin am 3. März 1984 geboren", "Ich habe am 3.3. Geburtstag": the word stands behind. */
static enum kt_pii_answer born_behind(const struct kt_pii_view *v, size_t end)
{
    static const char *const words[] = {" geboren", " Geburtstag", " zur Welt",
                                        " geb.",    " jarig",      " urodziny"};
    return kt_pii_one_follows(v, end, words, KT_COUNT(words));
}

/* English "born" within a sentence is a biography's; "Jane Doe, born March 3, 1984" and a line that begins
 * with it are somebody's data. `end`: of the word. */
static bool narrates(const struct kt_pii_view *v, size_t end)
{
    if (end < 4 || !kt_pii_same(v->data + end - 4, "born", 4))
        return false;
    size_t i = end - 4;
    while (i > v->floor && v->data[i - 1] == ' ')
        i--;
    return i > v->floor && v->data[i - 1] && !strchr("\n\r\t,:|\"", v->data[i - 1]);
}

/* "12 345": no day of a month. */
static bool row_of_numbers(const struct kt_pii_view *v, size_t at)
{
    size_t i = at, digits = 0;
    while (i < v->len && kt_pii_digit((unsigned char)v->data[i]) && digits <= 2) {
        i++;
        digits++;
    }
    bool space = i + 1 < v->len && v->data[i] == ' ';
    return digits > 2 || (digits > 0 && space && kt_pii_digit((unsigned char)v->data[i + 1]));
}

static enum kt_pii_answer dob_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    if (!kt_pii_starts_number(v, at))
        return KT_PII_NO;
    unsigned year = 0;
    enum kt_pii_answer a = KT_PII_NO;
    if (kt_pii_digit((unsigned char)v->data[at]))
        a = in_digits(v, at, end, &year);
    bool words = a == KT_PII_NO && !row_of_numbers(v, at);
    if (words)
        a = in_words(v, at, end, &year);
    *start = at;
    if (a != KT_PII_YES || year < OLDEST || year > YOUNGEST)
        return a == KT_PII_MORE ? a : KT_PII_NO;
    if (kt_pii_near(v, at, 40, KT_PII_W_BIRTH) <= 24)
        return KT_PII_YES;
    bool somebody = kt_pii_context(v, at, 48, SOMEBODY);
    size_t born = kt_pii_near(v, at, 32, KT_PII_W_BORN);
    if (born > 16)
        return somebody ? born_behind(v, *end) : KT_PII_NO;
    bool told = words && (year < OLDEST_TOLD || narrates(v, at - born));
    return !told || somebody ? KT_PII_YES : KT_PII_NO;
}

const struct kt_pii_kind kt_pii_dob = {.label = "dob",
                                       .name = "DOB",
                                       .also = " date_of_birth birthdate ",
                                       .help = "dates of birth, where a word says that they are",
                                       .starts = KT_PII_AT_DIGIT | KT_PII_AT_LETTER,
                                       .words = KT_PII_LEN(1, 14),
                                       .digits = 1,
                                       .told = KT_PII_W_BIRTH | KT_PII_W_BORN | SOMEBODY,
                                       .behind = "/-. ,",
                                       .match = dob_match};
