/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What kt_lang_read counts of a text, for kt_lang.c. */
#include "policyengine/detect/kt_lang_chars.h"
#include "policyengine/detect/kt_lang_words.h"

#define KT_LANG_MET 2048u /* a power of two; words that share a place count as one */

struct kt_lang_tally {
    const struct kt_lang_table *words;
    double script[KT_SCRIPTS]; /* letters; one of an ideographic script weighs three */
    double score[KT_LANG_WORDED];
    double shared[KT_LANG_WORDED]; /* where it is enough to be one of several */
    double count;                  /* words of prose */
    unsigned different[KT_LANG_WORDED];
    uint8_t met[KT_LANG_MET];       /* how often a word was counted, by its hash */
    unsigned persian, urdu, arabic; /* letters that only these have */
    char word[KT_LANG_WORD + 8];    /* the word that is being read, lower case */
    size_t len;
    uint32_t marked; /* languages that have one of its letters */
    bool too_long, prose;
    bool all;              /* quotations count like everything else */
    unsigned told, quoted; /* letters outside of quotation marks, and within */
    bool dot;              /* a full stop directly in front: "example.com" is no prose */
};

/* Adds the text, or KT_LANG_SAMPLE bytes of a longer one; t->words is set, the rest begins as zero. What
 * stands between quotation marks counts only where it is most of the text: 'What does "je ne sais quoi"
 * mean?' is English. */
void kt_lang_read(struct kt_lang_tally *t, const char *text, size_t len);
