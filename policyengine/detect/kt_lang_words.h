/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The words of patterns/lang.def as one hash table, made on first use. */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

enum kt_lang_id {
#define KT_LANG(code, words) KT_LANG_##code,
#include "policyengine/detect/patterns/lang.def"
#undef KT_LANG
    KT_LANG_WORDED /* number of languages that are told apart by words */
};

#define KT_LANG_WORD 32u /* longer words are in no list */

struct kt_lang_table; /* lives as long as the process */

/* Borrowed; NULL on OOM. */
const struct kt_lang_table *kt_lang_words(void);
/* The languages that have this word (lower case, no longer than KT_LANG_WORD); 0 = none. */
uint32_t kt_lang_word(const struct kt_lang_table *w, const char *word, size_t len);
const char *kt_lang_code(enum kt_lang_id id);

#ifdef __cplusplus
}
#endif
