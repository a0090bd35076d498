/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_secret_assign.h"

#include <string.h>

#define NAME_MAX 40u   /* bytes of a name behind the word */
#define CLOSERS_MAX 8u /* quotes, brackets and spaces between name and sign, sign and value */
#define TYPE_MAX 24u
#define RUN_MIN 24u /* of a value that only a space stands in front of */

struct cursor {
    const struct kt_secret_view *v;
    size_t at;
    bool ended; /* looked at the byte behind the view */
};

/* The byte at the cursor plus `ahead`, -1 behind the view. */
static int peek(struct cursor *c, size_t ahead)
{
    if (c->at + ahead < c->v->len)
        return (unsigned char)c->v->data[c->at + ahead];
    c->ended = true;
    return -1;
}

static bool one_of(int c, const char *set)
{
    return c > 0 && strchr(set, c) != NULL;
}

static bool name_byte(int c)
{
    return c >= 0 && kt_secret_is((char)c, KT_CH_ALNUM | KT_CH_UNDER | KT_CH_DASH | KT_CH_DOT);
}

static size_t skip(struct cursor *c, const char *set, size_t most)
{
    size_t n = 0;
    while (n < most && one_of(peek(c, 0), set)) {
        c->at++;
        n++;
    }
    return n;
}

/* `word` in any case, no letter behind it. */
static bool at_word(struct cursor *c, size_t ahead, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i < n; i++) {
        int b = peek(c, ahead + i);
        if (b < 0 || (b | 0x20) != (unsigned char)word[i])
            return false;
    }
    int b = peek(c, ahead + n);
    return b < 0 || !kt_secret_is((char)b, KT_CH_ALNUM | KT_CH_UNDER);
}

static void name_around(const struct kt_secret_view *v, const struct kt_secret_anchor *a,
                        struct kt_secret_assign *out)
{
    size_t low = a->start > KT_SECRET_BEHIND / 2 ? a->start - KT_SECRET_BEHIND / 2 : 0, i = a->start;
    if (low < v->floor)
        low = v->floor;
    while (i > low && name_byte((unsigned char)v->data[i - 1]))
        i--;
    out->name_start = i;
}

/* "my password is ...", in the languages of the detectors. */
static bool skip_is(struct cursor *c)
{
    static const char *const words[] = {
        "is",     "ist", "est", "es",
        "lautet", "was", "e",   "\xe3\xa8"}; /* the last: e with its accent, as at_word reads it */
    for (size_t i = 0; i < KT_COUNT(words); i++)
        if (at_word(c, 0, words[i])) {
            c->at += strlen(words[i]);
            skip(c, ":", 1);
            return skip(c, " ", 2) > 0;
        }
    return false;
}

/* At a space: "... access key is". */
static bool says_it(struct cursor *c)
{
    struct cursor look = *c;
    look.at++;
    bool is = skip_is(&look);
    c->ended = c->ended || look.ended;
    return is;
}

/* The rest of the name; false where it is too long to be one. */
static bool rest_of_name(struct cursor *c, bool loose)
{
    for (size_t n = 0; n < NAME_MAX; n++, c->at++) {
        int b = peek(c, 0);
        if (!name_byte(b) && !(loose && one_of(b, " \t")))
            return true;
        if (b == ' ' && says_it(c))
            return true;
    }
    return !name_byte(peek(c, 0));
}

/* `name="password" value="..."`, {"name":"password","value":"..."} */
static void skip_value_attribute(struct cursor *c)
{
    struct cursor look = *c;
    skip(&look, " ,\t", 3);
    skip(&look, "\\\"'", 2);
    if (at_word(&look, 0, "value")) {
        look.at += 5;
        skip(&look, "\\\"' ", CLOSERS_MAX);
        *c = look;
    }
    c->ended = c->ended || look.ended;
}

/* `variable "password" { default = "..." }` of Terraform, `output "token" { value = "..." }` */
static void skip_block(struct cursor *c)
{
    static const char blanks[] = " \t\r\n";
    struct cursor look = *c;
    if (peek(&look, 0) == '{') {
        look.at++;
        skip(&look, blanks, 16);
        if (at_word(&look, 0, "type")) {
            look.at += 4;
            skip(&look, " \t=", CLOSERS_MAX);
            for (size_t n = 0; n < TYPE_MAX && name_byte(peek(&look, 0)); n++)
                look.at++;
            skip(&look, blanks, 16);
        }
        size_t n = at_word(&look, 0, "default") ? 7 : at_word(&look, 0, "value") ? 5 : 0;
        look.at += n;
        skip(&look, " \t", CLOSERS_MAX);
        if (n && peek(&look, 0) == '=')
            *c = look;
    }
    c->ended = c->ended || look.ended;
}

/* `: str = `, `: Option<String> =` */
static void skip_type(struct cursor *c)
{
    struct cursor look = *c;
    skip(&look, " ", 2);
    size_t n = 0;
    while (n < TYPE_MAX && (name_byte(peek(&look, 0)) || one_of(peek(&look, 0), "&[]<>*?"))) {
        look.at++;
        n++;
    }
    skip(&look, " ", 2);
    if (n > 0 && n < TYPE_MAX && peek(&look, 0) == '=' && one_of(peek(&look, 1), " \"'")) {
        look.at++;
        *c = look;
    }
    c->ended = c->ended || look.ended;
}

/* A name that a command line, a Dockerfile or .netrc gives a value by a space. */
static bool space_is_enough(const struct kt_secret_view *v, const struct kt_secret_assign *out)
{
    size_t i = out->name_start, low = i > KT_SECRET_BEHIND / 2 ? i - KT_SECRET_BEHIND / 2 : 0;
    if (low < v->floor)
        low = v->floor;
    if (kt_secret_is(v->data[i], KT_CH_DASH))
        return true; /* the name begins with the dashes of an option */
    if (i - low >= 4 && (memcmp(v->data + i - 4, "ENV ", 4) == 0 || memcmp(v->data + i - 4, "ARG ", 4) == 0))
        return true;
    for (size_t k = low; k + 6 <= i; k++)
        if (memcmp(v->data + k, "login ", 6) == 0)
            return true;
    return false;
}

enum sign { NO_SIGN, SIGN, CALL_SIGN, IS_SIGN, SPACE_SIGN };

/* `password 'x'` of Groovy and Ruby, "setx TOKEN \"x\"": from behind the name to the quote. */
static bool quoted_follows(struct cursor *c, const struct kt_secret_assign *out, size_t from)
{
    size_t n = 0;
    if (out->name_end - out->name_start < 5)
        return false; /* "pass \"-v\" on", "key 'Enter'" */
    while (from + n < c->at && one_of(c->v->data[from + n], " \t"))
        n++;
    if (n == 0 || n > 2 || from + n >= c->at || !one_of(c->v->data[from + n], "\"'"))
        return false;
    c->at = from + n;
    return true;
}

/* "use token 7c6b0f...": a long run of letters and digits. */
static bool run_follows(struct cursor *c)
{
    size_t n = 0, digits = 0, letters = 0;
    for (; n < RUN_MIN && kt_secret_is((char)peek(c, n), KT_CH_ALNUM | KT_CH_UNDER | KT_CH_DASH); n++) {
        digits += kt_secret_is((char)peek(c, n), KT_CH_DIGIT);
        letters += kt_secret_is((char)peek(c, n), KT_CH_LETTER);
    }
    return n == RUN_MIN && digits > 2 && letters > 2;
}

static enum sign skip_sign(struct cursor *c, bool spaced, bool space_counts)
{
    int b = peek(c, 0);
    if (b == '=' || b == ':') {
        c->at++;
        skip(c, "=:>~", 2);
        if (b == ':')
            skip_type(c);
        return SIGN;
    }
    if (b == '>' || (b == '|' && peek(c, 1) == '|') || (b == '?' && one_of(peek(c, 1), "=?")) ||
        (b == '<' && peek(c, 1) == '-') || (b == '-' && peek(c, 1) == '>')) {
        c->at += b == '>' ? 1 : 2;
        return SIGN;
    }
    if (b == '%' && peek(c, 1) == '3' && one_of(peek(c, 2), "Dd")) {
        c->at += 3;
        return SIGN;
    }
    if (b == ',' || b == '(') {
        c->at++;
        return CALL_SIGN;
    }
    if (!spaced)
        return NO_SIGN;
    if (skip_is(c))
        return IS_SIGN;
    return space_counts ? SPACE_SIGN : run_follows(c) ? IS_SIGN : NO_SIGN;
}

/* "Bearer ", "Basic " and the like in front of the value proper. */
static void skip_scheme(struct cursor *c)
{
    static const char *const schemes[] = {"bearer",    "basic", "token", "apikey",
                                          "negotiate", "bot",   "key",   "geniekey"};
    for (size_t i = 0; i < KT_COUNT(schemes); i++) {
        size_t n = strlen(schemes[i]);
        if (at_word(c, 0, schemes[i]) && one_of(peek(c, n), " ")) {
            c->at += n;
            skip(c, " ", 2);
            skip(c, "\\\"'", 2);
            return;
        }
    }
}

/* Ends a value without quotes. */
static const bool ends_bare[256] = {
    [0 ... ' '] = true, ['"'] = true, ['\''] = true, ['`'] = true, [','] = true,  [';'] = true,
    ['<'] = true,       ['>'] = true, ['('] = true,  [')'] = true, ['{'] = true,  ['}'] = true,
    ['['] = true,       [']'] = true, ['&'] = true,  ['|'] = true, ['\\'] = true, [0x7f] = true};

/* "&" ends a value where another member of a query follows ("&x=1"), and is part of it elsewhere. */
static bool goes_on(struct cursor *c)
{
    size_t n = 1;
    if (peek(c, 0) != '&')
        return false;
    while (n < NAME_MAX && name_byte(peek(c, n)))
        n++;
    int b = peek(c, n);
    return n > 1 && b != '=' && b != ';' && b >= 0 ? true : n > 1 && b < 0;
}

/* The value; false where it is too long. */
static bool read_value(struct cursor *c, size_t most, struct kt_secret_assign *out)
{
    if (one_of(peek(c, 0), "brufL@") && one_of(peek(c, 1), "\"'"))
        c->at++;
    bool escaped = peek(c, 0) == '\\' && one_of(peek(c, 1), "\"'");
    if (escaped)
        c->at++;
    int quote = one_of(peek(c, 0), "\"'`") ? peek(c, 0) : 0;
    if (quote)
        skip(c, (const char[]){(char)quote, 0}, 3);
    skip_scheme(c);
    out->quoted = quote != 0;
    out->start = c->at;
    for (;; c->at++) {
        int b = peek(c, 0);
        if (quote ? b < 0 || b == quote || b == '\n' || (escaped && b == '\\')
                  : b < 0 || (ends_bare[b] && !goes_on(c)))
            break;
        if (c->at - out->start > most || (quote && b == ' '))
            return false;
    }
    out->end = c->at;
    out->call = !quote && one_of(peek(c, 0), "([{");
    return true;
}

static bool assigned(struct cursor *c, bool loose, bool alone, size_t most, struct kt_secret_assign *out)
{
    if (!rest_of_name(c, loose))
        return false;
    out->name_end = c->at;
    size_t before = c->at;
    skip(c, "\"'`])\\ \t", CLOSERS_MAX);
    bool spaced = c->at > before || (loose && one_of(c->v->data[c->at - 1], " \t"));
    skip_value_attribute(c);
    skip_block(c);
    enum sign sign = quoted_follows(c, out, before)
                         ? SPACE_SIGN
                         : skip_sign(c, spaced, alone || space_is_enough(c->v, out));
    if (sign == NO_SIGN)
        return false;
    skip(c, " \t", CLOSERS_MAX);
    if (sign == CALL_SIGN && !one_of(peek(c, 0), "\"'\\`"))
        return false;
    out->said = sign == IS_SIGN;
    if (!read_value(c, most, out))
        return false;
    while (!out->quoted && out->end > out->start && one_of(c->v->data[out->end - 1], ".:"))
        out->end--; /* of the sentence */
    return out->end > out->start;
}

enum kt_secret_answer kt_secret_assigned(const struct kt_secret_view *v, const struct kt_secret_anchor *a,
                                         bool loose, bool alone, size_t most, struct kt_secret_assign *out)
{
    struct cursor c = {v, a->end, false};
    memset(out, 0, sizeof *out);
    name_around(v, a, out);
    bool yes = assigned(&c, loose, alone, most, out);
    if (c.ended && !v->final)
        return KT_SECRET_MORE;
    return yes ? KT_SECRET_YES : KT_SECRET_NO;
}
