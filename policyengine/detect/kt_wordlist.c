/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_wordlist.h"

#include "policyengine/detect/kt_fold.h"
#include "policyengine/detect/kt_lexicon.h"

#include <stdlib.h>
#include <string.h>

#define PLACES 4096u /* words of all terms; a place is one word of one term */
#define SLOTS (2 * PLACES)

struct word {
    char bytes[KT_WORDLIST_WORD_BYTES];
    uint8_t len, distance;
    uint64_t letters; /* one bit for each letter that occurs: two words that differ in many cannot be near */
    uint16_t first, count; /* its places, in `by_word` */
};

struct kt_wordlist {
    struct word *words; /* distinct */
    uint16_t word_count, place_count;
    uint16_t slots[SLOTS]; /* open addressing: word index + 1 */
    uint16_t *by_word;     /* places grouped by word */
    uint16_t *term_of;     /* by place */
    uint64_t starts[PLACES / 64], ends[PLACES / 64];
    bool fuzzy;
};

/* While it is built: the word of each place. */
struct build {
    struct kt_wordlist *l;
    uint16_t word_of[PLACES];
    unsigned distance;
};

static bool has_bit(const uint64_t *bits, unsigned i)
{
    return bits[i / 64] >> i % 64 & 1;
}

static void set_bit(uint64_t *bits, unsigned i)
{
    bits[i / 64] |= UINT64_C(1) << i % 64;
}

static uint64_t letters_of(const char *w, size_t len)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < len; i++)
        bits |= UINT64_C(1) << ((unsigned char)w[i] & 63);
    return bits;
}

/* Index of the word + 1 in *slot, or the slot where it belongs holds 0. */
static uint16_t *slot_of(struct kt_wordlist *l, const char *w, size_t len)
{
    unsigned i = (unsigned)kt_lexicon_word(w, len) & (SLOTS - 1);
    for (; l->slots[i]; i = (i + 1) & (SLOTS - 1)) {
        const struct word *have = &l->words[l->slots[i] - 1];
        if (have->len == len && memcmp(have->bytes, w, len) == 0)
            break;
    }
    return &l->slots[i];
}

static size_t word_end(const char *text, size_t len, size_t at)
{
    while (at < len && kt_lexicon_letter((unsigned char)text[at]))
        at++;
    return at;
}

static kt_result add_word(struct build *b, const char *w, size_t len, size_t term, bool first,
                          struct kt_error *err)
{
    struct kt_wordlist *l = b->l;
    if (len > KT_WORDLIST_WORD_BYTES || l->place_count == PLACES)
        return kt_fail(err, KT_ERR_USAGE, "term %zu: %s", term + 1,
                       len > KT_WORDLIST_WORD_BYTES ? "a word of it has more than 48 bytes"
                                                    : "the terms have more than 4096 words together");
    uint16_t *slot = slot_of(l, w, len);
    if (!*slot) {
        struct word *new_word = &l->words[l->word_count];
        unsigned most = (unsigned)len / 4;
        *new_word = (struct word){.len = (uint8_t)len, .letters = letters_of(w, len)};
        new_word->distance = (uint8_t)(b->distance < most ? b->distance : most);
        memcpy(new_word->bytes, w, len);
        l->fuzzy = l->fuzzy || new_word->distance > 0;
        *slot = ++l->word_count;
    }
    if (first)
        set_bit(l->starts, l->place_count);
    b->word_of[l->place_count] = (uint16_t)(*slot - 1);
    l->term_of[l->place_count++] = (uint16_t)term;
    return kt_ok();
}

static kt_result add_term(struct build *b, const char *term, size_t index, struct kt_error *err)
{
    char folded[KT_WORDLIST_TERM_BYTES];
    struct kt_fold f = {.out = folded, .cap = sizeof folded};
    size_t len = strlen(term), words = 0;
    if (kt_fold_text(&f, term, len, true) < len)
        return kt_fail(err, KT_ERR_USAGE, "term %zu is longer than %u bytes", index + 1,
                       KT_WORDLIST_TERM_BYTES);
    for (size_t i = 0; i < f.len;) {
        size_t end = word_end(folded, f.len, i);
        if (end > i) {
            KT_GUARD(add_word(b, folded + i, end - i, index, words == 0, err));
            words++;
        }
        i = end > i ? end : i + 1;
    }
    if (words == 0 || words > KT_WORDLIST_TERM_WORDS)
        return kt_fail(err, KT_ERR_USAGE, "term %zu has %s", index + 1,
                       words ? "more than 16 words" : "no word in it; letters or digits are wanted");
    set_bit(b->l->ends, b->l->place_count - 1u);
    return kt_ok();
}

static void group_places(const struct build *b)
{
    struct kt_wordlist *l = b->l;
    unsigned at = 0;
    for (unsigned p = 0; p < l->place_count; p++)
        l->words[b->word_of[p]].count++;
    for (unsigned w = 0; w < l->word_count; w++) {
        l->words[w].first = (uint16_t)at;
        at += l->words[w].count;
        l->words[w].count = 0;
    }
    for (unsigned p = 0; p < l->place_count; p++) {
        struct word *w = &l->words[b->word_of[p]];
        l->by_word[w->first + w->count++] = (uint16_t)p;
    }
}

static void wordlist_cleanup(struct kt_wordlist **l)
{
    kt_wordlist_free(*l);
}

kt_result kt_wordlist_new(char *const *terms, size_t n, unsigned distance, struct kt_wordlist **out,
                          struct kt_error *err)
{
    *out = NULL;
    if (n > KT_WORDLIST_TERMS)
        return kt_fail(err, KT_ERR_USAGE, "more than %u terms", KT_WORDLIST_TERMS);
    KT_CLEANUP(wordlist_cleanup) struct kt_wordlist *l = calloc(1, sizeof *l);
    KT_CLEANUP(kt_cleanup_free) struct build *b = calloc(1, sizeof *b);
    KT_ENSURE(l && b, KT_ERR_MEMORY);
    l->words = calloc(PLACES, sizeof *l->words);
    l->by_word = calloc(PLACES, sizeof *l->by_word);
    l->term_of = calloc(PLACES, sizeof *l->term_of);
    KT_ENSURE(l->words && l->by_word && l->term_of, KT_ERR_MEMORY);
    b->l = l;
    b->distance = distance < KT_WORDLIST_DISTANCE ? distance : KT_WORDLIST_DISTANCE;
    for (size_t i = 0; i < n; i++)
        KT_GUARD(add_term(b, terms[i], i, err));
    group_places(b);
    *out = KT_TAKE(l);
    return kt_ok();
}

void kt_wordlist_free(struct kt_wordlist *l)
{
    if (!l)
        return;
    free(l->words);
    free(l->by_word);
    free(l->term_of);
    free(l);
}

/* Levenshtein distance of at most `most`; only the band of that width is looked at. */
static bool near(const struct word *w, const char *text, size_t len, unsigned most)
{
    uint8_t row[KT_WORDLIST_WORD_BYTES + KT_WORDLIST_DISTANCE + 2];
    size_t n = w->len;
    for (size_t k = 0; k <= len; k++)
        row[k] = (uint8_t)k;
    for (size_t i = 1; i <= n; i++) {
        size_t low = i > most ? i - most : 1, high = i + most < len ? i + most : len;
        uint8_t diagonal = row[low - 1], best = UINT8_MAX;
        row[low - 1] = (uint8_t)(low == 1 ? i : most + 1);
        for (size_t k = low; k <= high; k++) {
            uint8_t above = k == i + most ? (uint8_t)(most + 1) : row[k];
            uint8_t cost = (uint8_t)(diagonal + (w->bytes[i - 1] != text[k - 1]));
            if (above + 1 < cost)
                cost = (uint8_t)(above + 1);
            if (row[k - 1] + 1 < cost)
                cost = (uint8_t)(row[k - 1] + 1);
            diagonal = row[k];
            row[k] = cost;
            best = cost < best ? cost : best;
        }
        if (best > most)
            return false;
    }
    return row[len] <= most;
}

struct pass {
    const struct kt_wordlist *l;
    kt_wordlist_hit_fn hit;
    void *ctx;
    size_t end;
    uint64_t at[PLACES / 64], next[PLACES / 64]; /* places whose word was the last one / is this one */
    bool any, any_next, stopped;
};

static void take(struct pass *p, const struct word *w)
{
    for (unsigned i = 0; i < w->count && !p->stopped; i++) {
        unsigned place = p->l->by_word[w->first + i];
        if (!has_bit(p->l->starts, place) && !(p->any && has_bit(p->at, place - 1)))
            continue;
        set_bit(p->next, place);
        p->any_next = true;
        if (has_bit(p->l->ends, place))
            p->stopped = p->hit(p->ctx, p->l->term_of[place], p->end);
    }
}

static void word(struct pass *p, const char *w, size_t len)
{
    const struct kt_wordlist *l = p->l;
    const uint16_t *exact = slot_of((struct kt_wordlist *)(uintptr_t)l, w, len); /* only looks */
    if (*exact)
        take(p, &l->words[*exact - 1]);
    uint64_t letters = l->fuzzy ? letters_of(w, len) : 0;
    for (unsigned i = 0; l->fuzzy && i < l->word_count && !p->stopped; i++) {
        const struct word *c = &l->words[i];
        size_t apart = c->len > len ? c->len - len : len - c->len;
        if (i + 1u == *exact || apart > c->distance || c->distance == 0 ||
            __builtin_popcountll(c->letters ^ letters) > 2 * c->distance)
            continue;
        if (near(c, w, len, c->distance))
            take(p, c);
    }
    if (p->any || p->any_next)
        memcpy(p->at, p->next, sizeof p->at);
    if (p->any_next)
        memset(p->next, 0, sizeof p->next);
    p->any = p->any_next;
    p->any_next = false;
}

void kt_wordlist_run(const struct kt_wordlist *l, const char *text, size_t len, kt_wordlist_hit_fn hit,
                     void *ctx)
{
    struct pass p;
    memset(&p, 0, sizeof p);
    p.l = l;
    p.hit = hit;
    p.ctx = ctx;
    for (size_t i = 0; i < len && !p.stopped;) {
        size_t end = word_end(text, len, i);
        p.end = end;
        if (end > i && end - i <= KT_WORDLIST_WORD_BYTES + KT_WORDLIST_DISTANCE)
            word(&p, text + i, end - i);
        else if (end > i)
            p.any = false;
        i = end > i ? end : i + 1;
    }
}
