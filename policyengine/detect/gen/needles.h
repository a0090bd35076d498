/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the generator knows of an expression: which strings it stands for, and what each match of it holds. */
#include "policyengine/detect/kt_needles.h"

/* Longer than KT_NEEDLE_MAX: what follows may still be joined to it. */
#define NEEDLE_ROOM 32u

struct needle {
    char text[NEEDLE_ROOM];
    unsigned len;
    bool starts, ends;
};

/* Any of these; items NULL: not known. */
struct needle_set {
    struct needle *items;
    unsigned count;
};

struct needle_info {
    struct needle_set exact;             /* all that it stands for */
    struct needle_set need;              /* one of these is in every match */
    struct needle_set tail;              /* of joined parts: it ends with one of these */
    uint8_t run[KT_NEEDLE_RUN][256 / 8]; /* bytes that can stand at each of its first places */
    unsigned run_len;
    bool run_whole; /* it has these places and no more */
};

/* The expression as a whole; `need` is the best that is known. Memory is not given back: the generator ends
 * soon.
 */
struct needle_info needle_of(const char *regex);

/* Parts of it (needle_sets.c). join: begin with needle_nothing, end with needle_joined. */
struct needle_info needle_nothing(bool edge); /* a place between two bytes */
struct needle_info needle_one_of(const uint8_t bytes[256 / 8]);
struct needle_info needle_join(struct needle_info a, struct needle_info b);
struct needle_info needle_joined(struct needle_info all);
struct needle_info needle_either(struct needle_info a, struct needle_info b);
struct needle_info needle_repeat(struct needle_info a, unsigned least, unsigned most);
