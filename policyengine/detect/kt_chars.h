/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Characters of UTF-8 and their lower case, independent of the locale. */
#include "policyengine/base/kt_buf.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of the character at `text` (1 where it is none: *cp is U+FFFD then). len > 0. */
size_t kt_char_next(const char *text, size_t len, uint32_t *cp);
/* Latin (with Latin-1 and Extended-A), Greek and Cyrillic; all others stay. */
uint32_t kt_char_lower(uint32_t cp);
/* Appends `text` in lower case; bytes that are no UTF-8 stay. */
kt_result kt_chars_lower(const char *text, size_t len, struct kt_buf *out) KT_MUST;
/* Letters, the marks that go with them, and decimal digits, of any script. */
bool kt_char_is_word(uint32_t cp);
/* Characters of the text; a byte that is none counts as one. */
size_t kt_chars_count(const char *text, size_t len);

/* Value of a base64 digit, either alphabet; -1 for any other byte. */
int kt_base64_value(unsigned char c);

#ifdef __cplusplus
}
#endif
