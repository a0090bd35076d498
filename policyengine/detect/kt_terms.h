/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A user's own terms in text as it came, with their places: whole words and rows of words, without case,
 * accents and look-alike letters (kt_fold.h), whatever white space, dashes or invisible characters stand
 * between. A sign in a term
 * ("C++", "node.js") must be there; a Han, Kana or Thai character is a word of its own. Linear in the text;
 * the number of terms does not matter, unless a distance is wanted.
 *
 * With a distance, a word of a term also stands for words that differ from it by up to that many letters
 * (Levenshtein), one for every four letters of the word at most, so that short words stay themselves.
 */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_TERMS_MAX 100000u
#define KT_TERM_WORDS 32u
#define KT_TERM_WORD_BYTES 64u /* folded */
#define KT_TERM_DISTANCE 8u

struct kt_terms; /* immutable, any thread */

/* new. KT_ERR_USAGE with `err` naming the term where it has no word in it or is past a limit. */
kt_result kt_terms_new(char *const *terms, size_t n, unsigned distance, struct kt_terms **out,
                       struct kt_error *err) KT_MUST;
void kt_terms_free(struct kt_terms *t);

typedef void (*kt_terms_hit_fn)(void *ctx, size_t term, size_t start, size_t end);

/* One segment in windows. Zero-initialised = at its start. */
struct kt_terms_stream {
    size_t scanned; /* absolute */
    bool in_word;   /* `scanned` lies in a word that is too long to be one of a term */
};

/* `base`: absolute offset of data[0]; at most the *hold that the window before returned. Offsets of hits and
 * *hold are absolute. Where terms overlap, the one that starts first, and then the longest, is the one. No
 * allocation. */
void kt_terms_window(const struct kt_terms *t, struct kt_terms_stream *s, const char *data, size_t len,
                     size_t base, bool final, kt_terms_hit_fn hit, void *ctx, size_t *hold);

#ifdef __cplusplus
}
#endif
