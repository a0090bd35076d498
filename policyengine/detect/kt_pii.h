/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Personal data in text: a left-to-right scanner with a bounded view.
 *
 * Why not a pattern engine: whether a value starts at byte p must depend on nothing but the bytes from
 * KT_PII_BEHIND in front of p to the end of the candidate, so that a stream cut at any byte redacts exactly
 * what the whole text would. A kind whose answer could still change with the next byte says MORE; the scanner
 * stops there and tells from where on it wants to see the text again.
 *
 * A kind is one `const struct kt_pii_kind` at the bottom of its file and one line in pii.def. At one place
 * the first kind of the list wins.
 */
#include "policyengine/base/kt_buf.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes in front of a candidate that a kind may look at (boundaries, context words, the local part of an
 * address). */
#define KT_PII_BEHIND 64u

struct kt_pii_view {
    const char *data;
    size_t len;
    size_t floor; /* end of the last hit: nothing starts in front of it */
    bool final;   /* nothing follows behind len */
    bool json;    /* the text is JSON source: a backslash and what belongs to it separate words */
};

enum kt_pii_answer { KT_PII_NO, KT_PII_YES, KT_PII_MORE };

struct kt_pii_kind {
    const char *label; /* for events: "email" */
    const char *name;  /* for placeholders: "EMAIL" */
    const char *first; /* bytes that `match` is asked about */
    bool inside_words; /* ask also where a letter or digit stands directly in front (not for JSON source:
                          there always) */
    /* True YES: [*start,*end) with floor <= *start <= at < *end. */
    enum kt_pii_answer (*match)(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end);
};

/* All kinds, in order; at most 32. Borrowed, static. */
const struct kt_pii_kind *const *kt_pii_kinds(size_t *count);
/* Bit of the kind with this label in a set; 0 where there is none. */
uint32_t kt_pii_bit(const char *label);

typedef void (*kt_pii_hit_fn)(void *ctx, const struct kt_pii_kind *kind, size_t start, size_t end);

/* Scans v->data from `from` on, reports hits in order and moves v->floor. Returns where it stopped: v->len,
 * or the first place that needs more text. *hold receives the first byte that may still become part of a hit
 * (<= the returned place). */
size_t kt_pii_scan(struct kt_pii_view *v, size_t from, uint32_t kinds, kt_pii_hit_fn hit, void *ctx,
                   size_t *hold);

/* The same over windows of one segment, as policies see them. Zero-initialised = at the start of a segment.
 * Holds up to KT_PII_BEHIND bytes of the text: wipe with kt_pii_stream_free. */
struct kt_pii_stream {
    char behind[KT_PII_BEHIND]; /* bytes [behind_at, behind_at + behind_len) of the segment */
    size_t behind_at, behind_len;
    size_t scanned, floor; /* absolute */
    struct kt_buf scratch; /* kept between windows */
};

/* `base`: absolute offset of data[0]; at most the *hold that the window before returned. Offsets of hits and
 * *hold are absolute. */
kt_result kt_pii_stream_window(struct kt_pii_stream *s, const struct kt_pii_view *window, size_t base,
                               uint32_t kinds, kt_pii_hit_fn hit, void *ctx, size_t *hold) KT_MUST;
void kt_pii_stream_free(struct kt_pii_stream *s);

#ifdef __cplusplus
}
#endif
