/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_lang.h"
#include "policyengine/detect/kt_lang_tally.h"

#include <string.h>

#define SHARE_MIN 0.65 /* of the letters must be of one script */
#define FLOOR 0.20     /* below this confidence the language is unknown */
#define SEVERAL 0.8
#define NEAR 0.55    /* of the best score: a language that cannot be told from the best one ... */
#define NEARER 0.7   /* ... nor one that is no further behind than this */
#define DIFFERENT 3u /* words of a language in Latin letters: fewer are a phrase or a name */

/* How much `letters` of a script prove: a few are as good as a text, two are not. */
static double plenty(double n)
{
    return n / (n + 3);
}

/* The language of a script that one language has, or that letters tell. NULL: words must. */
static const char *by_script(const struct kt_lang_tally *t, enum kt_script s)
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
static double sureness(const struct kt_lang_tally *t, double best, double second, double few)
{
    if (best < 1.2 || t->count < 2)
        return 0;
    double density = best / (0.16 * t->count), margin = (best - second) / best;
    double enough = best / (best + few), clear = margin * 3;
    return enough * (density < 1 ? density : 1) * (clear < 1 ? clear : 1);
}

/* Of Latin letters, whose words are in names and in code too, a few different words must be met. */
static double phrase(const struct kt_lang_tally *t, unsigned lang, double sure)
{
    return !of_script(lang, true) && t->different[lang] < DIFFERENT ? 0 : sure;
}

static double by_words(const struct kt_lang_tally *t, bool cyrillic, const char **code)
{
    double best = 0, second = 0;
    unsigned top = 0;
    for (unsigned i = 0; i < KT_LANG_WORDED; i++) {
        if (!of_script(i, cyrillic))
            continue;
        if (t->score[i] > best) {
            second = best;
            best = t->score[i];
            top = i;
        } else if (t->score[i] > second) {
            second = t->score[i];
        }
    }
    if (best > 0)
        *code = kt_lang_code((enum kt_lang_id)top);
    return phrase(t, top, sureness(t, best, second, 1));
}

/* The script that most letters are of, with its share of all letters and their number. False: there is none.
 */
static bool main_script(const struct kt_lang_tally *t, enum kt_script *top, double *share, double *letters)
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
    struct kt_lang_tally t = {.words = kt_lang_words()};
    enum kt_script top;
    double share, letters;
    memset(out, 0, 3);
    *confidence = 0;
    KT_ENSURE(t.words, KT_ERR_MEMORY);
    kt_lang_read(&t, text, len);
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

static void add_code(struct kt_lang_set *g, const char *code)
{
    if (g->count < KT_COUNT(g->codes))
        memcpy(g->codes[g->count++], code, 3);
}

/* The languages that the words may be of, the likeliest first. */
static double near_best(const struct kt_lang_tally *t, bool cyrillic, struct kt_lang_set *g)
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
    unsigned likeliest = KT_LANG_WORDED;
    while (in && g->count < KT_COUNT(g->codes)) {
        unsigned top = (unsigned)__builtin_ctz(in);
        for (unsigned i = top + 1; i < KT_LANG_WORDED; i++)
            top = in >> i & 1 && t->shared[i] > t->shared[top] ? i : top;
        likeliest = g->count ? likeliest : top;
        add_code(g, kt_lang_code((enum kt_lang_id)top));
        in &= ~(1u << top);
    }
    return in || !g->count ? 0 : phrase(t, likeliest, sureness(t, best, outside, SEVERAL));
}

static void every_cyrillic(struct kt_lang_set *g)
{
    for (unsigned i = 0; i < KT_LANG_WORDED; i++)
        if (of_script(i, true))
            add_code(g, kt_lang_code((enum kt_lang_id)i));
}

/* Takes the set that was filled behind the last one. */
static void take_set(struct kt_langs *g, double sure)
{
    struct kt_lang_set *s = &g->sets[g->count];
    s->confidence = sure;
    if (s->count && sure >= FLOOR)
        g->count++;
    else
        *s = (struct kt_lang_set){.count = 0};
}

kt_result kt_lang_guess(const char *text, size_t len, struct kt_langs *out)
{
    struct kt_lang_tally t = {.words = kt_lang_words()};
    enum kt_script top;
    double share, letters;
    memset(out, 0, sizeof *out);
    KT_ENSURE(t.words, KT_ERR_MEMORY);
    kt_lang_read(&t, text, len);
    if (!main_script(&t, &top, &share, &letters))
        return kt_ok();
    const char *code = by_script(&t, top);
    bool cyrillic = top == KT_S_CYRILLIC, words = cyrillic || top == KT_S_LATIN;
    double sure = words ? by_words(&t, cyrillic, &code) : plenty(letters);
    if (code)
        add_code(&out->sets[0], code);
    take_set(out, sure * share);
    if (words)
        take_set(out, near_best(&t, cyrillic, &out->sets[out->count]) * share);
    if (cyrillic) { /* which one may be open, but none of another script */
        every_cyrillic(&out->sets[out->count]);
        take_set(out, plenty(letters) * share);
    }
    return kt_ok();
}

bool kt_lang_guessed(const struct kt_lang_set *g, const char *code)
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
