/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Text as a row of words and signs. */
#include "policyengine/detect/kt_terms.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_TOKEN_RAW 512u /* bytes of a word with all invisible characters in it */

enum kt_token_kind {
    KT_TOKEN_GAP,  /* white space, dashes, underscores */
    KT_TOKEN_WORD, /* folded, in `text` */
    KT_TOKEN_LONG, /* a word that is too long; goes on where `open` */
    KT_TOKEN_CUT   /* the window ends before the token does */
};

struct kt_token {
    enum kt_token_kind kind;
    char text[KT_TERM_WORD_BYTES + 8];
    size_t len;
    size_t end; /* offset behind it */
    bool open;
};

/* The token at `at` (< len). `in_word`: `at` lies in the rest of a LONG one. */
void kt_token_read(const char *data, size_t len, size_t at, bool final, bool in_word, struct kt_token *out);

#ifdef __cplusplus
}
#endif
