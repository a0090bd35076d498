/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A span tokenizer for JSON (RFC 8259, strict: no comments, no trailing commas, valid UTF-8, paired
 * surrogates in escapes are not demanded). It never copies: a token is a range of the text, in document
 * order, and `next` jumps over a whole value, so that walking an object touches only its own members. One
 * pass, linear.
 */
#include "policyengine/base/kt_buf.h"

#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

enum kt_json_type {
    KT_JSON_OBJECT,
    KT_JSON_ARRAY,
    KT_JSON_STRING,
    KT_JSON_NUMBER,
    KT_JSON_TRUE,
    KT_JSON_FALSE,
    KT_JSON_NULL
};

/* `start`..`end`: bytes of the value in the text. Strings: the quotes are inside the range. Objects hold
 * key, value, key, value, ... tokens directly behind their own token; arrays hold their elements. */
struct kt_json_tok {
    uint32_t start;
    uint32_t end;
    uint32_t next; /* index of the first token behind this value */
    uint32_t type : 3;
    uint32_t escaped : 1; /* string with at least one backslash */
    uint32_t size : 28;   /* members of an object (pairs), elements of an array */
};

struct kt_json {
    const char *text; /* borrowed */
    size_t len;
    struct kt_json_tok *tok; /* owned; tok[0] is the root */
    uint32_t count;
};

#define KT_JSON_MAX_DEPTH 256
#define KT_JSON_MAX_TOKENS (4u << 20) /* 64 MiB of token memory */

/* Parses `text` (borrowed: must outlive `j`). KT_ERR_SYNTAX with `err` naming the byte offset, KT_ERR_LIMIT
 * past the depth or token cap or 4 GiB, KT_ERR_MEMORY. On failure `j` is empty. */
kt_result kt_json_parse(struct kt_json *j, const char *text, size_t len, struct kt_error *err) KT_MUST;
void kt_json_free(struct kt_json *j);

/* Index of the value of member `key` of object token `obj`, or 0 where there is none (0 is the root, never a
 * value). Keys compare after unescaping. *duplicate (may be NULL) = the key occurs more than once; then the
 * last one is the answer, as with most readers. */
uint32_t kt_json_member(const struct kt_json *j, uint32_t obj, const char *key, bool *duplicate);
/* Key token of the value at index `value` inside an object: value - 1. */

/* Raw text of a token; for strings including the quotes. */
struct kt_span kt_json_raw(const struct kt_json *j, uint32_t tok);
bool kt_json_escaped_eq(const struct kt_json *j, uint32_t tok, const char *text);

/* True where the token is a string that unescapes to exactly `text`. Inline: of a name in the source the
 * compiler knows the length, and most names that are compared differ in it or in the first letter. */
static inline bool kt_json_str_eq(const struct kt_json *j, uint32_t tok, const char *text)
{
    const struct kt_json_tok *t = &j->tok[tok];
    if (tok >= j->count || t->type != KT_JSON_STRING)
        return false;
    if (t->escaped)
        return kt_json_escaped_eq(j, tok, text);
    size_t len = t->end - t->start - 2;
    const char *raw = j->text + t->start + 1;
    return len == 0 ? *text == '\0' : *raw == *text && strlen(text) == len && memcmp(raw, text, len) == 0;
}
/* Appends the unescaped UTF-8 of string token `tok`. A lone surrogate becomes U+FFFD. */
kt_result kt_json_unescape(const struct kt_json *j, uint32_t tok, struct kt_buf *out) KT_MUST;

/* Bytes that kt_json_unescape would append of string token `tok`; no memory, at once where nothing is
 * escaped.
 */
size_t kt_json_str_size(const struct kt_json *j, uint32_t tok);

/* Value of a number token, the same in every locale; KT_ERR_SYNTAX for another token. Past the range of a
 * double it is
 * +-HUGE_VAL or 0. */
kt_result kt_json_number(const struct kt_json *j, uint32_t tok, double *out) KT_MUST;

/* Two number tokens, exactly, however many digits they have: -1, 0 or 1. */
int kt_json_number_compare(const struct kt_json *j, uint32_t tok, const struct kt_json *k, uint32_t other);

/* Maps byte offsets of the unescaped text of string token `tok` back to raw offsets into j->text. `decoded`
 * must be ascending; raw[i] receives the start of the raw character (or escape sequence) that produces
 * decoded[i]; an offset inside a multi-byte character maps to that character's start, the end offset (and any
 * past it) to the closing quote. */
void kt_json_map_offsets(const struct kt_json *j, uint32_t tok, const size_t *decoded, size_t *raw, size_t n);

#ifdef __cplusplus
}
#endif
