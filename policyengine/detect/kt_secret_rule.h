/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the rules of the secret detector have in common. */
#include "policyengine/detect/kt_secret.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kt_secret_view {
    const char *data;
    size_t len;
    size_t floor; /* end of the last hit: no secret starts in front of it */
    bool final;   /* nothing follows behind len */
};

/* MORE: the answer could change with the next byte. */
enum kt_secret_answer { KT_SECRET_NO, KT_SECRET_YES, KT_SECRET_MORE };

/* Where a literal was found; the rule looks on from `end`. */
struct kt_secret_anchor {
    size_t start, end;
    unsigned arg; /* of the rule's line */
};

/* True YES: *hit is filled, floor <= hit->start < hit->end. */
typedef enum kt_secret_answer (*kt_secret_rule_fn)(const struct kt_secret_view *v,
                                                   const struct kt_secret_anchor *a,
                                                   struct kt_secret_hit *hit);

enum kt_secret_answer kt_secret_token(const struct kt_secret_view *v, const struct kt_secret_anchor *a,
                                      struct kt_secret_hit *hit);
enum kt_secret_answer kt_secret_named(const struct kt_secret_view *v, const struct kt_secret_anchor *a,
                                      struct kt_secret_hit *hit);
enum kt_secret_answer kt_secret_pem(const struct kt_secret_view *v, const struct kt_secret_anchor *a,
                                    struct kt_secret_hit *hit);
enum kt_secret_answer kt_secret_url(const struct kt_secret_view *v, const struct kt_secret_anchor *a,
                                    struct kt_secret_hit *hit);
enum kt_secret_answer kt_secret_jwt(const struct kt_secret_view *v, const struct kt_secret_anchor *a,
                                    struct kt_secret_hit *hit);
enum kt_secret_answer kt_secret_basic(const struct kt_secret_view *v, const struct kt_secret_anchor *a,
                                      struct kt_secret_hit *hit);
enum kt_secret_answer kt_secret_user_option(const struct kt_secret_view *v, const struct kt_secret_anchor *a,
                                            struct kt_secret_hit *hit);
enum kt_secret_answer kt_secret_telegram(const struct kt_secret_view *v, const struct kt_secret_anchor *a,
                                         struct kt_secret_hit *hit);
enum kt_secret_answer kt_secret_password_option(const struct kt_secret_view *v,
                                                const struct kt_secret_anchor *a, struct kt_secret_hit *hit);
enum kt_secret_answer kt_secret_putty(const struct kt_secret_view *v, const struct kt_secret_anchor *a,
                                      struct kt_secret_hit *hit);
enum kt_secret_answer kt_secret_infix(const struct kt_secret_view *v, const struct kt_secret_anchor *a,
                                      struct kt_secret_hit *hit);
/* Number of the rules of kt_secret_infix, and the literal of one: the mark within the token. */
unsigned kt_secret_infix_count(void);
const char *kt_secret_infix_mark(unsigned i);

/* Number of the token rules, and the literal of one. */
unsigned kt_secret_token_count(void);
const char *kt_secret_token_prefix(unsigned i);
/* As kt_secret_token for any token that starts exactly at `at`: the more telling name for a value. */
enum kt_secret_answer kt_secret_token_at(const struct kt_secret_view *v, size_t at,
                                         struct kt_secret_hit *hit);

/* ---- text ---- */

/* Byte classes, or-ed. */
#define KT_CH_DIGIT 1u
#define KT_CH_HEX_LOW 2u  /* a-f */
#define KT_CH_HEX_UP 4u   /* A-F */
#define KT_CH_LOWER 8u    /* g-z */
#define KT_CH_UPPER 16u   /* G-Z */
#define KT_CH_UNDER 32u   /* _ */
#define KT_CH_DASH 64u    /* - */
#define KT_CH_DOT 128u    /* . */
#define KT_CH_BASE64 256u /* + / */
#define KT_CH_EQUAL 512u  /* = */
#define KT_CH_OTHER 1024u /* ~ % */
#define KT_CH_LETTER (KT_CH_HEX_LOW | KT_CH_HEX_UP | KT_CH_LOWER | KT_CH_UPPER)
#define KT_CH_ALNUM (KT_CH_LETTER | KT_CH_DIGIT)
extern const uint16_t kt_secret_classes[256];

static inline bool kt_secret_is(char c, unsigned classes)
{
    return kt_secret_classes[(unsigned char)c] & classes;
}

/*
 * What follows a prefix: letters stand for themselves, a backslash names a class: \d digit, \h lower and \H
 * any hex digit, \l lower or digit, \u upper or digit, \a letter or digit, \w \a_ , \k \w- , \j \k. , \b
 * base64, \B base64 and =, \e \B.~%_- ; {n}, {n,m} and {n,} repeat. Takes as much as it can, never back. The
 * shape must not go on behind its end (no letter or digit there). *end receives the end.
 */
enum kt_secret_answer kt_secret_shape(const struct kt_secret_view *v, size_t at, const char *shape,
                                      size_t *end);

/* True where a value may start at `at`: no letter or digit in front, save the letter of an escape ("\nAKIA")
 * or the digits of one ("%3DAKIA"). */
bool kt_secret_starts(const struct kt_secret_view *v, size_t at);

/* Bits per byte, Shannon. */
double kt_secret_entropy(const char *text, size_t len);
/* Stands for a value that is to be filled in: "your-api-key", "xxxx", "<TOKEN>", "${VAR}", "changeme",
 * "1234567890", "AKIA...EXAMPLE". */
bool kt_secret_placeholder(const char *text, size_t len);
/* Reads like words: "correct-horse", "userNameField". */
bool kt_secret_wordy(const char *text, size_t len);
/* The case of its letters changes at every other letter or so: "dfkWNVKqfmpd", but not "getUserPassword". */
bool kt_secret_jumbled(const char *text, size_t len);
/* True where `text` (the first 256 bytes of it) holds one of the words (lower case ASCII) in any case. */
bool kt_secret_has(const char *text, size_t len, const char *const *words, size_t count);

#ifdef __cplusplus
}
#endif
