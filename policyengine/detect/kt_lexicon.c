/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_lexicon.h"

#include "policyengine/detect/kt_bytes.h"

#include <string.h>

const bool kt_lexicon_letters[256] = {['a' ... 'z'] = true, ['0' ... '9'] = true, [0x80 ... 0xff] = true};

#define ROWS 6u   /* rows of words that can be open at once */
#define FOUND 48u /* concepts that one word can end */
#define RULES_MAX 256u

/* Where the word of a step ended, and in which sentence. Small: 256 rules of these lie on a stranger's stack.
 */
struct place {
    uint16_t end, sentence;
};
#define NOWHERE 0xffff /* an end that no word has */
_Static_assert(KT_LEXICON_MAX < NOWHERE, "offsets must fit");

/* How far a rule has come. The last place can overlap the next word ("forge fake" in front of "fake
 * passports"); then the one before it counts. */
struct progress {
    struct place last, before;
};

/* A concept that ends with the word under way. */
struct found {
    unsigned concept_id, use;
    size_t start;
};

struct run {
    const struct kt_lexicon *lex;
    kt_lexicon_hit_fn hit;
    void *ctx;
    uint16_t sentence;
    struct {
        uint16_t node;
        uint32_t next; /* as of the node */
        size_t start;
    } rows[ROWS];
    unsigned row_count;
    struct found found[FOUND];
    unsigned found_count;
    struct progress opened[KT_LEXICON_OPENINGS];
    struct progress at[RULES_MAX][KT_LEXICON_STEPS - 2]; /* steps between the first and the last */
};

static const struct kt_lexicon_node *find(const struct kt_lexicon *lex, unsigned node, uint64_t word,
                                          uint16_t *next)
{
    uint64_t key = kt_lexicon_key(node, word);
    uint32_t check = (uint32_t)(key >> 32) | 1u;
    for (uint32_t i = (uint32_t)key & lex->slot_mask; lex->slots[i].check; i = (i + 1) & lex->slot_mask) {
        if (lex->slots[i].check != check)
            continue;
        *next = lex->slots[i].node;
        return &lex->nodes[*next];
    }
    return NULL;
}

static bool reaches(const struct run *r, const struct kt_lexicon_rule *def, struct place from, size_t start)
{
    return from.end <= start && start - from.end <= def->gap &&
           (unsigned)r->sentence - from.sentence <= def->sentences;
}

static void step_taken(struct progress *p, size_t end, uint16_t sentence)
{
    if (p->last.end != end)
        p->before = p->last;
    p->last = (struct place){(uint16_t)end, sentence};
}

/* Concept `c` ends at `end`: the rules that wait for it with step `step` move on. Uses are sorted last step
 * first. */
static void advance(struct run *r, struct found *c, size_t end, unsigned step)
{
    const struct kt_lexicon *lex = r->lex;
    for (; c->use < lex->first_use[c->concept_id + 1] && lex->uses[c->use].step == step; c->use++) {
        unsigned rule = lex->uses[c->use].rule;
        const struct kt_lexicon_rule *def = &lex->rules[rule];
        if (step > 0) {
            const struct progress *p = step > 1 ? &r->at[rule][step - 2] : &r->opened[def->opening];
            if (!reaches(r, def, p->last, c->start) && !reaches(r, def, p->before, c->start))
                continue;
        }
        if (step + 1u == def->steps)
            r->hit(r->ctx, rule, end);
        else
            step_taken(&r->at[rule][step - 1], end, r->sentence);
    }
}

/* Words that open a rule are common and open many: they are noted once for all of them. */
static void open_rules(struct run *r, unsigned concept_id, size_t end)
{
    const struct kt_lexicon *lex = r->lex;
    for (unsigned i = lex->first_opening[concept_id]; i < lex->first_opening[concept_id + 1]; i++)
        step_taken(&r->opened[lex->openings[i]], end, r->sentence);
}

/* One word may stand for several concepts: all take their last steps first, or it would take two steps of one
 * rule. */
static void take_all(struct run *r, size_t end)
{
    for (unsigned step = KT_LEXICON_STEPS; step-- > 0;)
        for (unsigned i = 0; i < r->found_count; i++)
            advance(r, &r->found[i], end, step);
    for (unsigned i = 0; i < r->found_count; i++)
        open_rules(r, r->found[i].concept_id, end);
    r->found_count = 0;
}

static void take(struct run *r, unsigned concept_id, size_t start)
{
    if (r->found_count < FOUND)
        r->found[r->found_count++] = (struct found){concept_id, r->lex->first_use[concept_id], start};
}

static void take_node(struct run *r, const struct kt_lexicon_node *node, size_t start)
{
    for (unsigned i = 0; i < node->count; i++)
        take(r, r->lex->concepts[node->concepts + i], start);
}

static void take_stems(struct run *r, const char *word, size_t start, size_t end)
{
    const struct kt_lexicon *lex = r->lex;
    size_t len = end - start;
    unsigned low = 0, high = lex->stem_count;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (memcmp(lex->stems[mid].letters, word, KT_LEXICON_STEM) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < lex->stem_count && memcmp(lex->stems[low].letters, word, KT_LEXICON_STEM) == 0; low++)
        if (lex->stems[low].len <= len && memcmp(lex->stems[low].letters, word, lex->stems[low].len) == 0)
            take(r, lex->stems[low].concept_id, start);
}

/* A word of the text; `head`: its first eight letters. */
struct word {
    size_t start, end;
    uint64_t head, hash;
};

static bool has_bit(const uint64_t *bits, unsigned bit)
{
    return bits[bit / 64] >> bit % 64 & 1;
}

static void word(struct run *r, const char *text, const struct word *w)
{
    unsigned open = 0;
    uint16_t next = 0;
    uint32_t next_bit = kt_lexicon_next_bit(w->hash);
    bool begins = has_bit(r->lex->first_words, kt_lexicon_first_bit(w->hash));
    bool stem = has_bit(r->lex->stem_starts, kt_lexicon_stem_bit(w->head));
    if (!(begins | stem | (r->row_count > 0))) /* most words: one branch for all */
        return;
    for (unsigned i = 0; i < r->row_count + begins; i++) {
        bool fresh = i == r->row_count;
        if (!fresh && !(r->rows[i].next & next_bit))
            continue;
        size_t row_start = fresh ? w->start : r->rows[i].start;
        const struct kt_lexicon_node *node = find(r->lex, fresh ? 0 : r->rows[i].node, w->hash, &next);
        if (!node)
            continue;
        take_node(r, node, row_start);
        if (node->next && open < ROWS) {
            r->rows[open].node = next; /* never ahead of i: rows move down */
            r->rows[open].next = node->next;
            r->rows[open++].start = row_start;
        }
    }
    r->row_count = open;
    if (stem && w->end - w->start >= KT_LEXICON_STEM)
        take_stems(r, text + w->start, w->start, w->end);
    if (r->found_count > 0)
        take_all(r, w->end);
}

/* What stands between two words: the end of a sentence, and what does not end a row of words. */
enum { ENDS_SENTENCE = 1, KEEPS_ROW = 2 };
static const uint8_t signs[256] = {
    [' '] = KEEPS_ROW,     ['\n'] = KEEPS_ROW,   ['-'] = KEEPS_ROW,     ['_'] = KEEPS_ROW,
    ['"'] = KEEPS_ROW,     ['*'] = KEEPS_ROW,    ['.'] = ENDS_SENTENCE, ['!'] = ENDS_SENTENCE,
    ['?'] = ENDS_SENTENCE, [';'] = ENDS_SENTENCE};

/* The signs [from,to). A word begins at `to`: with a letter right behind it the last of them ends no
 * sentence. One or two signs, as mostly, take no branch. */
static inline void between(struct run *r, const char *text, size_t from, size_t to)
{
    if (from == to)
        return;
    unsigned last = signs[(unsigned char)text[to - 1]];
    unsigned two = to - from > 1, before = signs[(unsigned char)text[to - 1 - two]];
    unsigned keeps = last & before, ends = before & two;
    for (size_t i = from; i + 2 < to; i++) {
        unsigned sign = signs[(unsigned char)text[i]];
        keeps &= sign;
        ends += sign & ENDS_SENTENCE;
    }
    r->sentence = (uint16_t)(r->sentence + ends);
    r->row_count &= -(keeps / KEEPS_ROW);
}

/* The next word: letters, and apostrophes with a letter on both sides. */
static inline bool next_word(struct kt_runs *w, size_t *start, size_t *end)
{
    size_t more;
    if (!kt_runs_next(w, kt_bytes_letters, start, end))
        return false;
    while (*end + 1 < w->len && w->text[*end] == '\'' && kt_lexicon_letter((unsigned char)w->text[*end + 1]))
        kt_runs_next(w, kt_bytes_letters, &more, end);
    return true;
}

/* True where all letters are digits. */
static bool number(const char *p, size_t len, uint64_t head)
{
    uint64_t rest = len < 8 ? UINT64_C(0x3030303030303030) << 8 * len : 0;
    head |= rest; /* as if digits followed */
    uint64_t odd = (head ^ UINT64_C(0x3030303030303030)) |
                   ((head & UINT64_C(0x0f0f0f0f0f0f0f0f)) + UINT64_C(0x0606060606060606));
    if (odd & UINT64_C(0xf0f0f0f0f0f0f0f0))
        return false;
    for (size_t i = 8; i < len; i++)
        if (p[i] < '0' || p[i] > '9')
            return false;
    return true;
}

/* kt_lexicon_word, of which `head` is known. */
static uint64_t word_hash(const char *p, size_t len, uint64_t head)
{
    if (len > 8)
        return kt_lexicon_word(p, len);
    uint64_t h = (len * UINT64_C(0x9e3779b97f4a7c15) ^ head) * UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
}

void kt_lexicon_run(const struct kt_lexicon *lex, const char *text, size_t len, kt_lexicon_hit_fn hit,
                    void *ctx)
{
    struct run r;
    r.lex = lex;
    r.hit = hit;
    r.ctx = ctx;
    r.sentence = 1;
    r.row_count = r.found_count = 0;
    memset(r.opened, 0xff, lex->opening_count * sizeof r.opened[0]); /* NOWHERE */
    memset(r.at, 0xff, lex->rule_count * sizeof r.at[0]);
    if (len > KT_LEXICON_MAX)
        len = KT_LEXICON_MAX;
    const uint64_t some_number = kt_lexicon_word("#", 1);
    struct kt_runs letters = kt_runs_of(text, len);
    struct word w;
    for (size_t before = 0; next_word(&letters, &w.start, &w.end); before = w.end) {
        const char *p = text + w.start;
        size_t n = w.end - w.start;
        between(&r, text, before, w.start);
        w.head = kt_bytes_eight(p, n < 8 ? n : 8, len - w.start);
        w.hash = word_hash(p, n, w.head);
        w.hash = number(p, n, w.head) ? some_number : w.hash;
        word(&r, text, &w);
    }
}
