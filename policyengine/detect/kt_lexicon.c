/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_lexicon.h"

#include <endian.h>
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

static void word(struct run *r, const char *text, size_t start, size_t end, uint64_t hash)
{
    unsigned open = 0, bit = kt_lexicon_first_bit(hash);
    uint16_t next = 0;
    bool begins = r->lex->first_words[bit / 64] >> bit % 64 & 1;
    for (unsigned i = 0; i < r->row_count + begins; i++) {
        bool fresh = i == r->row_count;
        size_t row_start = fresh ? start : r->rows[i].start;
        const struct kt_lexicon_node *node = find(r->lex, fresh ? 0 : r->rows[i].node, hash, &next);
        if (!node)
            continue;
        take_node(r, node, row_start);
        if (node->goes_on && open < ROWS) {
            r->rows[open].node = next; /* never ahead of i: rows move down */
            r->rows[open++].start = row_start;
        }
    }
    r->row_count = open;
    unsigned initial = (unsigned char)text[start] - 'a';
    if (end - start >= KT_LEXICON_STEM && initial < 26 && r->lex->stem_initials >> initial & 1)
        take_stems(r, text + start, start, end);
    if (r->found_count > 0)
        take_all(r, end);
}

/* Between two words: what ends a sentence, and what only ends a row of words. */
static void between(struct run *r, unsigned char c, unsigned char next)
{
    if ((c == '.' || c == '!' || c == '?' || c == ';') && !kt_lexicon_letter(next))
        r->sentence++;
    if (c != ' ' && c != '\n' && c != '-' && c != '_' && c != '"' && c != '*')
        r->row_count = 0;
}

/* Where the word at `at` ends. */
static size_t word_end(const char *text, size_t len, size_t at)
{
    size_t i = at;
    for (;;) {
        while (i < len && kt_lexicon_letter((unsigned char)text[i]))
            i++;
        if (i + 1 >= len || text[i] != '\'' || !kt_lexicon_letter((unsigned char)text[i + 1]))
            return i;
        i++;
    }
}

/* kt_lexicon_word, eight bytes at a time where `behind` bytes follow the start of the word. */
static uint64_t word_hash(const char *p, size_t len, size_t behind)
{
    uint64_t h = len * UINT64_C(0x9e3779b97f4a7c15), w;
    if ((len + 7) / 8 * 8 > behind)
        return kt_lexicon_word(p, len);
    for (; len > 8; p += 8, len -= 8) {
        memcpy(&w, p, 8);
        h = (h ^ le64toh(w)) * UINT64_C(0xd6e8feb86659fd93);
    }
    memcpy(&w, p, 8);
    h = (h ^ (le64toh(w) & UINT64_MAX >> (64 - 8 * len))) * UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
}

static bool number(const char *text, size_t start, size_t end)
{
    while (start < end && text[start] >= '0' && text[start] <= '9')
        start++;
    return start == end;
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
    for (size_t i = 0; i < len;) {
        if (!kt_lexicon_letter((unsigned char)text[i])) {
            between(&r, (unsigned char)text[i], i + 1 < len ? (unsigned char)text[i + 1] : 0);
            i++;
            continue;
        }
        size_t start = i;
        i = word_end(text, len, i);
        word(&r, text, start, i,
             number(text, start, i) ? kt_lexicon_word("#", 1)
                                    : word_hash(text + start, i - start, len - start));
    }
}
