/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_safety.h"

#include "policyengine/detect/kt_fold.h"
#include "policyengine/detect/kt_lexicon.h"
#include "policyengine/detect/kt_scan.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK 4096u
#define FIRST_BLOCK 1024u /* what a stream keeps between two chunks is less */
#define TAIL 512u         /* folded bytes that are seen again; longer than any rule reaches */
#define SIGNS 64u         /* more than word ends fit into VETO_BEHIND */
#define VETO_BEFORE 160u
#define VETO_BEHIND 80u
#define VETOED 0.5     /* share of its weight that a sign keeps beside a veto */
#define WORD_MAX 48u   /* a longer run of letters is no word: do not wait for its end */
#define FOLDED_FROM 4u /* bytes of text that one folded byte mostly stands for, at most */
_Static_assert(TAIL > VETO_BEHIND + VETO_BEFORE + KT_WORDLIST_TERM_BYTES, "what is still open must stay");

/* The strongest sign that ends at one place. */
struct sign {
    size_t end;
    unsigned category, weight;
};

struct kt_safety {
    struct kt_fold fold;
    char *block;              /* owned; room for fold.cap bytes, BLOCK at most */
    size_t dirty;             /* bytes of block that ever held text */
    struct sign signs[SIGNS]; /* not judged yet, by end */
    unsigned sign_count;
    size_t seen;     /* folded bytes of the block whose signs are known */
    size_t sentence; /* where the sentence begins in which the last of them lies */
    bool across;     /* there are rules over more than one sentence */
    double score;

    /* of one look */
    const struct kt_safety_rules *rules;
    size_t len, from; /* the lexicon looks from here on */
    bool final, vetoes_known, failed;
    uint64_t *vetoes; /* BLOCK bits: where they end */
    unsigned found;
};

const char *kt_safety_category_name(unsigned c)
{
    static const char *const names[] = {"weapons",  "malware",    "self_harm",      "csam",
                                        "violence", "drugs",      "fraud",          "hate",
                                        "illegal",  "harassment", "misinformation", "infrastructure",
                                        "vehicles", "academic",   "mature",         "policing"};
    _Static_assert(KT_COUNT(names) == KT_SAFE_CATEGORIES, "every category has a name");
    return c < KT_COUNT(names) ? names[c] : c == KT_SAFE_TERM ? "term" : "none";
}

static bool any_rule_across(void)
{
    for (unsigned i = 0; i < kt_lexicon_safety.rule_count; i++)
        if (kt_lexicon_safety.rules[i].sentences > 0)
            return true;
    return false;
}

struct kt_safety *kt_safety_new(void)
{
    struct kt_safety *s = malloc(sizeof *s);
    char *block = malloc(FIRST_BLOCK);
    if (!s || !block) {
        free(s);
        free(block);
        return NULL;
    }
    s->block = block;
    s->fold.cap = FIRST_BLOCK;
    s->dirty = 0;
    s->across = any_rule_across();
    kt_safety_reset(s);
    return s;
}

struct kt_safety *kt_safety_copy(const struct kt_safety *s)
{
    struct kt_safety *copy = malloc(sizeof *copy);
    char *block = malloc(s->fold.cap);
    if (!copy || !block) {
        free(copy);
        free(block);
        return NULL;
    }
    memcpy(copy, s, sizeof *copy);
    memcpy(block, s->block, s->fold.len);
    copy->block = copy->fold.out = block;
    return copy;
}

void kt_safety_free(struct kt_safety *s)
{
    if (!s)
        return;
    kt_wipe(s->block, s->dirty);
    free(s->block);
    free(s);
}

/* False where there is no more room to be had: the text is looked at in smaller blocks then. */
static bool grow(struct kt_safety *s)
{
    size_t cap = s->fold.cap * 2;
    char *block = cap <= BLOCK ? malloc(cap) : NULL;
    if (!block)
        return false;
    memcpy(block, s->block, s->fold.len);
    kt_wipe(s->block, s->fold.cap);
    free(s->block);
    s->block = s->fold.out = block;
    s->fold.cap = cap;
    return true;
}

void kt_safety_reset(struct kt_safety *s)
{
    s->fold.len = s->fold.hidden_len = 0;
    s->fold.gap = 0;
    s->fold.hidden = NULL; /* nobody reads it here */
    s->fold.escapes = s->fold.keep_lookalikes = s->fold.keep_forms = false;
    s->fold.out = s->block;
    s->sign_count = 0;
    s->seen = s->sentence = 0;
    s->score = 0;
    s->found = KT_SAFE_NONE;
}

static bool add_veto(void *ctx, unsigned pattern, size_t end)
{
    struct kt_safety *s = ctx;
    if (kt_lexicon_safety.phrase_family[pattern] == KT_SAFE_VETO && end > 0)
        s->vetoes[(end - 1) / 64] |= UINT64_C(1) << (end - 1) % 64;
    return false;
}

/* Only texts with a sign that would count pay for this. */
static void find_vetoes(struct kt_safety *s)
{
    const struct kt_scan *scan = NULL;
    s->vetoes_known = true;
    memset(s->vetoes, 0, BLOCK / 8);
    if (kt_scan_get(KT_SCAN_SAFETY, &scan, NULL).code != KT_OK ||
        kt_scan_run(scan, s->block, s->len, add_veto, s).code != KT_OK)
        s->failed = true;
}

/* Up to where words behind a sign can take it back: the end of its sentence. *open = that place is not seen
 * yet. */
static size_t reach_of(const struct kt_safety *s, size_t end, bool *open)
{
    size_t limit = end + VETO_BEHIND < s->len ? end + VETO_BEHIND : s->len;
    *open = false;
    for (size_t i = end; i < limit; i++) {
        char c = s->block[i];
        if (c != '.' && c != '!' && c != '?' && c != ';')
            continue;
        if (i + 1 < s->len ? !kt_lexicon_letter((unsigned char)s->block[i + 1]) : s->final)
            return i;
    }
    *open = !s->final && end + VETO_BEHIND > s->len;
    return limit;
}

static bool vetoed(struct kt_safety *s, size_t end, size_t reach)
{
    if (!s->vetoes_known)
        find_vetoes(s);
    for (size_t i = end > VETO_BEFORE ? end - VETO_BEFORE : 0; i < reach; i++) {
        uint64_t rest = s->vetoes[i / 64] >> i % 64;
        if (rest == 0)
            i |= 63;
        else if (rest & 1)
            return true;
    }
    return false;
}

/* In the order in which they end, as far as all is known about them: so a stream is judged as the whole
 * is. */
static void judge(struct kt_safety *s)
{
    unsigned done = 0;
    for (; done < s->sign_count && s->found == KT_SAFE_NONE; done++) {
        const struct sign *g = &s->signs[done];
        bool open = false, strong = g->weight >= s->rules->weight;
        size_t reach = strong ? reach_of(s, g->end, &open) : 0;
        if (open)
            break;
        bool harmless = strong && g->category != KT_SAFE_TERM && vetoed(s, g->end, reach);
        double score = g->weight / 100.0 * (harmless ? VETOED : 1);
        if (harmless && score * 100 >= s->rules->weight)
            score = (s->rules->weight - 1) / 100.0; /* a threshold below the vetoed share */
        if (score > s->score)
            s->score = score;
        if (strong && !harmless)
            s->found = g->category;
    }
    s->sign_count -= done;
    memmove(s->signs, s->signs + done, s->sign_count * sizeof s->signs[0]);
}

static void add_sign(struct kt_safety *s, unsigned category, unsigned weight, size_t end)
{
    if (end <= s->seen || s->found != KT_SAFE_NONE || weight == 0)
        return;
    if (s->sign_count == SIGNS)
        judge(s);
    unsigned at = s->sign_count;
    while (at > 0 && s->signs[at - 1].end > end)
        at--;
    if (at > 0 && s->signs[at - 1].end == end) {
        if (weight > s->signs[at - 1].weight)
            s->signs[at - 1] = (struct sign){end, category, weight};
        return;
    }
    if (s->sign_count == SIGNS)
        return;
    memmove(s->signs + at + 1, s->signs + at, (s->sign_count - at) * sizeof s->signs[0]);
    s->signs[at] = (struct sign){end, category, weight};
    s->sign_count++;
}

static void add_rule(void *ctx, unsigned rule, size_t end)
{
    struct kt_safety *s = ctx;
    const struct kt_lexicon_rule *r = &kt_lexicon_safety.rules[rule];
    if (s->rules->categories >> r->family & 1)
        add_sign(s, r->family, r->weight, s->from + end);
}

static bool is_end(const struct kt_safety *s, size_t i)
{
    char c = s->block[i];
    return (c == '.' || c == '!' || c == '?' || c == ';') &&
           !kt_lexicon_letter((unsigned char)s->block[i + 1]);
}

/* Where no rule steps over the end of a sentence (a row of words never does), a new word is looked at with
 * its sentence and not with all that is kept. */
static void next_sentence(struct kt_safety *s, size_t len)
{
    if (s->across)
        return;
    for (size_t i = s->seen ? s->seen - 1 : 0; i + 1 < len; i++)
        if (is_end(s, i))
            s->sentence = i + 1;
}

/* One is enough: it is a finding. */
static bool add_term(void *ctx, size_t term, size_t end)
{
    struct kt_safety *s = ctx;
    (void)term;
    bool fresh = end > s->seen;
    add_sign(s, KT_SAFE_TERM, 100, end);
    return fresh;
}

static void look(struct kt_safety *s, size_t len, bool final)
{
    uint64_t vetoes[BLOCK / 64]; /* here: a stream that waits needs none */
    s->vetoes = vetoes;
    s->len = len;
    s->final = final;
    s->vetoes_known = false;
    if (s->rules->terms)
        kt_wordlist_run(s->rules->terms, s->block, len, add_term, s);
    s->from = s->sentence;
    kt_lexicon_run(&kt_lexicon_safety, s->block + s->from, len - s->from, add_rule, s);
    judge(s);
    next_sentence(s, len);
    s->seen = len;
    s->vetoes = NULL;
}

/* What must be wiped in the end: of most texts far less than the memory that there is. */
static void note_dirty(struct kt_safety *s)
{
    if (s->fold.len > s->dirty)
        s->dirty = s->fold.len;
}

static void keep_tail(struct kt_safety *s)
{
    struct kt_fold *f = &s->fold;
    if (f->len <= TAIL)
        return;
    size_t from = f->len - TAIL;
    while (from < f->len && kt_lexicon_letter((unsigned char)f->out[from]))
        from++; /* from a word on */
    memmove(f->out, f->out + from, f->len - from);
    f->len -= from;
    s->seen -= from < s->seen ? from : s->seen;
    s->sentence -= from < s->sentence ? from : s->sentence;
    for (unsigned i = 0; i < s->sign_count; i++)
        s->signs[i].end -= from < s->signs[i].end ? from : s->signs[i].end;
}

/* Bytes of `text` up to the last word that may still go on. */
static size_t whole_words(const char *text, size_t len)
{
    size_t n = len;
    while (n > 0 && len - n < WORD_MAX &&
           (kt_lexicon_letter((unsigned char)(text[n - 1] | 0x20)) || text[n - 1] == '\''))
        n--;
    return len - n == WORD_MAX ? len : n;
}

/* Bytes back from the end of what was fed that a sign which is not judged yet may cover. */
static size_t undecided(const struct kt_safety *s)
{
    if (s->sign_count == 0)
        return 0;
    size_t at = s->signs[0].end;
    for (unsigned n = 0; at > 0 && n < WORD_MAX && kt_lexicon_letter((unsigned char)s->block[at - 1]); n++)
        at--;
    return (s->fold.len - at) * FOLDED_FROM;
}

kt_result kt_safety_feed(struct kt_safety *s, const char *text, size_t len, bool final,
                         const struct kt_safety_rules *rules, struct kt_safety_result *out)
{
    s->rules = rules;
    s->failed = false;
    if (!final)
        len = whole_words(text, len);
    size_t used = 0;
    while (s->found == KT_SAFE_NONE) {
        size_t before = used;
        used += kt_fold_text(&s->fold, text + used, len - used, final);
        bool full = used < len && s->fold.cap - s->fold.len < 8;
        for (; full && grow(s); full = used < len && s->fold.cap - s->fold.len < 8)
            used += kt_fold_text(&s->fold, text + used, len - used, final);
        note_dirty(s);
        size_t n = used - before;
        size_t cut = full ? whole_words(s->block, s->fold.len) : s->fold.len;
        if (n > 0 || final)
            look(s, cut, final && !full);
        keep_tail(s);
        if (!full)
            break;
    }
    *out = (struct kt_safety_result){s->found, s->score, used, undecided(s)};
    s->rules = NULL;
    return s->failed ? kt_err(KT_ERR_INTERNAL) : kt_ok();
}
