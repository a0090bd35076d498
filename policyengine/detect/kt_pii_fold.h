/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Text as the detectors of personal data see it: full-width forms are ASCII, every space is ' ', every dash
 * is '-', characters of no width are gone, and escapes (of JSON source, addresses and pages) are what they
 * stand for.
 */
#include "policyengine/base/kt_buf.h"

#ifdef __cplusplus
extern "C" {
#endif

/* In a row of characters without width the ones behind these stay: what is held back must be bounded. */
#define KT_PII_WIDTHLESS_MAX 4u
#define KT_PII_FOLD_MAX 4u /* bytes that one unit may become */

/* One character, or one escape of JSON source. */
struct kt_pii_unit {
    size_t raw; /* bytes of the source; 0 = it goes on behind the end */
    size_t len; /* bytes of `text` */
    bool widthless;
    char text[KT_PII_FOLD_MAX];
};

/* The unit at s[0], `left` > 0 bytes long at most. Invalid UTF-8 and invalid escapes are units of one byte.
 */
struct kt_pii_unit kt_pii_unit(const char *s, size_t left, bool json, bool final);

/* The same, where "%40", "&#64;" and "&commat;" are what they stand for: percent escapes of signs, and
 * references to ASCII. */
struct kt_pii_unit kt_pii_web_unit(const char *s, size_t left, bool json, bool final);

/* The escape of JSON source at s[0] == '\\', of one level and nothing folded; raw 1 and a backslash where it
 * is none. */
struct kt_pii_unit kt_pii_escape(const char *s, size_t left, bool final);

/* True where folding could change something: false = the text is what the detectors see. */
bool kt_pii_folds(const char *s, size_t len, bool json, bool final);
/* Length of s without a character that is cut off at the end. */
size_t kt_pii_whole_chars(const char *s, size_t len);

/* Appends JSON source with its escapes decoded: the value as a program would read it. */
kt_result kt_pii_decode_json(const char *s, size_t len, struct kt_buf *out) KT_MUST;

#ifdef __cplusplus
}
#endif
