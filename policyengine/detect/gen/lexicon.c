/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the word automaton of a set and writes it as constant C data (see kt_lexicon.h). */
#include "policyengine/detect/gen/kt_patc.h"
#include "policyengine/detect/kt_lexicon.h"

#include <stdlib.h>
#include <string.h>

#define NODES_MAX 16000u
#define STEMS_MAX 512u

struct node {
    unsigned before; /* node it follows */
    uint64_t word;
    kt_concept_set concepts;
    uint32_t next;
};

struct stem {
    char letters[32];
    unsigned concept;
};

struct build {
    struct node nodes[NODES_MAX]; /* 0 = start */
    unsigned node_count;
    struct stem stems[STEMS_MAX];
    unsigned stem_count;
    unsigned concept;
    const char *where;
};

static unsigned follow(struct build *b, unsigned before, uint64_t word)
{
    for (unsigned i = 1; i < b->node_count; i++)
        if (b->nodes[i].before == before && b->nodes[i].word == word)
            return i;
    if (b->node_count == NODES_MAX)
        kt_patc_die(b->where, "too many words");
    b->nodes[before].next |= before != 0 ? kt_lexicon_next_bit(word) : 0;
    b->nodes[b->node_count] = (struct node){before, word, 0, 0};
    return b->node_count++;
}

static void add_stem(struct build *b, const char *word, size_t len)
{
    struct stem *s = &b->stems[b->stem_count];
    if (len < KT_LEXICON_STEM || len >= sizeof s->letters || word[0] < 'a' || word[0] > 'z')
        kt_patc_die(word, "a stem has five letters or more");
    if (b->stem_count++ == STEMS_MAX)
        kt_patc_die(word, "too many stems");
    memcpy(s->letters, word, len);
    s->letters[len] = 0;
    s->concept = b->concept;
}

static void add_words(void *ctx, const char *words)
{
    struct build *b = ctx;
    size_t all = strlen(words);
    if (words[all - 1] == '*') {
        if (strchr(words, ' '))
            kt_patc_die(words, "a stem stands alone");
        add_stem(b, words, all - 1);
        return;
    }
    unsigned node = 0;
    for (const char *w = words; *w;) {
        size_t n = strcspn(w, " ");
        if (n == 0)
            kt_patc_die(words, "two spaces, or one at an end");
        node = follow(b, node, kt_lexicon_word(w, n));
        w += n;
        if (*w == ' ' && !*++w)
            kt_patc_die(words, "two spaces, or one at an end");
    }
    b->nodes[node].concepts |= (kt_concept_set)1 << b->concept;
}

static void write_slots(const struct build *b, const char *name, FILE *out)
{
    uint32_t size = 64;
    while (size * 3 < b->node_count * 4) /* small before sparse: caches hold more of it */
        size *= 2;
    struct kt_lexicon_slot *slots = calloc(size, sizeof *slots);
    if (!slots)
        kt_patc_die(name, "out of memory");
    for (unsigned i = 1; i < b->node_count; i++) {
        uint64_t key = kt_lexicon_key(b->nodes[i].before, b->nodes[i].word);
        uint32_t at = (uint32_t)key & (size - 1), check = (uint32_t)(key >> 32) | 1u;
        for (; slots[at].check; at = (at + 1) & (size - 1))
            if (slots[at].check == check)
                kt_patc_die(name, "two words have one hash: change kt_lexicon_word");
        slots[at].check = check;
        slots[at].node = (uint16_t)i;
    }
    fprintf(out, "static const struct kt_lexicon_slot slots[%u] = {", size);
    for (uint32_t i = 0; i < size; i++)
        fprintf(out, "%s{%uu, %u},", i % 8 == 0 ? "\n" : "", slots[i].check, slots[i].node);
    fprintf(out, "\n};\n#define SLOT_MASK %uu\n", size - 1);
    free(slots);
}

static void write_bits(const char *name, const uint64_t *bits, size_t count, FILE *out)
{
    fprintf(out, "static const uint64_t %s[] = {", name);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s%#llx,", i % 8 == 0 ? "\n" : "", (unsigned long long)bits[i]);
    fprintf(out, "\n};\n");
}

static void write_first_words(const struct build *b, FILE *out)
{
    static uint64_t bits[KT_LEXICON_FIRST_BITS / 64];
    for (unsigned i = 1; i < b->node_count; i++) {
        unsigned bit = kt_lexicon_first_bit(b->nodes[i].word);
        if (b->nodes[i].before == 0)
            bits[bit / 64] |= UINT64_C(1) << bit % 64;
    }
    write_bits("first_words", bits, KT_COUNT(bits), out);
}

static void write_nodes(const struct build *b, FILE *out)
{
    unsigned at = 0;
    fprintf(out, "static const struct kt_lexicon_node nodes[%u] = {", b->node_count);
    for (unsigned i = 0; i < b->node_count; i++) {
        unsigned n = 0;
        for (unsigned c = 0; c < KT_LEXICON_CONCEPTS; c++)
            n += (unsigned)(b->nodes[i].concepts >> c & 1);
        fprintf(out, "%s{%u, %u, %uu},", i % 10 == 0 ? "\n" : "", at, n, b->nodes[i].next);
        at += n;
    }
    fprintf(out, "\n};\nstatic const uint8_t concepts[] = {");
    for (unsigned i = 0; i < b->node_count; i++)
        for (unsigned c = 0; c < KT_LEXICON_CONCEPTS; c++)
            if (b->nodes[i].concepts >> c & 1)
                fprintf(out, "%u,", c);
    fprintf(out, "0};\n");
}

static int by_letters(const void *a, const void *b)
{
    return strcmp(((const struct stem *)a)->letters, ((const struct stem *)b)->letters);
}

static void write_stems(struct build *b, FILE *out)
{
    qsort(b->stems, b->stem_count, sizeof b->stems[0], by_letters);
    fprintf(out, "static const struct kt_lexicon_stem stems[] = {\n");
    for (unsigned i = 0; i < b->stem_count; i++)
        fprintf(out, "{\"%s\", %zu, %u},\n", b->stems[i].letters, strlen(b->stems[i].letters),
                b->stems[i].concept);
    fprintf(out, "{\"\", 0, 0}};\n#define STEM_COUNT %uu\n", b->stem_count);
    uint64_t bits[KT_LEXICON_STEM_BITS / 64] = {0};
    for (unsigned i = 0; i < b->stem_count; i++) {
        unsigned bit = kt_lexicon_stem_bit(kt_lexicon_load(b->stems[i].letters, KT_LEXICON_STEM));
        bits[bit / 64] |= UINT64_C(1) << bit % 64;
    }
    write_bits("stem_starts", bits, KT_COUNT(bits), out);
}

static unsigned steps_of(const struct kt_patc_rule *r)
{
    unsigned n = 0;
    while (n < KT_LEXICON_STEPS && r->steps[n])
        n++;
    return n;
}

/* Rules with the same first step share an opening. Fills the opening of each rule; returns how many there
 * are. */
static unsigned find_openings(const struct kt_patc_set *set, unsigned char opening[],
                              kt_concept_set openings[])
{
    unsigned n = 0;
    for (unsigned i = 0; i < set->rule_count; i++) {
        unsigned o = 0;
        opening[i] = 0;
        if (steps_of(&set->rules[i]) < 2)
            continue;
        while (o < n && openings[o] != set->rules[i].steps[0])
            o++;
        if (o == KT_LEXICON_OPENINGS)
            kt_patc_die(set->name, "too many different first steps of rules");
        openings[o] = set->rules[i].steps[0];
        n += o == n;
        opening[i] = (unsigned char)o;
    }
    return n;
}

static void write_openings(const struct kt_patc_set *set, const kt_concept_set openings[], unsigned n,
                           FILE *out)
{
    unsigned at = 0, first[KT_LEXICON_CONCEPTS + 1];
    fprintf(out, "static const uint8_t openings[] = {");
    for (unsigned c = 0; c < set->concept_count; c++) {
        first[c] = at;
        for (unsigned o = 0; o < n; o++)
            if (openings[o] >> c & 1) {
                fprintf(out, "%u,", o);
                at++;
            }
    }
    first[set->concept_count] = at;
    fprintf(out, "0};\nstatic const uint16_t first_opening[] = {");
    for (unsigned c = 0; c <= set->concept_count; c++)
        fprintf(out, "%u,", first[c]);
    fprintf(out, "};\n#define OPENING_COUNT %uu\n", n);
}

static void write_rules(const struct kt_patc_set *set, FILE *out)
{
    unsigned at = 0, first[KT_LEXICON_CONCEPTS + 1];
    unsigned char opening[256];
    kt_concept_set openings[KT_LEXICON_OPENINGS];
    write_openings(set, openings, find_openings(set, opening, openings), out);
    fprintf(out, "static const struct kt_lexicon_rule rules[] = {\n");
    for (unsigned i = 0; i < set->rule_count; i++)
        fprintf(out, "{%u, %u, %u, %u, %u, %u},\n", set->rules[i].family, set->rules[i].weight,
                set->rules[i].gap, steps_of(&set->rules[i]), set->rules[i].sentences, opening[i]);
    fprintf(out, "{0, 0, 0, 0, 0, 0}};\nstatic const struct kt_lexicon_use uses[] = {");
    for (unsigned c = 0; c < set->concept_count; c++) {
        first[c] = at;
        /* the last step first: kt_lexicon.c walks them so */
        for (unsigned s = KT_LEXICON_STEPS; s-- > 0;)
            for (unsigned i = 0; i < set->rule_count; i++)
                if (set->rules[i].steps[s] >> c & 1 && (s > 0 || steps_of(&set->rules[i]) == 1)) {
                    fprintf(out, "{%u, %u},", i, s);
                    at++;
                }
    }
    first[set->concept_count] = at;
    fprintf(out, "{0, 0}};\nstatic const uint16_t first_use[] = {");
    for (unsigned c = 0; c <= set->concept_count; c++)
        fprintf(out, "%u,", first[c]);
    fprintf(out, "};\n");
}

static void write_phrases(const struct kt_patc_set *set, FILE *out)
{
    fprintf(out, "static const uint8_t phrase_family[] = {");
    for (unsigned i = 0; i < set->phrase_count; i++)
        fprintf(out, "%u,", set->phrases[i].family);
    fprintf(out, "};\nstatic const uint8_t phrase_weight[] = {");
    for (unsigned i = 0; i < set->phrase_count; i++)
        fprintf(out, "%u,", set->phrases[i].weight);
    fprintf(out, "};\n");
}

static void check_used(const struct kt_patc_set *set)
{
    for (unsigned c = 0; c < set->concept_count; c++) {
        kt_concept_set used = 0;
        for (unsigned i = 0; i < set->rule_count; i++)
            for (unsigned s = 0; s < KT_LEXICON_STEPS; s++)
                used |= set->rules[i].steps[s];
        if (!(used >> c & 1))
            kt_patc_die(set->concepts[c].name, "no rule uses this concept");
    }
}

void kt_patc_lexicon(const struct kt_patc_set *set, FILE *out)
{
    struct build *b = calloc(1, sizeof *b);
    if (!b || set->concept_count > KT_LEXICON_CONCEPTS || set->rule_count > 256)
        kt_patc_die(set->name, "too many concepts or rules");
    b->node_count = 1;
    for (unsigned c = 0; c < set->concept_count; c++) {
        b->concept = c;
        b->where = set->concepts[c].name;
        kt_patc_expand(b->where, set->concepts[c].words, add_words, b);
    }
    check_used(set);
    fprintf(out, "#include \"policyengine/detect/kt_lexicon.h\"\n\n");
    write_slots(b, set->name, out);
    write_first_words(b, out);
    write_nodes(b, out);
    write_stems(b, out);
    write_rules(set, out);
    write_phrases(set, out);
    fprintf(out,
            "\nconst struct kt_lexicon kt_lexicon_%s = {\"%s\", slots, SLOT_MASK, nodes, concepts, stems, "
            "STEM_COUNT, stem_starts, first_words, rules, %u, "
            "uses, first_use, openings, first_opening, OPENING_COUNT, phrase_family, phrase_weight, %u};\n",
            set->name, set->name, set->rule_count, set->phrase_count);
    free(b);
}
