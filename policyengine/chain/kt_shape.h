/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What reads as a placeholder. Models alter what they repeat: "[email_1]", "[EMAIL 1]", "[ EMAIL-1 ]",
 * "\[EMAIL\_1\]" and "[EMAIL1]" all have the same *key*, EMAIL1: letters and digits, capitals, nothing else.
 * In brackets of another kind, "(EMAIL_1)", only the unaltered spelling counts.
 */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_SHAPE_KEY_MAX 48u
#define KT_SHAPE_MAX 96u /* bytes from bracket to bracket; what is longer is no placeholder */

enum kt_shape_is {
    KT_SHAPE_NONE, /* certainly none, whatever follows */
    KT_SHAPE_OPEN, /* the text ends before that is known; `key` is what there is of it */
    KT_SHAPE_WHOLE
};

struct kt_shape {
    char key[KT_SHAPE_KEY_MAX];
    size_t key_len;
    size_t len;         /* bytes from the opening bracket to the closing one, both included */
    bool exact;         /* in other brackets: only what is between them is the name, and as it stands */
    bool close_escaped; /* a backslash stands before the closing bracket */
};

/* True for bytes that may open a placeholder. */
static inline bool kt_shape_opens(char c)
{
    return c == '[' || c == '(' || c == '{' || c == '<';
}

/* `text` begins with a byte that opens one. */
enum kt_shape_is kt_shape_read(const char *text, size_t len, struct kt_shape *out);

#ifdef __cplusplus
}
#endif
