/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Finds text that is written in another alphabet of bytes: base64 (both kinds), base32, hex (plain, spaced,
 * "\x41"), percent escapes, numbers of characters ("&#65;", "\u0041", "\101", bits, decimal), Morse. */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_DECODE_MAX 4096u /* decoded bytes of one blob; the rest of a longer one is passed over */
#define KT_DECODE_RUN 20u   /* shorter runs are words */

/* Decodes the next blob of `text` from *at on that gives readable text, and moves *at behind it. Returns the
 * bytes written to `out` (room for KT_DECODE_MAX), 0 where no blob follows. */
size_t kt_decode_next(const char *text, size_t len, size_t *at, char *out);

/* Decodes `run`, letters of base64 and line ends, as a whole, where that gives printable text, be it digits
 * only; returns as above. */
size_t kt_decode_run(const char *run, size_t len, char *out);

/* In place. rot13 of ASCII letters. */
void kt_decode_rot13(char *text, size_t len);
/* In place. Atbash: the alphabet turned round. */
void kt_decode_atbash(char *text, size_t len);
/* In place. */
void kt_decode_reverse(char *text, size_t len);
/* In place. Digits and signs that stand for letters inside of words: "1gn0r3". */
void kt_decode_leet(char *text, size_t len);
/* In place; returns the new length. "i g n o r e  a l l" and "i-g-n-o-r-e": joins single letters. */
size_t kt_decode_spaced(char *text, size_t len);
/* True where eight letters follow each other so. */
bool kt_decode_spaced_hint(const char *text, size_t len);
/* Words that orders to a model are made of, with their inner letters out of order: "ignroe yuor rulse". */
unsigned kt_decode_scrambled_count(const char *text, size_t len);
/* In place: sets them right. */
void kt_decode_scrambled(char *text, size_t len);

#ifdef __cplusplus
}
#endif
