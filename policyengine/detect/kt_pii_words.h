/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Words around a value that say what it is. Whole words only ("public" says nothing about a "lic"), compared
 * without case and accents; a capital inside a word starts a new one ("phoneNumber"). */
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Classes of words. pii_words.def says which word is of which class. */
#define KT_PII_W_PHONE (1ull << 0)
#define KT_PII_W_REACH (1ull << 1) /* "contact": a number near it may be a phone */
#define KT_PII_W_OTHER (1ull << 2) /* "order", "invoice": a number near it is none of a person's */
#define KT_PII_W_CARD (1ull << 3)
#define KT_PII_W_CVV (1ull << 4)
#define KT_PII_W_EXPIRY (1ull << 5)
#define KT_PII_W_SSN (1ull << 6)
#define KT_PII_W_BANK (1ull << 7)
#define KT_PII_W_NHS (1ull << 8)
#define KT_PII_W_BIRTH (1ull << 9) /* names the field: "dob", "birthday" */
#define KT_PII_W_BORN (1ull << 10) /* of a sentence: "born", "geboren" */
#define KT_PII_W_VERSION (1ull << 11)
#define KT_PII_W_VIN (1ull << 12)
#define KT_PII_W_CRYPTO (1ull << 13)
#define KT_PII_W_VAT (1ull << 14)
#define KT_PII_W_TAX (1ull << 15)
#define KT_PII_W_PASSPORT (1ull << 16)
#define KT_PII_W_LICENCE (1ull << 17)
#define KT_PII_W_NPI (1ull << 18)
#define KT_PII_W_RECORD (1ull << 19)   /* of a patient */
#define KT_PII_W_MEMBER (1ull << 20)   /* of an insurance */
#define KT_PII_W_NATIONAL (1ull << 21) /* the name of some country's number of persons */
#define KT_PII_W_IDENTITY (1ull << 22) /* "identity", "citizen", "personal" */
#define KT_PII_W_MAC (1ull << 23)
#define KT_PII_W_SECURITY (1ull << 24)
#define KT_PII_W_CODE (1ull << 25)
#define KT_PII_W_PATIENT (1ull << 26)
#define KT_PII_W_ID (1ull << 28)     /* "id", "guid": some identifier */
#define KT_PII_W_NUMBER (1ull << 30) /* "number", "no": of whatever is named beside it */
#define KT_PII_W_SELF (1ull << 29)   /* "I", "my": somebody speaks of himself */
/* Words that are a social security number's only together, or beside a sign: "social security", "Soc. Sec.",
 * "SS#". */
#define KT_PII_W_SOCIAL (1ull << 31)
#define KT_PII_W_SOC (1ull << 32)
#define KT_PII_W_SEC (1ull << 33)
#define KT_PII_W_SS (1ull << 34)
#define KT_PII_W_NETWORK (1ull << 27) /* "ip", "host", "dns" */

#define KT_PII_PLAIN_MAX 42
/* The word in small letters without accents, cut at KT_PII_PLAIN_MAX - 2; returns its length. */
size_t kt_pii_plain_word(const char *word, size_t len, char out[KT_PII_PLAIN_MAX]);

/* Classes of a word of `len` bytes; 0 for a word that says nothing. */
uint64_t kt_pii_word_classes(const char *word, size_t len);

/* Classes of all words of a text, or-ed; *last receives those of the last word that has any. */
uint64_t kt_pii_classes_of(const char *text, size_t len, uint64_t *last);

#ifdef __cplusplus
}
#endif
