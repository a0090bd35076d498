/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The lexical half of the tokenizer, private to policyengine/body: where a string, a number, a word ends, and
 * what an escape stands for. All scanners move *pos and answer whether the grammar was kept; on false *pos
 * names the bad byte.
 */
#include "policyengine/body/kt_json.h"

/* *pos at the opening quote; behind the closing quote after it. Demands valid UTF-8 and escaped control
 * bytes. */
bool kt_json_lex_string(const char *text, size_t len, size_t *pos, bool *escaped);
bool kt_json_lex_number(const char *text, size_t len, size_t *pos);
/* One of true, false, null. */
bool kt_json_lex_word(const char *text, size_t len, size_t *pos, const char *word);
static inline size_t kt_json_lex_space(const char *text, size_t len, size_t pos)
{
    while (pos < len && (text[pos] == ' ' || text[pos] == '\n' || text[pos] == '\r' || text[pos] == '\t'))
        pos++;
    return pos;
}

/* Decodes the escape at `p` (a backslash inside a string that was lexed). Returns the raw bytes it takes; *n
 * receives the number of UTF-8 bytes put into `out`. A surrogate pair is one escape. */
size_t kt_json_escape(const char *p, char out[4], size_t *n);

/* A place inside a string, in both countings. Walks forward only, so that a series of ascending look-ups is
 * linear. */
struct kt_json_place {
    uint32_t tok;
    size_t decoded; /* of the start of a character */
    size_t raw;     /* the same place in j->text */
};
void kt_json_place_init(struct kt_json_place *p, const struct kt_json *j, uint32_t tok);
/* Moves to the character that holds decoded offset `target` (>= p->decoded), or to the closing quote. */
void kt_json_place_seek(struct kt_json_place *p, const struct kt_json *j, size_t target);
/* Moves behind the character at p; no-op at the closing quote. */
void kt_json_place_step(struct kt_json_place *p, const struct kt_json *j);
