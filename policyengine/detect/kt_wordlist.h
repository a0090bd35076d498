/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A user's own terms (words or rows of words), found in folded text (kt_fold.h) as whole words: "cat" is not
 * found in "concatenate", and case, accents and look-alike letters make no difference, nor does what stands
 * between the words of a term. Linear in the text whatever the terms are.
 *
 * With a distance, a word of a term also stands for words that differ by up to that many letters
 * (Levenshtein): one edit for every four letters of the word at most, so that short words stay themselves.
 */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_WORDLIST_TERMS 1000u /* terms of one list */
#define KT_WORDLIST_TERM_BYTES                                                                               \
    200u /* of one term, folded; a caller that works in blocks keeps as much of the text */
#define KT_WORDLIST_TERM_WORDS 16u
#define KT_WORDLIST_WORD_BYTES 48u
#define KT_WORDLIST_DISTANCE 3u

struct kt_wordlist; /* immutable, any thread */

/* new. KT_ERR_USAGE with `err` where a term has no word in it or is past a limit. */
kt_result kt_wordlist_new(char *const *terms, size_t n, unsigned distance, struct kt_wordlist **out,
                          struct kt_error *err) KT_MUST;
void kt_wordlist_free(struct kt_wordlist *l);

/* A term (its index) ends at `end`. Returns true to stop. */
typedef bool (*kt_wordlist_hit_fn)(void *ctx, size_t term, size_t end);

/* `text` is folded. No allocation. */
void kt_wordlist_run(const struct kt_wordlist *l, const char *text, size_t len, kt_wordlist_hit_fn hit,
                     void *ctx);

#ifdef __cplusplus
}
#endif
