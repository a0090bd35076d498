/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Characters as the language detector needs them: script, lower case, letters that few languages have. */
#include "policyengine/base/kt_base.h"

enum kt_script {
    KT_S_LATIN,
    KT_S_CYRILLIC,
    KT_S_GREEK,
    KT_S_ARABIC,
    KT_S_HEBREW,
    KT_S_DEVANAGARI,
    KT_S_HAN,
    KT_S_KANA,
    KT_S_HANGUL,
    KT_S_THAI,
    KT_S_OTHER,
    KT_SCRIPTS
};

/* The script of a letter; KT_SCRIPTS for what is no letter. */
enum kt_script kt_lang_script(uint32_t cp);
/* Simple lower case of Latin, Greek and Cyrillic letters. */
uint32_t kt_lang_lower(uint32_t cp);
/* The set of languages (1 << enum kt_lang_id) that a letter speaks for; 0 = none. Lower case. */
uint32_t kt_lang_letter(uint32_t cp);
