/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Follows a text that is JSON as a whole, and JSON within its strings, byte by byte: where a byte stands
 * decides how something may be put in its place. Strict: a text that is no JSON is let go at the first byte
 * that no JSON has there, and stays plain text. What stood in front of an offset decides alone, so that a
 * stream says what the whole text says.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KT_JSON_LEVELS 8u  /* JSON in a string in JSON in a string ...; deeper ones are words */
#define KT_JSON_NESTED 64u /* objects and arrays within each other, of one level; deeper is no JSON */

struct kt_json_level {
    uint64_t objects; /* a bit for each container that is open; set for an object */
    uint16_t depth;
    uint16_t code; /* of the \u escape under way */
    uint8_t state, sub, escape;
};

/* Plain data: a copy goes on from where it was made. */
struct kt_json_track {
    size_t at;    /* bytes read */
    size_t clean; /* last offset that lies in no escape of any level */
    size_t token; /* where the last number or word outside of strings begins */
    struct kt_json_level level[KT_JSON_LEVELS];
};

struct kt_json_place {
    bool json;      /* false: plain text, the rest says nothing */
    bool bare;      /* outside of the strings of its level */
    bool token;     /* within a number or a word (true, null), or where one may begin */
    bool known;     /* JSON because the caller said so: no token is told */
    unsigned level; /* strings around it that hold JSON; 0 for the text itself */
};

/* `known`: the text is JSON source whatever it looks like, and is only read for its strings. */
void kt_json_track_start(struct kt_json_track *t, bool known);
/* data[0] is the byte at t->at. */
void kt_json_track_read(struct kt_json_track *t, const char *data, size_t len);
/* Where the byte at t->at stands. */
struct kt_json_place kt_json_track_place(const struct kt_json_track *t);
/* A number or a word of this level has begun and not ended in front of t->at. */
bool kt_json_track_in_token(const struct kt_json_track *t);

#ifdef __cplusplus
}
#endif
