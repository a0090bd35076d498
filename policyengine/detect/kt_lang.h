/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which language a text is written in: scripts first, then the function words, endings and letters of the
 * languages that share a script. Deterministic, no data set, no allocation but one table per process.
 *
 * Knows ar bg ca cs da de el en es fa fi fr he hi hr hu id it ja ko nl no pl pt ro ru sk sv th tr uk ur vi
 * zh. What it cannot tell (too short, mixed, code, lists of names) it says to be unknown.
 */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `out`: the ISO 639-1 code, or "" where the language is unknown. *confidence: 0..1, 0 with "". Looks at no
 * more than KT_LANG_SAMPLE bytes, spread over a longer text. KT_ERR_MEMORY only. Any thread. */
#define KT_LANG_SAMPLE 16384u
kt_result kt_lang_detect(const char *text, size_t len, char out[3], double *confidence) KT_MUST;

struct kt_lang_set {
    char codes[8][3];  /* the likeliest first */
    size_t count;      /* at least 1 */
    double confidence; /* that it is none but these, 0..1 */
};

/* What a text may be in, the narrowest answer first: one language, those that are as near it as Norwegian is
 * to Danish, all of its script. Each has its own confidence; a text is in a language of every set that is
 * sure. */
struct kt_langs {
    struct kt_lang_set sets[3];
    size_t count; /* 0 = the language is unknown */
};
kt_result kt_lang_guess(const char *text, size_t len, struct kt_langs *out) KT_MUST;
bool kt_lang_guessed(const struct kt_lang_set *g, const char *code);

/* True for a code that kt_lang_detect can give. */
bool kt_lang_known(const char *code);
/* "ar bg ca ...", for messages. */
const char *kt_lang_list(void);

#ifdef __cplusplus
}
#endif
