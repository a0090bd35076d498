/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which targets to try, and in which order. A strategy is one file with one `const struct kt_strategy` at its
 * bottom and one line in strategies.def; it orders, the plan leaves out what cannot be used and cuts at the
 * number of attempts.
 */
#include "policyengine/config/kt_config.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_ROUTE_MAX 32 /* targets considered for one exchange */

struct kt_strategy {
    const char *name; /* canonical spelling in the config */
    enum kt_strategy_id id;
    const char *help; /* one line */
    /* Writes target indexes, best first, at most `cap`; returns their number. Never fails. */
    size_t (*order)(const struct kt_config *config, size_t *out, size_t cap);
};
/* NULL where this build has no such strategy. */
const struct kt_strategy *kt_strategy_find(enum kt_strategy_id id);
const struct kt_strategy *const *kt_strategies(size_t *count);

struct kt_route_step {
    const struct kt_target *target; /* borrowed from the config */
    size_t index;                   /* in providers.targets */
    char *key;                      /* secret, owned; NULL = the target needs none, or is unavailable */
    bool available;
    const char *excluded; /* static: why a policy does not admit the target; NULL = it does */
    char reason[256];     /* why not: names the variable or file, never its content */
};

struct kt_route {
    struct kt_route_step *steps; /* owned; in order, unavailable ones included */
    size_t count;
    size_t max_attempts; /* tries of available targets that the config allows, the first one included */
};

/* new. A strategy that strategies.def does not list is served as `ordered`, with one warning. Targets without
 * their key are in the list as unavailable, with one warning per target and process. KT_ERR_MEMORY. */
kt_result kt_route_plan(const struct kt_config *config, struct kt_route *out) KT_MUST;
void kt_route_free(struct kt_route *r); /* wipes the keys */

#ifdef __cplusplus
}
#endif
