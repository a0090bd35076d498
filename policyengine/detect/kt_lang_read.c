/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_lang.h"
#include "policyengine/detect/kt_lang_tally.h"

#include <math.h>
#include <string.h>

#define PIECES 8u /* of a text that is longer than the sample */
#define ENDING_WEIGHT 0.3
#define LETTER_WEIGHT 0.3
#define ARTICLE_WEIGHT 0.6
#define ONE_LETTER 0.3 /* of a word: "z" and "a" are variables too */
#define TIMES 2u       /* that a word counts in a short text ... */
#define QUOTED_MAX 3u  /* times the letters outside: more is the text itself */
#define PER_WORDS 32.0 /* ... and once more for so many words */

static void spread(struct kt_lang_tally *t, uint32_t langs, double weight)
{
    int n = __builtin_popcount(langs);
    double part = weight / n, of_group = weight / sqrt((double)n);
    for (; langs; langs &= langs - 1) {
        t->score[__builtin_ctz(langs)] += part;
        t->shared[__builtin_ctz(langs)] += of_group;
    }
}

/* An ending is looked up as "-ung". */
static uint32_t ending(const struct kt_lang_tally *t)
{
    char key[12] = "-";
    for (size_t n = t->len > 12 ? 8 : t->len - 3; n >= 2; n--) {
        memcpy(key + 1, t->word + t->len - n, n);
        uint32_t langs = kt_lang_word(t->words, key, n + 1);
        if (langs)
            return langs;
    }
    return 0;
}

/* A word that comes again and again says no more: *first where it is new. */
static bool counts(struct kt_lang_tally *t, bool *first)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < t->len; i++)
        h = (h ^ (unsigned char)t->word[i]) * 16777619u;
    uint8_t *n = &t->met[(h ^ h >> 15) & (KT_LANG_MET - 1)];
    *first = *n == 0;
    if (*n == UINT8_MAX || *n >= TIMES + t->count / PER_WORDS)
        return false;
    ++*n;
    return true;
}

static void differs(struct kt_lang_tally *t, uint32_t langs)
{
    for (; langs; langs &= langs - 1)
        t->different[__builtin_ctz(langs)]++;
}

/* "dell'ufficio": the article, and the word behind it. */
static uint32_t elided(struct kt_lang_tally *t)
{
    const char *mark = memchr(t->word, '\'', t->len);
    size_t n = mark ? (size_t)(mark - t->word) + 1 : 0;
    uint32_t article = n > 1 ? kt_lang_word(t->words, t->word, n) : 0;
    if (!article)
        return 0;
    uint32_t rest = kt_lang_word(t->words, t->word + n, t->len - n);
    spread(t, article, ARTICLE_WEIGHT);
    if (rest)
        spread(t, rest, 1 - ARTICLE_WEIGHT);
    return article;
}

static uint32_t weigh(struct kt_lang_tally *t)
{
    uint32_t langs = kt_lang_word(t->words, t->word, t->len);
    if (langs) {
        spread(t, langs, t->len == 1 ? ONE_LETTER : 1);
        return langs;
    }
    langs = elided(t);
    if (!langs && t->len >= 5 && (langs = ending(t)) != 0)
        spread(t, langs, ENDING_WEIGHT);
    return langs;
}

static void word_ends(struct kt_lang_tally *t)
{
    bool first;
    if (t->len > 0 && t->prose && counts(t, &first)) {
        t->count++;
        uint32_t langs = t->too_long ? 0 : weigh(t);
        if (first && t->len > 1)
            differs(t, langs | t->marked);
    }
    t->len = 0;
    t->marked = 0;
    t->too_long = false;
    t->prose = true;
}

static void mark_letter(struct kt_lang_tally *t, uint32_t cp)
{
    uint32_t langs = kt_lang_letter(cp);
    t->marked |= langs;
    if (langs)
        spread(t, langs, LETTER_WEIGHT);
}

static void arabic_letter(struct kt_lang_tally *t, uint32_t cp)
{
    t->urdu += cp == 0x679 || cp == 0x688 || cp == 0x691 || cp == 0x6d2 || cp == 0x6ba || cp == 0x6be;
    t->persian += cp == 0x67e || cp == 0x686 || cp == 0x698 || cp == 0x6af || cp == 0x6a9 || cp == 0x6cc;
    t->arabic += cp == 0x643 || cp == 0x64a || cp == 0x629 || cp == 0x649 || cp == 0x623 || cp == 0x625;
}

static void put_letter(struct kt_lang_tally *t, uint32_t cp)
{
    if (t->len > KT_LANG_WORD) {
        t->too_long = true;
        return;
    }
    char *o = t->word + t->len;
    size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : 3;
    if (n == 1) {
        o[0] = (char)cp;
    } else if (n == 2) {
        o[0] = (char)(0xc0 | cp >> 6);
        o[1] = (char)(0x80 | (cp & 0x3f));
    } else {
        o[0] = (char)(0xe0 | cp >> 12);
        o[1] = (char)(0x80 | (cp >> 6 & 0x3f));
        o[2] = (char)(0x80 | (cp & 0x3f));
    }
    t->len += n;
}

/* Signs that glue words into code: what touches them is no prose. */
static bool code_sign(uint32_t cp)
{
    return cp < 0x80 && cp && strchr("_{}<>=;\\/@#$%&|~^[]*+0123456789", (int)cp);
}

/* `glued`: a letter follows. */
static void put_char(struct kt_lang_tally *t, uint32_t cp, bool glued)
{
    enum kt_script s = kt_lang_script(cp);
    if (s == KT_SCRIPTS) {
        if (cp == '(' || (cp == '.' && glued)) /* "print(a)", "os.path" */
            t->prose = t->prose && !t->len;
        bool apostrophe = (cp == '\'' || cp == 0x2019) && t->len;
        if (apostrophe)
            put_letter(t, '\'');
        else if (code_sign(cp))
            t->prose = false;
        else if (!(cp >= 0x300 && cp <= 0x36f) && !(cp >= 0x200b && cp <= 0x200f))
            word_ends(t);
        t->dot = cp == '.' || cp == ':';
        if (cp == 0xa1 || cp == 0xbf)
            mark_letter(t, cp);
        return;
    }
    t->prose = t->prose && !t->dot;
    t->dot = false;
    t->script[s] += s == KT_S_HAN || s == KT_S_KANA || s == KT_S_HANGUL ? 3 : 1;
    if (s == KT_S_LATIN || s == KT_S_CYRILLIC) {
        cp = kt_lang_lower(cp);
        put_letter(t, cp);
        if (cp >= 0x80)
            mark_letter(t, cp);
    } else if (s == KT_S_ARABIC) {
        arabic_letter(t, cp);
    }
}

/* The character at `in`; at least one byte is taken. */
static size_t decode(const unsigned char *in, size_t len, uint32_t *cp)
{
    size_t n = in[0] < 0x80 ? 1 : in[0] < 0xe0 ? 2 : in[0] < 0xf0 ? 3 : 4;
    *cp = n == 1 ? in[0] : n == 2 ? in[0] & 0x1fu : n == 3 ? in[0] & 0xfu : in[0] & 7u;
    for (size_t i = 1; i < n; i++) {
        if (i >= len || (in[i] & 0xc0) != 0x80) {
            *cp = 0xfffd;
            return i;
        }
        *cp = *cp << 6 | (in[i] & 0x3fu);
    }
    return n;
}

static bool fence(const char *at, size_t left)
{
    return left >= 3 && memcmp(at, "```", 3) == 0;
}

/* German ends with what English begins
 * with. */
static bool closes(uint32_t open, uint32_t cp)
{
    return (open == '"' && cp == '"') || (open == 0xab && cp == 0xbb) || (open == 0xbb && cp == 0xab) ||
           (open == 0x201c && cp == 0x201d) || (open == 0x201e && (cp == 0x201c || cp == 0x201d));
}

static bool opens(uint32_t cp)
{
    return cp == '"' || cp == 0xab || cp == 0xbb || cp == 0x201c || cp == 0x201e;
}

/* *open: the mark of the quotation that the text is in. True where cp belongs to it; it ends with its line.
 */
static bool quotation(struct kt_lang_tally *t, uint32_t *open, uint32_t cp)
{
    bool in = *open != 0, letter = kt_lang_script(cp) != KT_SCRIPTS;
    t->told += letter && !in;
    t->quoted += letter && in;
    if (in && (closes(*open, cp) || cp == '\n'))
        *open = 0;
    else if (!in && opens(cp))
        *open = cp;
    if (in != (*open != 0) && !t->all)
        word_ends(t);
    return in;
}

#define CODE_LINE_MAX 200u /* bytes */
#define CODE_WORDS_MAX 9u  /* around an assignment: a sentence may have a sign in it */
#define FEW_WORDS 5u       /* of which nobody could tell the language anyway */

static size_t operators_of(struct kt_span line)
{
    static const char *const signs[] = {" = ", " == ", "=>", " && ", " || ", " += ", "->", " < ", " > "};
    size_t n = 0;
    for (size_t k = 0; k < KT_COUNT(signs); k++) {
        size_t len = strlen(signs[k]);
        for (size_t i = 0; i + len <= line.len; i++)
            n += memcmp(line.data + i, signs[k], len) == 0;
    }
    return n;
}

static bool alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* "this.head", "f(x)", "a[i]", "a_b", or ';' at the end: beside an operator it is no sentence. */
static bool has_glue(struct kt_span line)
{
    if (line.data[line.len - 1] == ';')
        return true;
    for (size_t i = 1; i + 1 < line.len; i++)
        if (alpha(line.data[i - 1]) && (line.data[i] == '(' || line.data[i] == '[' ||
                                        (strchr("._", line.data[i]) && alpha(line.data[i + 1]))))
            return true;
    return false;
}

static bool declares(struct kt_span line)
{
    static const char *const words[] = {"var ",    "let ",  "const ", "int ",
                                        "static ", "auto ", "local ", "return "};
    for (size_t i = 0; i < KT_COUNT(words); i++)
        if (line.len > strlen(words[i]) && memcmp(line.data, words[i], strlen(words[i])) == 0)
            return true;
    return memmem(line.data, line.len, " else ", 6) != NULL;
}

static struct kt_span trimmed(struct kt_span line)
{
    while (line.len && memchr(" \t\r", line.data[line.len - 1], 3))
        line.len--;
    while (line.len && memchr(" \t", line.data[0], 2))
        line = kt_span(line.data + 1, line.len - 1);
    return line;
}

/* `for (var i = 0; ...) {`, `var ret = []`: words of programmes are words of languages too (Danish has "var",
 * "for" and "ret"). Prose has lists that end in a semicolon, and a sign now and then, but not two of these.
 */
static bool is_code_line(struct kt_span line)
{
    line = trimmed(line);
    if (line.len < 2 || line.len > CODE_LINE_MAX)
        return false;
    const char *tail = line.data + line.len - 2;
    if (tail[1] == '{' || memcmp(tail, ");", 2) == 0)
        return true;
    size_t words = 1, operators = operators_of(line);
    for (size_t i = 1; i < line.len; i++)
        words += line.data[i] != ' ' && line.data[i - 1] == ' ';
    return operators && words <= CODE_WORDS_MAX &&
           (words <= FEW_WORDS || operators > 1 || has_glue(line) || declares(line));
}

static struct kt_span line_at(const char *text, size_t len)
{
    const char *end = memchr(text, '\n', len);
    return kt_span(text, end ? (size_t)(end - text) : len);
}

static void read_piece(struct kt_lang_tally *t, const char *text, size_t len)
{
    bool code = false;
    uint32_t open = 0;
    t->prose = true;
    for (size_t i = 0; i < len;) {
        uint32_t cp = 0;
        struct kt_span line = i == 0 || text[i - 1] == '\n' ? line_at(text + i, len - i) : kt_span("", 0);
        if (line.len && is_code_line(line)) {
            i += line.len;
            word_ends(t);
            continue;
        }
        if (fence(text + i, len - i)) {
            code = !code;
            i += 3;
            word_ends(t);
            continue;
        }
        i += decode((const unsigned char *)text + i, len - i, &cp);
        if (!code && !(quotation(t, &open, cp) && !t->all))
            put_char(t, cp, i < len && kt_lang_script((unsigned char)text[i]) == KT_S_LATIN);
    }
    word_ends(t);
}

static void read_sample(struct kt_lang_tally *t, const char *text, size_t len)
{
    if (len <= KT_LANG_SAMPLE) {
        read_piece(t, text, len);
        return;
    }
    size_t piece = KT_LANG_SAMPLE / PIECES;
    for (size_t i = 0; i < PIECES; i++)
        read_piece(t, text + (len - piece) / (PIECES - 1) * i, piece);
}

void kt_lang_read(struct kt_lang_tally *t, const char *text, size_t len)
{
    const struct kt_lang_tally none = {.words = t->words, .all = true};
    read_sample(t, text, len);
    if (t->quoted <= QUOTED_MAX * t->told)
        return;
    *t = none;
    read_sample(t, text, len);
}
