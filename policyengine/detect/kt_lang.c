/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_lang.h"
#include "policyengine/detect/kt_lang_chars.h"
#include "policyengine/detect/kt_lang_words.h"

#include <math.h>
#include <string.h>

#define PIECES 8u      /* of a text that is longer than the sample */
#define SHARE_MIN 0.65 /* of the letters must be of one script */
#define FLOOR 0.20     /* below this confidence the language is unknown */
#define ENDING_WEIGHT 0.3
#define LETTER_WEIGHT 0.3
#define ARTICLE_WEIGHT 0.6
#define SEVERAL 0.8
#define NEAR 0.55  /* of the best score: a language that cannot be told from the best one ... */
#define NEARER 0.7 /* ... nor one that is no further behind than this */

struct tally {
    const struct kt_lang_table *words;
    double script[KT_SCRIPTS]; /* letters; one of an ideographic script weighs three */
    double score[KT_LANG_WORDED];
    double shared[KT_LANG_WORDED];  /* where it is enough to be one of several */
    double count;                   /* words of prose */
    unsigned persian, urdu, arabic; /* letters that only these have */
    char word[KT_LANG_WORD + 8];    /* the word that is being read, lower case */
    size_t len;
    bool too_long, prose;
    bool dot; /* a full stop directly in front: "example.com" is no prose */
};

static void spread(struct tally *t, uint32_t langs, double weight)
{
    int n = __builtin_popcount(langs);
    double part = weight / n, of_group = weight / sqrt((double)n);
    for (; langs; langs &= langs - 1) {
        t->score[__builtin_ctz(langs)] += part;
        t->shared[__builtin_ctz(langs)] += of_group;
    }
}

/* An ending is looked up as "-ung". */
static uint32_t ending(const struct tally *t)
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

/* "dell'ufficio": the article, and the word behind it. */
static bool elided(struct tally *t)
{
    const char *mark = memchr(t->word, '\'', t->len);
    size_t n = mark ? (size_t)(mark - t->word) + 1 : 0;
    uint32_t article = n > 1 ? kt_lang_word(t->words, t->word, n) : 0;
    if (!article)
        return false;
    uint32_t rest = kt_lang_word(t->words, t->word + n, t->len - n);
    spread(t, article, ARTICLE_WEIGHT);
    if (rest)
        spread(t, rest, 1 - ARTICLE_WEIGHT);
    return true;
}

static void word_ends(struct tally *t)
{
    if (t->len > 0 && t->prose) {
        t->count++;
        uint32_t langs = t->too_long ? 0 : kt_lang_word(t->words, t->word, t->len);
        if (langs)
            spread(t, langs, 1);
        else if (!t->too_long && !elided(t) && t->len >= 5 && (langs = ending(t)) != 0)
            spread(t, langs, ENDING_WEIGHT);
    }
    t->len = 0;
    t->too_long = false;
    t->prose = true;
}

static void mark_letter(struct tally *t, uint32_t cp)
{
    uint32_t langs = kt_lang_letter(cp);
    if (langs)
        spread(t, langs, LETTER_WEIGHT);
}

static void arabic_letter(struct tally *t, uint32_t cp)
{
    t->urdu += cp == 0x679 || cp == 0x688 || cp == 0x691 || cp == 0x6d2 || cp == 0x6ba || cp == 0x6be;
    t->persian += cp == 0x67e || cp == 0x686 || cp == 0x698 || cp == 0x6af || cp == 0x6a9 || cp == 0x6cc;
    t->arabic += cp == 0x643 || cp == 0x64a || cp == 0x629 || cp == 0x649 || cp == 0x623 || cp == 0x625;
}

static void put_letter(struct tally *t, uint32_t cp)
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

static void put_char(struct tally *t, uint32_t cp)
{
    enum kt_script s = kt_lang_script(cp);
    if (s == KT_SCRIPTS) {
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

static void read_piece(struct tally *t, const char *text, size_t len)
{
    bool code = false;
    t->prose = true;
    for (size_t i = 0; i < len;) {
        uint32_t cp = 0;
        if (fence(text + i, len - i)) {
            code = !code;
            i += 3;
            word_ends(t);
            continue;
        }
        i += decode((const unsigned char *)text + i, len - i, &cp);
        if (!code)
            put_char(t, cp);
    }
    word_ends(t);
}

static void read_sample(struct tally *t, const char *text, size_t len)
{
    if (len <= KT_LANG_SAMPLE) {
        read_piece(t, text, len);
        return;
    }
    size_t piece = KT_LANG_SAMPLE / PIECES;
    for (size_t i = 0; i < PIECES; i++)
        read_piece(t, text + (len - piece) / (PIECES - 1) * i, piece);
}

/* How much `letters` of a script prove: a few are as good as a text, two are not. */
static double plenty(double n)
{
    return n / (n + 3);
}

/* The language of a script that one language has, or that letters tell. NULL: words must. */
static const char *by_script(const struct tally *t, enum kt_script s)
{
    switch (s) {
    case KT_S_GREEK:
        return "el";
    case KT_S_HEBREW:
        return "he";
    case KT_S_DEVANAGARI:
        return "hi";
    case KT_S_THAI:
        return "th";
    case KT_S_HANGUL:
        return "ko";
    case KT_S_HAN:
        return t->script[KT_S_KANA] * 10 > t->script[KT_S_HAN] ? "ja" : "zh";
    case KT_S_ARABIC:
        if (t->urdu * 40 > t->script[KT_S_ARABIC])
            return "ur";
        return t->persian > 2 * t->arabic && t->persian ? "fa" : "ar";
    default:
        return NULL;
    }
}

static bool of_script(unsigned lang, bool cyrillic)
{
    return (lang == KT_LANG_ru || lang == KT_LANG_uk || lang == KT_LANG_bg) == cyrillic;
}

/* `few`: a score of so much is worth half. */
static double sureness(const struct tally *t, double best, double second, double few)
{
    if (best < 1.2 || t->count < 2)
        return 0;
    double density = best / (0.16 * t->count), margin = (best - second) / best;
    double enough = best / (best + few), clear = margin * 3;
    return enough * (density < 1 ? density : 1) * (clear < 1 ? clear : 1);
}

static double by_words(const struct tally *t, bool cyrillic, const char **code)
{
    double best = 0, second = 0;
    for (unsigned i = 0; i < KT_LANG_WORDED; i++) {
        if (!of_script(i, cyrillic))
            continue;
        if (t->score[i] > best) {
            second = best;
            best = t->score[i];
            *code = kt_lang_code((enum kt_lang_id)i);
        } else if (t->score[i] > second) {
            second = t->score[i];
        }
    }
    return sureness(t, best, second, 1);
}

/* The script that most letters are of, with its share of all letters and their number. False: there is none.
 */
static bool main_script(const struct tally *t, enum kt_script *top, double *share, double *letters)
{
    double all = 0;
    *top = KT_S_LATIN;
    for (unsigned s = 0; s < KT_SCRIPTS; s++) {
        all += t->script[s];
        if (t->script[s] > t->script[*top])
            *top = (enum kt_script)s;
    }
    if (*top == KT_S_KANA)
        *top = KT_S_HAN;
    *letters = t->script[*top] + (*top == KT_S_HAN ? t->script[KT_S_KANA] : 0);
    *share = all > 0 ? *letters / all : 0;
    return all > 0 && *share >= SHARE_MIN;
}

kt_result kt_lang_detect(const char *text, size_t len, char out[3], double *confidence)
{
    struct tally t = {.words = kt_lang_words()};
    enum kt_script top;
    double share, letters;
    memset(out, 0, 3);
    *confidence = 0;
    KT_ENSURE(t.words, KT_ERR_MEMORY);
    read_sample(&t, text, len);
    if (!main_script(&t, &top, &share, &letters))
        return kt_ok();
    const char *code = by_script(&t, top);
    double sure = code ? plenty(letters) * share : 0;
    if (top == KT_S_LATIN || top == KT_S_CYRILLIC)
        sure = by_words(&t, top == KT_S_CYRILLIC, &code) * share;
    if (!code || sure < FLOOR)
        return kt_ok();
    memcpy(out, code, 2);
    *confidence = sure;
    return kt_ok();
}

static void add_code(struct kt_langs *g, const char *code)
{
    if (g->count < KT_COUNT(g->codes))
        memcpy(g->codes[g->count++], code, 3);
}

/* The languages that the words may be of, the likeliest first. */
static double near_best(const struct tally *t, bool cyrillic, struct kt_langs *g)
{
    double best = 0, outside = 0;
    uint32_t in = 0;
    for (unsigned i = 0; i < KT_LANG_WORDED; i++)
        best = of_script(i, cyrillic) && t->shared[i] > best ? t->shared[i] : best;
    for (unsigned i = 0; i < KT_LANG_WORDED; i++) {
        bool near = t->shared[i] >= NEAR * best || best - t->shared[i] < NEARER;
        if (of_script(i, cyrillic) && t->shared[i] > 0 && near)
            in |= 1u << i;
        else if (of_script(i, cyrillic) && t->shared[i] > outside)
            outside = t->shared[i];
    }
    while (in && g->count < KT_COUNT(g->codes)) {
        unsigned top = (unsigned)__builtin_ctz(in);
        for (unsigned i = top + 1; i < KT_LANG_WORDED; i++)
            top = in >> i & 1 && t->shared[i] > t->shared[top] ? i : top;
        add_code(g, kt_lang_code((enum kt_lang_id)top));
        in &= ~(1u << top);
    }
    return in ? 0 : sureness(t, best, outside, SEVERAL);
}

kt_result kt_lang_guess(const char *text, size_t len, struct kt_langs *out)
{
    struct tally t = {.words = kt_lang_words()};
    enum kt_script top;
    double share, letters;
    *out = (struct kt_langs){.count = 0};
    KT_ENSURE(t.words, KT_ERR_MEMORY);
    read_sample(&t, text, len);
    if (!main_script(&t, &top, &share, &letters))
        return kt_ok();
    const char *code = by_script(&t, top);
    double sure = 0;
    if (code) {
        add_code(out, code);
        sure = plenty(letters);
    } else if (top == KT_S_LATIN || top == KT_S_CYRILLIC) {
        sure = near_best(&t, top == KT_S_CYRILLIC, out);
    }
    if (top == KT_S_CYRILLIC && sure < plenty(letters)) { /* which one is open, but none of another script */
        for (unsigned i = 0; i < KT_LANG_WORDED; i++)
            if (of_script(i, true) && !kt_lang_guessed(out, kt_lang_code((enum kt_lang_id)i)))
                add_code(out, kt_lang_code((enum kt_lang_id)i));
        sure = plenty(letters);
    }
    out->confidence = out->count ? sure * share : 0;
    out->count = out->confidence < FLOOR ? 0 : out->count;
    return kt_ok();
}

bool kt_lang_guessed(const struct kt_langs *g, const char *code)
{
    for (size_t i = 0; i < g->count; i++)
        if (memcmp(g->codes[i], code, 2) == 0)
            return true;
    return false;
}

static const char known[] =
    "ar bg ca cs da de el en es fa fi fr he hi hr hu id it ja ko nl no pl pt ro ru sk sv th tr "
    "uk ur vi zh";

const char *kt_lang_list(void)
{
    return known;
}

bool kt_lang_known(const char *code)
{
    if (strlen(code) != 2)
        return false;
    for (const char *at = known; *at; at += 2 + (at[2] == ' '))
        if (memcmp(at, code, 2) == 0)
            return true;
    return false;
}
