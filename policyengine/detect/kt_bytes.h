/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Bytes of a text by sets, sixteen at a time, and walks from one run of a set to the next: who looks for
 * words looks at one bit per byte and touches most bytes once. Written in the compiler's vectors: any
 * processor can do it, the common ones in a few instructions.
 */
#include "policyengine/base/kt_base.h"

#include <endian.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint8_t kt_bytes __attribute__((vector_size(16)));

#define KT_BYTES_INLINE static inline __attribute__((always_inline))

/* Sixteen bytes must be readable. */
KT_BYTES_INLINE kt_bytes kt_bytes_load(const char *p)
{
    kt_bytes v;
    memcpy(&v, p, sizeof v);
    return v;
}

KT_BYTES_INLINE kt_bytes kt_bytes_each(uint8_t c)
{
    kt_bytes zeros = {0};
    return zeros + c;
}

/* 0xff in each byte that is `c`. */
KT_BYTES_INLINE kt_bytes kt_bytes_are(kt_bytes v, uint8_t c)
{
    return (kt_bytes)(v == kt_bytes_each(c));
}

/* 0xff in each byte from `low` to `high`. */
KT_BYTES_INLINE kt_bytes kt_bytes_within(kt_bytes v, uint8_t low, uint8_t high)
{
    return (kt_bytes)(v - kt_bytes_each(low) <= kt_bytes_each((uint8_t)(high - low)));
}

/* Bit i = the top bit of byte i. */
KT_BYTES_INLINE unsigned kt_bytes_mask(kt_bytes v)
{
#ifdef __SSE2__
    typedef char signed_bytes __attribute__((vector_size(16)));
    return (unsigned)__builtin_ia32_pmovmskb128((signed_bytes)v);
#else
    unsigned mask = 0;
    for (unsigned i = 0; i < 16; i++)
        mask |= (unsigned)(v[i] >> 7) << i;
    return mask;
#endif
}

/* ---- sets ---- */

/* Top bit set in each byte of the set. */
typedef kt_bytes (*kt_bytes_set)(kt_bytes v);

KT_BYTES_INLINE kt_bytes kt_bytes_digits(kt_bytes v)
{
    return kt_bytes_within(v, '0', '9');
}

/* Small letters of ASCII. */
KT_BYTES_INLINE kt_bytes kt_bytes_small(kt_bytes v)
{
    return kt_bytes_within(v, 'a', 'z');
}

/* Letters of base64 and its other alphabet, as kt_base64_value. */
KT_BYTES_INLINE kt_bytes kt_bytes_base64(kt_bytes v)
{
    kt_bytes small = v | kt_bytes_each(0x20);
    return kt_bytes_within(small, 'a', 'z') | kt_bytes_digits(v) | kt_bytes_are(v, '+') |
           kt_bytes_are(v, '-') | kt_bytes_are(v, '/') | kt_bytes_are(v, '_');
}

/* What may end a sentence. */
KT_BYTES_INLINE kt_bytes kt_bytes_stops(kt_bytes v)
{
    return kt_bytes_are(v, '.') | kt_bytes_are(v, '!') | kt_bytes_are(v, '?') | kt_bytes_are(v, ';');
}

/* What makes words in folded text: kt_lexicon_letter. */
KT_BYTES_INLINE kt_bytes kt_bytes_letters(kt_bytes v)
{
    return kt_bytes_within(v, 'a', 'z') | kt_bytes_within(v, '0', '9') | v;
}

/* The first byte of text[at..len) that is not of the set; len where all are. Short runs, which most are, end
 * without a branch that depends on how short. */
KT_BYTES_INLINE size_t kt_bytes_end(const char *text, size_t len, size_t at, kt_bytes_set set)
{
    for (; len - at >= 16; at += 16) {
        unsigned others = ~kt_bytes_mask(set(kt_bytes_load(text + at))) & 0xffff;
        if (others)
            return at + (unsigned)__builtin_ctz(others);
    }
    char end[16] = {0};
    memcpy(end, text + at, len - at);
    unsigned members = kt_bytes_mask(set(kt_bytes_load(end))) & ~(~0u << (len - at));
    return at + (unsigned)__builtin_ctz(~members);
}

/* The first byte of text[at..len) that is of the set; len where none is. */
KT_BYTES_INLINE size_t kt_bytes_next(const char *text, size_t len, size_t at, kt_bytes_set set)
{
    for (; len - at >= 16; at += 16) {
        unsigned members = kt_bytes_mask(set(kt_bytes_load(text + at)));
        if (members)
            return at + (unsigned)__builtin_ctz(members);
    }
    char end[16] = {0};
    memcpy(end, text + at, len - at);
    unsigned members = kt_bytes_mask(set(kt_bytes_load(end))) & ~(~0u << (len - at));
    return members ? at + (unsigned)__builtin_ctz(members) : len;
}

/* The `n` bytes at `p` as a number, the first one lowest, zeros behind them; n at most 8, of which `left` are
 * readable. */
KT_BYTES_INLINE uint64_t kt_bytes_eight(const char *p, size_t n, size_t left)
{
    uint64_t w = 0;
    if (left >= 8)
        memcpy(&w, p, 8);
    else
        memcpy(&w, p, n);
    w = le64toh(w);
    return n < 8 ? w & ~(~UINT64_C(0) << 8 * n) : w;
}

/* ---- runs of bytes of one set ---- */

/* Where the runs of text[0..len) begin and end, by turns: one bit of `edges` for each in the 64 bytes from
 * `base` on. */
struct kt_runs {
    const char *text;
    size_t len, base;
    uint64_t edges, open; /* `open`: 1 where the last byte of these is of the set */
};

KT_BYTES_INLINE struct kt_runs kt_runs_of(const char *text, size_t len)
{
    return (struct kt_runs){text, len, (size_t)-64, 0, 0};
}

KT_BYTES_INLINE uint64_t kt_bytes_bits(const char *p, kt_bytes_set set)
{
    uint64_t a = kt_bytes_mask(set(kt_bytes_load(p))), b = kt_bytes_mask(set(kt_bytes_load(p + 16)));
    uint64_t c = kt_bytes_mask(set(kt_bytes_load(p + 32))), d = kt_bytes_mask(set(kt_bytes_load(p + 48)));
    return a | b << 16 | c << 32 | d << 48;
}

/* The next 64 bytes; zeros behind the end. */
KT_BYTES_INLINE void kt_runs_load(struct kt_runs *r, kt_bytes_set set)
{
    r->base += 64;
    size_t left = r->len - r->base;
    uint64_t bits;
    if (left >= 64) {
        bits = kt_bytes_bits(r->text + r->base, set);
    } else {
        char end[64] = {0};
        if (left > 0)
            memcpy(end, r->text + r->base, left);
        bits = kt_bytes_bits(end, set) & ~(~UINT64_C(0) << left);
    }
    r->edges = bits ^ (bits << 1 | r->open);
    r->open = bits >> 63;
}

/* The next edge; len + 1 where there is none any more. */
KT_BYTES_INLINE size_t kt_runs_edge(struct kt_runs *r, kt_bytes_set set)
{
    while (!r->edges) {
        if (r->base != (size_t)-64 && r->len - r->base < 64)
            return r->len + 1;
        kt_runs_load(r, set);
    }
    size_t at = r->base + (size_t)__builtin_ctzll(r->edges);
    r->edges &= r->edges - 1;
    return at;
}

/* The next run: [*start,*end); false where none follows. All calls for one text name the same set. */
KT_BYTES_INLINE bool kt_runs_next(struct kt_runs *r, kt_bytes_set set, size_t *start, size_t *end)
{
    *start = kt_runs_edge(r, set);
    if (*start > r->len)
        return false;
    *end = kt_runs_edge(r, set);
    return true;
}

#ifdef __cplusplus
}
#endif
