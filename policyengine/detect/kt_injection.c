/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_injection.h"

#include "policyengine/detect/kt_bytes.h"
#include "policyengine/detect/kt_injection_work.h"
#include "policyengine/detect/kt_lexicon.h"
#include "policyengine/detect/kt_scan.h"
#include "policyengine/detect/weights/injection.h"

#include <math.h>
#include <string.h>

#define BLOCK KT_INJECTION_BLOCK
#define OVERLAP 512u   /* of two blocks; longer than any rule reaches */
#define TOP 3u         /* signs of a family that count */
#define RULES_MAX 256u /* signs below are rules, above are phrases */
#define BLOBS 32u      /* encoded pieces of one text that are decoded */
#define DEPTH KT_INJECTION_DEPTH
#define RULES_TOP 4.0    /* more evidence than this says nothing new ... */
#define ODDS_TOP 8.0     /* ... nor do longer odds ... */
#define BEST_LOW -3.5    /* ... nor words that the model has never seen ... */
#define LENGTH_TOP 12.0  /* ... nor more than four thousand sentences, ... */
#define WHOLE_LOW -5.0   /* ... nor a page of nothing but ordinary words. */
#define WHOLE_END 5.0    /* log2 of the sentences from which on the whole says nothing beside the worst ... */
#define WHOLE_FADE 2.0   /* ... and over how much it fades; all as in train.py */
#define SENTENCE 64u     /* bytes, about, where not all sentences were counted */
#define RULES_SURE 1.0   /* evidence from which on it does not matter how much stands around it */
#define RULES_PAGE 0.4   /* ... and what more it takes per doubling of a page, ... */
#define PAGE 3.0         /* ... which begins behind eight sentences (log2) */
#define RULES_PLAIN 0.64 /* evidence from which on text in a disguise counts as an order: ... */
#define DISGUISE 1.5     /* ... nobody encodes a harmless one */
#define ORDERS 1.75      /* log odds that orders take more where they are ordinary: .8 is asked like .96 */
#define SCRAMBLED 2u     /* words with their letters out of order: one is a slip of the hand */
#define RULES_REACH 1024u /* bytes within which signs count together */
#define QUOTE_REACH 160u  /* bytes around a sign in which quotes are looked for */

/* The strongest signs of one family, each once. */
struct top {
    double weight[TOP];
    uint16_t sign[TOP];
};

const char *kt_injection_family_name(enum kt_injection_family f)
{
    static const char *const names[] = {"override", "boundary", "delimiter", "extraction",   "persona",
                                        "licence",  "task",     "authority", "exfiltration", "tool"};
    return (size_t)f < KT_COUNT(names) ? names[f] : "other";
}

static void add_hit(struct kt_injection *w, unsigned family, unsigned weight, unsigned sign, size_t end)
{
    if (w->hit_count < KT_INJECTION_HITS)
        w->hits[w->hit_count++] =
            (struct kt_injection_hit){(uint8_t)family, (uint8_t)weight, (uint16_t)sign, (uint16_t)end};
}

static void add_rule(void *ctx, unsigned rule, size_t end)
{
    const struct kt_lexicon_rule *r = &kt_lexicon_injection.rules[rule];
    add_hit(ctx, r->family, r->weight, rule, end);
}

static bool add_phrase(void *ctx, unsigned pattern, size_t end)
{
    const struct kt_lexicon *lex = &kt_lexicon_injection;
    add_hit(ctx, lex->phrase_family[pattern], lex->phrase_weight[pattern], RULES_MAX + pattern, end);
    return false;
}

static bool is_quote(char c)
{
    return c == '"' || c == '\'' || c == '`';
}

static bool glued(const char *text, size_t len, size_t at)
{
    return at < len && kt_lexicon_letter((unsigned char)text[at]);
}

static bool opens(const char *text, size_t len, size_t at)
{
    bool inner = glued(text, len, at + 1) || (text[at] == '"' && at + 1 < len && text[at + 1] == ' ' &&
                                              glued(text, len, at + 2)); /* French */
    return is_quote(text[at]) && inner && !(at > 0 && glued(text, len, at - 1));
}

/* The first `q` from `from` on that ends a quotation; `to` where there is none. */
static size_t closing(const char *text, size_t len, size_t from, size_t to, char q)
{
    for (size_t k = from; k < to; k++)
        if (text[k] == q && !glued(text, len, k + 1))
            return k;
    return to;
}

/* True where the sign that ends at `end` stands inside of quotes: somebody's words, not a command. */
static bool quoted(const char *text, size_t len, size_t end)
{
    if (end == 0)
        return false;
    size_t low = end > QUOTE_REACH ? end - QUOTE_REACH : 0,
           high = len - end > QUOTE_REACH ? end + QUOTE_REACH : len;
    for (size_t at = end - 1; at > low; at--)
        if (opens(text, len, at - 1)) {
            size_t close = closing(text, len, at, high, text[at - 1]);
            if (close >= end && close < high)
                return true;
        }
    return false;
}

/* Within a family the second sign says half of what it would say alone, the third a third; families are taken
 * as independent. */
static double combine(const struct top tops[], unsigned *families)
{
    double none = 1;
    *families = 0;
    for (unsigned f = 0; f < KT_INJ_SCORED; f++) {
        for (unsigned i = 0; i < TOP; i++)
            none *= 1 - tops[f].weight[i] / (i + 1);
        if (tops[f].weight[0] >= 0.3)
            *families |= 1u << f;
    }
    return -log(none);
}

/* Keeps the list sorted; the same sign seen again counts where it is strongest. */
static void rank(struct top *t, double weight, uint16_t sign)
{
    unsigned last = 0;
    while (last < TOP - 1 && t->weight[last] > 0 && t->sign[last] != sign)
        last++;
    if (weight <= t->weight[last])
        return;
    for (; last > 0 && t->weight[last - 1] < weight; last--) {
        t->weight[last] = t->weight[last - 1];
        t->sign[last] = t->sign[last - 1];
    }
    t->weight[last] = weight;
    t->sign[last] = sign;
}

static bool has_family(const struct kt_injection *w, unsigned family)
{
    for (unsigned i = 0; i < w->hit_count; i++)
        if (w->hits[i].family == family)
            return true;
    return false;
}

static bool counts(const struct kt_injection_scope *scope, unsigned family)
{
    return family == KT_INJ_TOOL        ? scope->tool
           : family == KT_INJ_BOUNDARY  ? scope->fake_roles
           : family == KT_INJ_DELIMITER ? scope->delimiters
                                        : family < KT_INJ_SCORED;
}

/* The signs that end within RULES_REACH bytes from `from` on. */
static double rate_reach(const struct kt_injection *w, const double *weights, size_t from, unsigned *families)
{
    struct top tops[KT_INJ_SCORED] = {0};
    for (unsigned i = 0; i < w->hit_count; i++) {
        const struct kt_injection_hit *h = &w->hits[i];
        if (weights[i] > 0 && h->end >= from && h->end - from < RULES_REACH)
            rank(&tops[h->family], weights[i], h->sign);
    }
    return combine(tops, families);
}

static bool stop_at_first(void *ctx, unsigned pattern, size_t end)
{
    (void)pattern, (void)end;
    *(bool *)ctx = true;
    return true;
}

/* True where the block talks about attacks. */
static bool talks(struct kt_injection *w, const char *text, size_t len)
{
    const struct kt_scan *scan = NULL;
    bool found = false;
    if (kt_scan_get(KT_SCAN_META, &scan, NULL).code != KT_OK ||
        kt_scan_run(scan, text, len, stop_at_first, &found).code != KT_OK)
        w->failed = true;
    return found;
}

/* What each sign counts. What is quoted where the block talks about attacks is told, not ordered; few texts
 * have a quoted sign, and only they are looked through for such talk. */
static void weigh_hits(struct kt_injection *w, const char *text, size_t len, double *weights)
{
    int meta = -1; /* not known yet */
    for (unsigned i = 0; i < w->hit_count; i++) {
        const struct kt_injection_hit *h = &w->hits[i];
        weights[i] = counts(&w->scope, h->family) ? h->weight / 100.0 : 0;
        if (weights[i] == 0 || meta == 0 || !quoted(text, len, h->end))
            continue;
        meta = meta < 0 ? talks(w, text, len) : meta;
        weights[i] *= meta ? 0.45 : 1;
    }
}

/* The strongest stretch of the block: weak signs that stand pages apart are no evidence together. */
static double rate_hits(struct kt_injection *w, const char *text, size_t len, unsigned *families)
{
    double weights[KT_INJECTION_HITS], best = 0;
    *families = 0;
    weigh_hits(w, text, len, weights);
    for (size_t from = 0; w->hit_count && from <= len; from += RULES_REACH / 2) {
        unsigned here;
        double sum = rate_reach(w, weights, from, &here);
        if (sum > best || from == 0) {
            best = sum;
            *families = here;
        }
    }
    return best;
}

static double within(double v, double low, double high)
{
    return v < low ? low : v > high ? high : v;
}

/* One number from rules and model: log odds, set on texts that neither had seen (train.py). The worst of many
 * windows is bad by chance, so a page needs a worse one than a line does, or more that is bad beside it,
 * unless the rules speak too. */
static double weigh(const struct kt_injection_result *r, bool orders)
{
    double length = within(r->length, 0, LENGTH_TOP);
    double sure = RULES_SURE + RULES_PAGE * within(length - PAGE, 0, LENGTH_TOP);
    double alone = 1 - within(r->rules / sure, 0, 1);
    double few = within((WHOLE_END - r->length) / WHOLE_FADE, 0, 1);
    double odds = KT_INJECTION_CONST + KT_INJECTION_RULES * within(r->rules, 0, RULES_TOP) +
                  KT_INJECTION_BEST * within(r->best, BEST_LOW, ODDS_TOP) +
                  alone * (KT_INJECTION_LENGTH * length +
                           KT_INJECTION_WHOLE * few * within(r->whole, WHOLE_LOW, ODDS_TOP));
    if (r->decoded && r->rules >= RULES_PLAIN)
        odds += DISGUISE;
    if (orders)
        odds -= ORDERS;
    return 1 / (1 + exp(-odds));
}

/* `disguised`: the text was decoded, turned round or rotated. */
static void scan_block(struct kt_injection *w, const char *text, size_t len, bool disguised,
                       struct kt_injection_result *out)
{
    const struct kt_scan *scan = NULL;
    w->hit_count = 0;
    kt_lexicon_run(&kt_lexicon_injection, text, len, add_rule, w);
    if (kt_scan_get(KT_SCAN_INJECTION, &scan, NULL).code != KT_OK ||
        kt_scan_run(scan, text, len, add_phrase, w).code != KT_OK)
        w->failed = true;
    struct kt_injection_result now = {.decoded = disguised};
    struct kt_linear_score model;
    now.rules = rate_hits(w, text, len, &now.families);
    kt_linear_run(&kt_linear_injection, &w->linear, text, len, &model);
    now.best = model.best;
    now.whole = model.whole;
    size_t page =
        w->page > BLOCK ? w->page / SENTENCE : 0; /* of all blocks: each is one more chance to be wrong */
    size_t sentences = page > model.sentences ? page : model.sentences;
    now.length = sentences > 1 ? log2((double)sentences) : 0;
    now.score = weigh(&now, w->scope.orders);
    if (now.score > out->score)
        *out = now;
}

/* Takes the disguise off the variant; returns its new length. */
static size_t unmask(unsigned disguise, char *text, size_t len)
{
    switch (disguise) {
    case KT_INJ_ROT13:
        kt_decode_rot13(text, len);
        return len;
    case KT_INJ_ATBASH:
        kt_decode_atbash(text, len);
        return len;
    case KT_INJ_REVERSED:
        kt_decode_reverse(text, len);
        return len;
    case KT_INJ_LEET:
        kt_decode_leet(text, len);
        return len;
    case KT_INJ_SCRAMBLED:
        kt_decode_scrambled(text, len);
        return len;
    default:
        return kt_decode_spaced(text, len);
    }
}

/* Folded text that hints at a disguise: take it off and look again. Digits alone are none: without a letter
 * the hint is a number by chance ("4113"). */
static void scan_variants(struct kt_injection *w, const char *text, size_t len,
                          struct kt_injection_result *out)
{
    if (kt_bytes_next(text, len, 0, kt_bytes_small) == len)
        return;
    unsigned hints = kt_decode_scrambled_count(text, len) >= SCRAMBLED ? 1u << KT_INJ_SCRAMBLED : 0;
    hints |= kt_decode_spaced_hint(text, len) ? 1u << KT_INJ_SPACED : 0;
    for (unsigned f = KT_INJ_ROT13; f < KT_INJ_SPACED; f++)
        hints |= has_family(w, f) ? 1u << f : 0;
    for (unsigned f = KT_INJ_ROT13; f <= KT_INJ_SCRAMBLED; f++) {
        if (!(hints & 1u << f))
            continue;
        memcpy(w->variant, text, len);
        w->variant_dirty = len > w->variant_dirty ? len : w->variant_dirty;
        size_t n = unmask(f, w->variant, len);
        /* these leave no plain word; the others leave the plain ones as they were */
        bool disguised = f == KT_INJ_ROT13 || f == KT_INJ_ATBASH || f == KT_INJ_REVERSED;
        scan_block(w, w->variant, n, disguised, out);
    }
}

static void scan_folded(struct kt_injection *w, const char *text, size_t len, bool decoded,
                        struct kt_injection_result *out)
{
    scan_block(w, text, len, decoded, out);
    if (w->scope.decode)
        scan_variants(w, text, len, out);
}

/* Keeps the end of a full block, from a word on, as the start of the next one. */
static void slide(struct kt_fold *f)
{
    size_t from = f->len - OVERLAP;
    while (from < f->len && f->out[from] != ' ' && f->out[from] != '\n')
        from++;
    if (from == f->len)
        from = f->len - OVERLAP;
    memmove(f->out, f->out + from, f->len - from);
    f->len -= from;
}

static void score_level(struct kt_injection *w, const char *text, size_t len, unsigned depth,
                        struct kt_injection_result *out);

static void scan_hidden(struct kt_injection *w, struct kt_injection_level *l, struct kt_injection_result *out)
{
    if (l->fold.hidden_len < 8 || l == &w->levels[DEPTH])
        return;
    score_level(w, l->fold.hidden, l->fold.hidden_len, (unsigned)(l - w->levels) + 1, out);
}

/* The buffer for hidden text is not touched: most texts have none. */
static void start_fold(struct kt_injection_level *l, const struct kt_injection_scope *scope)
{
    struct kt_fold *f = &l->fold;
    f->out = l->block;
    f->hidden = l->hidden;
    f->len = f->hidden_len = 0;
    f->cap = BLOCK;
    f->gap = 0;
    f->escapes = scope->decode;
    f->keep_lookalikes = !scope->lookalikes;
    f->keep_forms = !scope->whole_unicode;
}

static void score_level(struct kt_injection *w, const char *text, size_t len, unsigned depth,
                        struct kt_injection_result *out)
{
    struct kt_injection_level *l = &w->levels[depth];
    start_fold(l, &w->scope);
    w->page = depth == 0 ? len : 0;
    size_t done = 0, dirty = 0;
    for (;;) {
        done += kt_fold_text(&l->fold, text + done, len - done, true);
        dirty = l->fold.len > dirty ? l->fold.len : dirty;
        scan_folded(w, l->block, l->fold.len, depth > 0, out);
        if (done == len)
            break;
        slide(&l->fold);
    }
    scan_hidden(w, l, out);
    kt_wipe(l->block, dirty);
    kt_wipe(l->fold.hidden, l->fold.hidden_len);
    if (depth == DEPTH || !w->scope.decode)
        return;
    size_t at = 0, n = 0;
    for (unsigned blobs = 0; blobs < BLOBS && (n = kt_decode_next(text, len, &at, l->blob)) > 0; blobs++) {
        score_level(w, l->blob, n, depth + 1, out);
        kt_wipe(l->blob, n);
    }
}

kt_result kt_injection_score(struct kt_injection *w, const char *text, size_t len,
                             struct kt_injection_scope scope, struct kt_injection_result *out)
{
    *out = (struct kt_injection_result){0};
    w->scope = scope;
    w->failed = false;
    w->variant_dirty = w->linear.dirty = 0;
    score_level(w, text, len, 0, out);
    kt_wipe(w->variant, w->variant_dirty);
    kt_wipe(w->linear.text, w->linear.dirty);
    return w->failed ? kt_err(KT_ERR_INTERNAL) : kt_ok();
}
