/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What every match of a set of patterns holds: one of some strings, its *needles*, or a run of bytes of
 * certain kinds. A text without any of them has no match, and a pattern engine need not be asked. That costs
 * a short text some 40 cache lines instead of the engine's 400. kt_patc derives the needles from the
 * expressions.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KT_NEEDLE_MAX 12u /* bytes; of a longer string the beginning */
#define KT_NEEDLE_MIN 3u
#define KT_NEEDLE_BITS 16384u
#define KT_NEEDLE_SLOTS 4096u
#define KT_NEEDLE_RUN 8u /* bytes in a row */

struct kt_needle {
    char text[KT_NEEDLE_MAX];
    uint8_t len;
    bool starts, ends; /* stands at a \b with its first, its last byte */
};

/* The needles that begin alike: with four bytes, or all three of a shorter one. count 0: nobody's. */
struct kt_needle_slot {
    uint32_t key;
    uint16_t first, count;
};

struct kt_needles {
    const struct kt_needle *needles;
    const struct kt_needle_slot *slots; /* KT_NEEDLE_SLOTS */
    const uint64_t *known;              /* KT_NEEDLE_BITS: keys */
    const uint8_t *runs;                /* [256]: bit i of a byte: it may be the i-th of a run */
};

/* The key of what begins with these bytes, lowest first. */
static inline uint32_t kt_needle_key(uint32_t bytes, size_t len)
{
    return len < 4 ? bytes & 0xffffff : bytes;
}

static inline unsigned kt_needle_bit(uint32_t key)
{
    return (key * UINT32_C(0x9e3779b1)) >> 18;
}

static inline unsigned kt_needle_slot_of(uint32_t key)
{
    return (key * UINT32_C(0x85ebca6b)) >> 20;
}

/* False: no pattern of the set matches anywhere in the text. True says nothing. */
bool kt_needles_may(const struct kt_needles *n, const char *text, size_t len);

#ifdef __cplusplus
}
#endif
