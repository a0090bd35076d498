/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The words of all terms, and the terms as a tree over them. */
#include "policyengine/detect/kt_terms.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_TERMS_NONE UINT32_MAX

struct kt_terms_word {
    const char *text; /* into the index */
    uint8_t len, distance;
    uint64_t letters; /* one bit for each letter that occurs: words that differ in many are not near */
};

struct kt_terms {
    char *bytes; /* of all words */
    struct kt_terms_word *words;
    uint32_t word_count, node_count;
    uint32_t *word_slots; /* open addressing: word + 1 */
    struct kt_terms_edge {
        uint32_t from, word, to;                /* to == 0: empty */
    } * edges;                                  /* open addressing; the root is node 1 */
    uint32_t *term_of;                          /* [node]: term + 1 where one ends */
    size_t slot_mask;                           /* of both tables */
    uint32_t by_length[KT_TERM_WORD_BYTES + 2]; /* first of the words of a length in `sorted` */
    uint32_t *sorted;                           /* words that may differ, by length */
};

/* KT_TERMS_NONE where no term has the word. */
uint32_t kt_terms_word_id(const struct kt_terms *t, const char *text, size_t len);
/* 0 where the tree does not go on with this word. */
uint32_t kt_terms_step(const struct kt_terms *t, uint32_t node, uint32_t word);
/* Words that the text's word may stand for, the exact one included: at most `most` of them. */
size_t kt_terms_near(const struct kt_terms *t, const char *text, size_t len, uint32_t *out, size_t most);

#ifdef __cplusplus
}
#endif
