/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the policies of one run want gone, as they said it, and the merged answer: the ranges of earlier
 * policies keep their text, and what a later policy wanted beyond them is covered by stretching the range
 * that it touches.
 */
#include "policyengine/chain/kt_chain.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kt_redactions_raw {
    struct kt_redaction r;
    unsigned policy; /* place in the chain */
    unsigned order;
};

struct kt_redactions_block; /* texts; never moved, so that merged entries can point into them */

struct kt_redactions {
    struct kt_redactions_raw *raw; /* owned, in order of addition */
    size_t count, cap;
    struct kt_redaction *merged; /* owned */
    size_t merged_count, merged_cap;
    size_t merged_of;  /* raw entries that `merged` covers; SIZE_MAX: some were altered since */
    size_t merged_all; /* raw entries that it covered last */
    struct kt_redactions_block *blocks;
};

#define KT_REDACTIONS_MAX KT_EDITS_MAX

/* Copies `text`. KT_ERR_LIMIT past KT_REDACTIONS_MAX. */
kt_result kt_redactions_add(struct kt_redactions *l, unsigned policy, const struct kt_redaction *r) KT_MUST;
/* `at`, an entry of l->raw, becomes `r` of `policy`; copies the text. */
kt_result kt_redactions_replace(struct kt_redactions *l, struct kt_redactions_raw *at, unsigned policy,
                                const struct kt_redaction *r) KT_MUST;
/* `first`, here and below: no entry of the segment in front of l->raw[first] reaches behind what is asked
 * for. Of thousands of segments each must not look through those of all others. */

/* True where `policy` said exactly this range before. */
bool kt_redactions_has(const struct kt_redactions *l, size_t first, unsigned policy, unsigned segment,
                       size_t start, size_t end);
/* What is put in quotes stands for a whole number or word of JSON: such ranges in [from, base + len) are
 * stretched over all of theirs, as far as data[0,len) shows it. */
void kt_redactions_whole_numbers(struct kt_redactions *l, size_t first, unsigned segment, size_t from,
                                 const char *data, size_t len, size_t base);
/* The largest offset <= `at` of the segment that no redaction lies across. */
size_t kt_redactions_cut(const struct kt_redactions *l, size_t first, unsigned segment, size_t at);
/* The `first` of a segment of which nothing in front of `released` is asked for any more. */
size_t kt_redactions_live(const struct kt_redactions *l, size_t first, unsigned segment, size_t released);
/* Fills l->merged: by segment, then start, no overlaps. */
kt_result kt_redactions_merge(struct kt_redactions *l) KT_MUST;
/* The same, with less work where all that came or was altered since the last merge is of `segment`, and
 * starts at `from` or behind it: a place that no redaction lies across. */
kt_result kt_redactions_merge_from(struct kt_redactions *l, size_t first, unsigned segment,
                                   size_t from) KT_MUST;
/* After a merge: index of the first entry of l->merged that ends behind `at` of the segment, or belongs to a
 * later one; merged_count for none. */
size_t kt_redactions_first(const struct kt_redactions *l, unsigned segment, size_t at);
void kt_redactions_free(struct kt_redactions *l);

#ifdef __cplusplus
}
#endif
