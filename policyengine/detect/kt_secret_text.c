/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_secret_rule.h"

#include <math.h>
#include <string.h>

#define LOOKED_AT 256u /* of a value, by the checks that are not linear */

const uint16_t kt_secret_classes[256] = {['0' ... '9'] = KT_CH_DIGIT,  ['a' ... 'f'] = KT_CH_HEX_LOW,
                                         ['A' ... 'F'] = KT_CH_HEX_UP, ['g' ... 'z'] = KT_CH_LOWER,
                                         ['G' ... 'Z'] = KT_CH_UPPER,  ['_'] = KT_CH_UNDER,
                                         ['-'] = KT_CH_DASH,           ['.'] = KT_CH_DOT,
                                         ['+'] = KT_CH_BASE64,         ['/'] = KT_CH_BASE64,
                                         ['='] = KT_CH_EQUAL,          ['~'] = KT_CH_OTHER,
                                         ['%'] = KT_CH_OTHER};

static unsigned class_of(char name)
{
    switch (name) {
    case 'd':
        return KT_CH_DIGIT;
    case 'h':
        return KT_CH_DIGIT | KT_CH_HEX_LOW;
    case 'H':
        return KT_CH_DIGIT | KT_CH_HEX_LOW | KT_CH_HEX_UP;
    case 'l':
        return KT_CH_DIGIT | KT_CH_HEX_LOW | KT_CH_LOWER;
    case 'u':
        return KT_CH_DIGIT | KT_CH_HEX_UP | KT_CH_UPPER;
    case 'a':
        return KT_CH_ALNUM;
    case 'w':
        return KT_CH_ALNUM | KT_CH_UNDER;
    case 'k':
        return KT_CH_ALNUM | KT_CH_UNDER | KT_CH_DASH;
    case 'j':
        return KT_CH_ALNUM | KT_CH_UNDER | KT_CH_DASH | KT_CH_DOT;
    case 'b':
        return KT_CH_ALNUM | KT_CH_BASE64;
    case 'B':
        return KT_CH_ALNUM | KT_CH_BASE64 | KT_CH_EQUAL;
    case 'e':
        return KT_CH_ALNUM | KT_CH_BASE64 | KT_CH_EQUAL | KT_CH_DOT | KT_CH_OTHER | KT_CH_UNDER | KT_CH_DASH;
    default:
        return 0;
    }
}

static unsigned number(const char **at)
{
    unsigned n = 0;
    for (; **at >= '0' && **at <= '9'; (*at)++)
        n = n * 10 + (unsigned)(**at - '0');
    return n;
}

/* One item of a shape. Returns what is behind it. */
static const char *item(const char *shape, unsigned *classes, char *literal, unsigned *low, unsigned *high)
{
    *classes = 0;
    *literal = *shape++;
    if (*literal == '\\')
        *classes = class_of(*shape++);
    *low = *high = 1;
    if (*shape != '{')
        return shape;
    shape++;
    *low = *high = number(&shape);
    if (*shape == ',') {
        shape++;
        *high = *shape == '}' ? KT_SECRET_MAX : number(&shape);
    }
    return shape + 1;
}

enum kt_secret_answer kt_secret_shape(const struct kt_secret_view *v, size_t at, const char *shape,
                                      size_t *end)
{
    while (*shape && *shape != '|') {
        unsigned classes, low, high, n = 0;
        char literal;
        shape = item(shape, &classes, &literal, &low, &high);
        while (n < high && at + n < v->len &&
               (classes ? kt_secret_is(v->data[at + n], classes) : v->data[at + n] == literal))
            n++;
        if (n < high && at + n == v->len && !v->final)
            return KT_SECRET_MORE;
        if (n < low)
            return KT_SECRET_NO;
        at += n;
    }
    if (at == v->len && !v->final)
        return KT_SECRET_MORE;
    if (at < v->len && kt_secret_is(v->data[at], KT_CH_ALNUM))
        return KT_SECRET_NO;
    *end = at;
    return KT_SECRET_YES;
}

static bool hex_digit(char c)
{
    return kt_secret_is(c, KT_CH_DIGIT | KT_CH_HEX_LOW | KT_CH_HEX_UP);
}

bool kt_secret_starts(const struct kt_secret_view *v, size_t at)
{
    if (at <= v->floor || !kt_secret_is(v->data[at - 1], KT_CH_ALNUM))
        return true;
    const char *p = v->data + at;
    if (at >= 2 && p[-2] == '\\' && strchr("bfnrtv", p[-1]))
        return true;
    bool byte = at >= 3 && (p[-3] == '%' || (at >= 4 && p[-4] == '\\' && p[-3] == 'x'));
    if (byte && hex_digit(p[-2]) && hex_digit(p[-1]))
        return true;
    return at >= 6 && p[-6] == '\\' && p[-5] == 'u' && hex_digit(p[-4]) && hex_digit(p[-3]) &&
           hex_digit(p[-2]) && hex_digit(p[-1]);
}

double kt_secret_entropy(const char *text, size_t len)
{
    unsigned count[256] = {0};
    if (len > LOOKED_AT)
        len = LOOKED_AT;
    for (size_t i = 0; i < len; i++)
        count[(unsigned char)text[i]]++;
    double bits = 0;
    for (unsigned i = 0; i < 256; i++)
        if (count[i])
            bits -= count[i] * log2((double)count[i] / (double)len);
    return len ? bits / (double)len : 0;
}

bool kt_secret_has(const char *text, size_t len, const char *const *words, size_t count)
{
    char low[LOOKED_AT];
    if (len > LOOKED_AT)
        len = LOOKED_AT;
    for (size_t i = 0; i < len; i++)
        low[i] = (char)(kt_secret_is(text[i], KT_CH_LETTER) ? text[i] | 0x20 : text[i]);
    bool has = false;
    for (size_t i = 0; i < count && !has; i++)
        has = memmem(low, len, words[i], strlen(words[i])) != NULL;
    kt_wipe(low, len);
    return has;
}

/* Bytes that go on from the one in front by the same small step: "1234", "aaaa", "abcd". */
static size_t in_rows(const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 2; i < len; i++) {
        int step = text[i] - text[i - 1];
        n += step >= -1 && step <= 1 && step == text[i - 1] - text[i - 2];
    }
    return n;
}

bool kt_secret_placeholder(const char *text, size_t len)
{
    static const char *const anywhere[] = {
        "example", "placeholder", "changeme", "change_me", "change-me", "replace",   "yourown", "yourapi",
        "yourkey", "yoursec",     "yourtok",  "yourpass",  "insert",    "xxxx",      "****",    "....",
        "<",       "${",          "{{",       "$(",        "redacted",  "notreal",   "foobar",  "####",
        "-----",   "_____",       "mysecret", "mytoken",   "mypass",    "_goes_here"};
    /* Short enough to stand in a random value by chance. */
    static const char *const in_short[] = {"your_", "your-",  "my_",   "my-",   "todo",
                                           "fixme", "dummy",  "fake",  "put_",  "_here",
                                           "-here", "sample", "test_", "test-", "goes"};
    if (len > LOOKED_AT)
        len = LOOKED_AT;
    /* "1234", and not "1234567890abcdefghij": who has to write a key that looks like one writes that. */
    bool rows = in_rows(text, len) * 2 > len && (len < 16 || kt_secret_entropy(text, len) < 3.5);
    if (rows || kt_secret_has(text, len, anywhere, KT_COUNT(anywhere)))
        return true;
    return len < 40 && kt_secret_has(text, len, in_short, KT_COUNT(in_short)) &&
           (len < 20 || kt_secret_entropy(text, len) < 4);
}

static bool vowel(char c)
{
    return memchr("aeiouyAEIOUY", c, 12) != NULL;
}

static bool upper(char c)
{
    return kt_secret_is(c, KT_CH_HEX_UP | KT_CH_UPPER);
}

/* A run of letters with vowels where a word has them, small or with a capital in front only. */
static bool word_run(const char *text, size_t len)
{
    size_t vowels = 0, row = 0, longest = 0, capitals = 0;
    for (size_t i = 0; i < len; i++) {
        bool is_vowel = vowel(text[i]);
        vowels += is_vowel;
        row = is_vowel ? 0 : row + 1;
        longest = row > longest ? row : longest;
        capitals += i > 0 && upper(text[i]);
    }
    bool shouted = capitals + 1 == len && upper(text[0]);
    return vowels * 4 >= len && vowels * 3 <= len * 2 && longest <= 3 && (capitals == 0 || shouted);
}

bool kt_secret_jumbled(const char *text, size_t len)
{
    size_t changes = 0, letters = 0;
    for (size_t i = 0; i < len && i < LOOKED_AT; i++) {
        bool is_letter = kt_secret_is(text[i], KT_CH_LETTER);
        letters += is_letter;
        changes += i > 0 && is_letter && kt_secret_is(text[i - 1], KT_CH_LETTER) &&
                   upper(text[i]) != upper(text[i - 1]);
    }
    return letters > 6 && changes * 2 + 1 >= letters;
}

bool kt_secret_wordy(const char *text, size_t len)
{
    size_t in_words = 0, letters = 0;
    if (len > LOOKED_AT)
        len = LOOKED_AT;
    for (size_t i = 0; i < len;) {
        if (!kt_secret_is(text[i], KT_CH_LETTER)) {
            i++;
            continue;
        }
        size_t n = 1;
        while (i + n < len && kt_secret_is(text[i + n], KT_CH_LETTER) &&
               !(upper(text[i + n]) && !upper(text[i + n - 1])))
            n++;
        letters += n;
        if (n >= 3 && word_run(text + i, n))
            in_words += n;
        i += n;
    }
    size_t most = (len - letters) * 7 > len ? 8 : 6; /* digits all over are no text */
    return in_words * 10 >= len * most || (letters > 0 && in_words * 10 >= letters * 9 && letters * 2 > len);
}
