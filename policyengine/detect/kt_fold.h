/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Text as the pattern sets see it: what a reader takes for the same letter becomes the same byte. Lower case
 * ASCII; accents, full width, mathematical and circled letters and common Cyrillic and Greek lookalikes
 * folded to their base letter; zero-width, bidi, variation and combining marks dropped; runs of white space
 * become one ' ', or one '\n' where a line ended. Other scripts pass as they are. Tag characters (U+E0000..)
 * and variation selectors that spell bytes (U+E0110.., 16 below the byte), which no screen shows, go to
 * `hidden` as what they spell.
 */
#include "policyengine/base/kt_buf.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_FOLD_HIDDEN 1024u

struct kt_fold {
    char *out; /* borrowed: room for `cap` bytes */
    size_t len, cap;
    char gap;     /* white space that was seen and not yet written: 0, ' ' or '\n' */
    bool escapes; /* "\n", "\u0069", "&#105;" of source in the text become what they stand for; with `final`
                     only */
    bool keep_lookalikes; /* Cyrillic, Greek and other letters that look Latin stay what they are */
    bool keep_forms;      /* full-width, mathematical and circled letters, zero-width and tag signs stay */
    char *hidden;         /* borrowed: room for KT_FOLD_HIDDEN bytes; NULL = not wanted */
    size_t hidden_len;
};

/* Appends the folded form of `in` to f->out until it is full. Returns the bytes of `in` that were dealt with:
 * fewer than `len` where the room ran out or, unless `final`, where a character is cut. A sign of no word
 * (an emoji) becomes one by itself: at most twice as many bytes are written as read. */
size_t kt_fold_text(struct kt_fold *f, const char *in, size_t len, bool final);

#ifdef __cplusplus
}
#endif
