/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What `kt events stats` counts, and how it is shown. */
#include "policyengine/base/kt_buf.h"
#include "tools/tally.h"

struct cJSON;

enum { BY_TYPE, BY_VERDICT, BY_REASON, BY_POLICY, BY_MODEL, BY_TARGET, BY_EXE, BY_COUNT };
struct events_by {
    const char *json, *title;
    bool acted; /* the second count says something */
};
extern const struct events_by events_by[BY_COUNT];

struct events_sums {
    uint64_t events, with_usage, with_cost;
    uint64_t prompt_tokens, completion_tokens, total_tokens, cached_tokens;
    double cost_usd;
    uint64_t attempts, retried; /* retried: events with more than one attempt */
    char first[31], last[31];   /* timestamps; "" = none */
    struct tally *by[BY_COUNT]; /* owned */
    struct spread latency;      /* ms */
    uint64_t skipped;
    bool out_of_memory;
};

/* False on OOM; events_sums_free in any case. */
bool events_sums_init(struct events_sums *s);
void events_sums_add(struct events_sums *s, const struct cJSON *event);
void events_sums_done(struct events_sums *s); /* sorts; adding ends with it */
void events_sums_free(struct events_sums *s);
#define EVENTS_STATS_MAX (16u << 20) /* bytes of either form: 7 x 1000 names of at most 256, escaped */

/* Both KT_ERR_LIMIT or KT_ERR_MEMORY; the tallies are sorted. */
kt_result events_stats_json(const struct events_sums *s, struct kt_buf *out) KT_MUST;
kt_result events_stats_text(const struct events_sums *s, struct kt_buf *out) KT_MUST;
