/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The compiled form of a kt_user_regex: shared by its parser and its machine, by nobody else. */
#include "policyengine/detect/kt_user_regex.h"

#define KT_RE_RANGES 1024u

enum kt_re_op {
    KT_RE_ONE_OF,  /* a character within ranges[x .. x + y) */
    KT_RE_NONE_OF, /* one outside of them */
    KT_RE_ANY,     /* any but '\n' */
    KT_RE_MATCH,
    KT_RE_SPLIT, /* goes on at x and at y */
    KT_RE_JUMP,  /* goes on at x */
    KT_RE_START, /* these take no character; they go on at x */
    KT_RE_END,
    KT_RE_BOUNDARY,
    KT_RE_NO_BOUNDARY
};

struct kt_re_step {
    uint8_t op;
    uint16_t x, y;
};

struct kt_re_range {
    uint32_t first, last;
};

struct kt_user_regex {
    struct kt_re_step steps[KT_USER_REGEX_STEPS];
    struct kt_re_range ranges[KT_RE_RANGES];
    unsigned step_count, range_count;
    bool ignore_case;
    bool anchored; /* starts with '^' and has no '|' outside of groups */
};
