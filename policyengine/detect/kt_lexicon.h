/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Words, concepts and rules: the compiled form of a patterns/<set>.def. A text becomes a row of concepts; a
 * rule is a row of concepts in one sentence with bounded gaps. Everything is constant data that the build
 * wrote (gen/), shared by all processes; nothing is allocated or initialised at run time.
 */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_LEXICON_STEM 5u /* letters of a stem that are hashed */
#define KT_LEXICON_STEPS 4u
#define KT_LEXICON_CONCEPTS 128u

struct kt_lexicon_slot {
    uint32_t check; /* upper half of the hash; 0 = empty */
    uint16_t node;
};

/* What a row of words leads to. */
struct kt_lexicon_node {
    uint16_t concepts; /* index of the first in `concepts` */
    uint8_t count;
    uint32_t next; /* kt_lexicon_next_bit of each word that longer rows go on with; 0 = there are none */
};

struct kt_lexicon_stem {
    const char *letters; /* the whole stem */
    uint8_t len;
    uint8_t concept_id;
};

struct kt_lexicon_rule {
    uint8_t family, weight, gap, steps;
    uint8_t sentences; /* ends of sentences that may lie between two steps */
    uint8_t opening;   /* its first step, which many rules share; unused where it is the only one */
};

#define KT_LEXICON_OPENINGS 64u

/* Where a concept stands in the rules, behind their openings. */
struct kt_lexicon_use {
    uint8_t rule, step;
};

struct kt_lexicon {
    const char *name;
    const struct kt_lexicon_slot *slots; /* open addressing */
    uint32_t slot_mask;
    const struct kt_lexicon_node *nodes; /* node 0 = no word yet */
    const uint8_t *concepts;
    const struct kt_lexicon_stem *stems; /* sorted by the first KT_LEXICON_STEM letters */
    unsigned stem_count;
    const uint64_t
        *stem_starts; /* one bit for the first letters of each stem; most words have none of them */
    const uint64_t
        *first_words; /* one bit for each word that may begin a row; most words of most texts do not */
    const struct kt_lexicon_rule *rules;
    unsigned rule_count;                          /* at most 256 */
    const struct kt_lexicon_use *uses;            /* grouped by concept, in it last step first */
    const uint16_t *first_use;                    /* by concept; one more entry marks the end */
    const uint8_t *openings;                      /* that a concept takes, grouped by concept */
    const uint16_t *first_opening;                /* as first_use */
    unsigned opening_count;                       /* distinct; at most KT_LEXICON_OPENINGS */
    const uint8_t *phrase_family, *phrase_weight; /* by pattern id of the set's image (kt_scan.h) */
    unsigned phrase_count;
};
extern const struct kt_lexicon kt_lexicon_injection;
extern const struct kt_lexicon kt_lexicon_safety;

/* Shared with the generator: the hash of a word, and of a row of words from the hash of its last word and the
 * node before. */
static inline uint64_t kt_lexicon_load(const char *p, size_t n)
{
    uint64_t w = 0;
    for (size_t i = 0; i < n; i++)
        w |= (uint64_t)(unsigned char)p[i] << 8 * i;
    return w;
}

static inline uint64_t kt_lexicon_word(const char *p, size_t len)
{
    uint64_t h = len * UINT64_C(0x9e3779b97f4a7c15);
    for (; len > 8; p += 8, len -= 8)
        h = (h ^ kt_lexicon_load(p, 8)) * UINT64_C(0xd6e8feb86659fd93);
    h = (h ^ kt_lexicon_load(p, len)) * UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
}

/* Bit of a word in first_words. */
#define KT_LEXICON_FIRST_BITS 65536u
static inline unsigned kt_lexicon_first_bit(uint64_t word)
{
    return (unsigned)(word ^ word >> 17) & (KT_LEXICON_FIRST_BITS - 1);
}

/* Bit of a word in stem_starts: of its first KT_LEXICON_STEM letters, the first one in the lowest byte. */
#define KT_LEXICON_STEM_BITS 8192u
static inline unsigned kt_lexicon_stem_bit(uint64_t letters)
{
    letters &= (UINT64_C(1) << 8 * KT_LEXICON_STEM) - 1;
    return (unsigned)(letters * UINT64_C(0x9e3779b97f4a7c15) >> 51);
}

/* Of a word in `next` of a node: most words that follow are told without a look into the slots. */
static inline uint32_t kt_lexicon_next_bit(uint64_t word)
{
    return UINT32_C(1) << (word >> 59);
}

static inline uint64_t kt_lexicon_key(unsigned node, uint64_t word)
{
    uint64_t h = (word + node) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ (h >> 29);
}

/* Letters that make words in folded text. An apostrophe counts inside of a word only. */
extern const bool kt_lexicon_letters[256];

static inline bool kt_lexicon_letter(unsigned char c)
{
    return kt_lexicon_letters[c];
}

/* A rule (index into lex->rules) that was met; `end` is the offset behind its last word. */
typedef void (*kt_lexicon_hit_fn)(void *ctx, unsigned rule, size_t end);

/* Reports every rule that `text` (folded) meets, as often as it is met. Linear; no allocation. Looks at the
 * first KT_LEXICON_MAX bytes: callers work in blocks. */
#define KT_LEXICON_MAX 0xfff0u
void kt_lexicon_run(const struct kt_lexicon *lex, const char *text, size_t len, kt_lexicon_hit_fn hit,
                    void *ctx);

#ifdef __cplusplus
}
#endif
