/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which targets to try, and in which order. A strategy is one file with one `const struct kt_strategy` at its
 * bottom and one line in strategies.def; it orders what can be used. What cannot is left out by the plan,
 * with the reason, and the plan cuts at the number of targets that the config allows.
 */
#include "interceptor/state/kt_state.h"
#include "policyengine/config/kt_config.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_ROUTE_MAX 32 /* targets considered for one exchange */

/* What is to be routed. Zeroed but for `config`: no shared state, size unknown, nothing excluded. */
struct kt_route_ask {
    const struct kt_config *config;
    struct kt_state *state;                   /* NULL: nothing is known of any target */
    uint64_t now_ms;                          /* kt_state_now_ms */
    int64_t prompt_tokens, completion_tokens; /* estimates; 0 = not known */
    uint64_t seed;                            /* of chance, for tests; 0 = real chance */
    /* May be NULL. False with a static *reason where a policy keeps the call from that target. */
    bool (*admits)(void *arg, const struct kt_target *t, const char **reason);
    /* May be NULL. False where the target's model is not for what is asked, and that of another one is. */
    bool (*serves)(void *arg, const struct kt_target *t);
    void *arg;
};

struct kt_candidate {
    const struct kt_target *target;
    size_t index; /* in providers.targets */
    uint64_t key; /* kt_target_key */
    struct kt_tstate *state;
};

struct kt_strategy {
    const char *name; /* canonical spelling in the config */
    enum kt_strategy_id id;
    const char *help; /* one line */
    bool first_only;  /* no other target is even looked at */
    bool keeps_order; /* the file's; `order` is not called */
    /* Writes a permutation of 0 .. n-1 into `out`, best first; n >= 1. Never fails. */
    void (*order)(const struct kt_route_ask *ask, const struct kt_candidate *c, size_t n, size_t *out);
};
/* NULL where this build has no such strategy. */
const struct kt_strategy *kt_strategy_find(enum kt_strategy_id id);
const struct kt_strategy *const *kt_strategies(size_t *count);

enum kt_skip {
    KT_SKIP_NONE,
    KT_SKIP_POLICY,
    KT_SKIP_MODEL,
    KT_SKIP_NO_KEY,
    KT_SKIP_CONTEXT,
    KT_SKIP_PRICE,
    KT_SKIP_BREAKER,
    KT_SKIP_PROBE
};
/* "policy_excluded", "other_model", "no_key", "context_too_small", "too_expensive", "breaker_open",
 * "probe_failed"; "" for none. Static. */
const char *kt_skip_name(enum kt_skip s);

struct kt_route_step {
    const struct kt_target *target; /* borrowed from the config */
    size_t index;                   /* in providers.targets */
    struct kt_tstate *state;        /* borrowed; NULL = none */
    char *key;                      /* secret, owned; NULL = the target needs none, or is unavailable */
    bool available;
    enum kt_skip skip;
    const char *excluded; /* static: what a policy says against the target; NULL = nothing */
    int64_t wait_ms;      /* KT_SKIP_BREAKER: until it lets a call through */
    /* Why not, with the skip's name in front; names a variable or file, never its content. */
    char reason[256];
};

struct kt_route {
    struct kt_route_step *steps; /* owned; in order, unavailable ones included */
    size_t count, available;
    size_t max_attempts; /* available targets that may be tried, the first one included */
};

/* new. Targets that cannot be used are in the list as unavailable; a missing key is also told by one warning
 * per target and process. They stand where the file has them if the strategy keeps the file's order, else in
 * front. Where a failed probe is all that speaks against the targets that are left, they are tried all the
 * same. KT_ERR_MEMORY. */
kt_result kt_route_plan(const struct kt_route_ask *ask, struct kt_route *out) KT_MUST;
void kt_route_free(struct kt_route *r); /* wipes the keys */

/* What a target is to all processes: id, base URL, model and the NAME of its key. */
uint64_t kt_target_key(const struct kt_target *t);
/* The target's own health_probe, else the health_monitor of them all. */
struct kt_probe_rules {
    bool enabled;
    int64_t interval_ms, timeout_ms;
};
struct kt_probe_rules kt_probe_rules_of(const struct kt_config *c, const struct kt_target *t);
struct kt_breaker_rules kt_breaker_rules_of(const struct kt_config *c, const struct kt_target *t);

#ifdef __cplusplus
}
#endif
