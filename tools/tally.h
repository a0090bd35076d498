/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Counting in bounded memory, however many events there are: names, and the spread of times. */
#include "policyengine/base/kt_base.h"

#define TALLY_NAMES_MAX 1000 /* distinct names; those that come later are counted together */
#define TALLY_NAME_MAX 256   /* bytes of a name; longer ones are cut */

struct tally_item {
    char *name; /* owned */
    uint64_t count, acted;
};
/* Zeroed = empty. */
struct tally {
    struct tally_item items[TALLY_NAMES_MAX];
    uint16_t slots[2048]; /* open addressing: index + 1, 0 = free */
    size_t count;
    struct tally_item other; /* name is NULL */
};
/* NULL on OOM; tally_free also for NULL. */
struct tally *tally_new(void);
void tally_free(struct tally *t);
/* `acted` is a second count beside the first. KT_ERR_MEMORY. */
kt_result tally_add(struct tally *t, const char *name, bool acted) KT_MUST;
/* Highest count first, then by name; adding ends with it. */
void tally_sort(struct tally *t);

/* Whole numbers in buckets: exact below 128, then 64 buckets per power of two and the middle of one as its
 * value, so that a percentile is wrong by 0.8 % at most. What is above 2^40 (34 years in ms) counts as that.
 */
#define SPREAD_BUCKETS (128 + (40 - 7) * 64)
struct spread {
    uint64_t buckets[SPREAD_BUCKETS];
    uint64_t count, sum, min, max;
};
void spread_add(struct spread *s, uint64_t value);
/* The value that `percent` of all do not exceed (nearest rank); 0 where there are none. */
uint64_t spread_percentile(const struct spread *s, unsigned percent);
