/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What follows a failed attempt: the same target again, the next one, or the end. Pure: everything it depends
 * on is an argument. failure_classes.def is the table behind it.
 */
#include "policyengine/config/kt_config.h"

#ifdef __cplusplus
extern "C" {
#endif

enum kt_failure {
#define KT_FAILURE_CLASS(symbol, name, outcome, again, next, breaker, help) KT_FAILED_##symbol,
#include "interceptor/route/failure_classes.def"
#undef KT_FAILURE_CLASS
    KT_FAILED_COUNT
};

/* Beside the bits of enum kt_trigger: what the config says in words of its own. */
enum { KT_NEXT_CONTEXT_WINDOW = 1 << 16, KT_NEXT_CONTENT_POLICY = 1 << 17 };

enum kt_again {
    KT_AGAIN_NEVER,
    KT_AGAIN_ON_STATUS, /* where retry.on_status has the status */
    KT_AGAIN_ALWAYS     /* where retry is configured: there is no status to ask */
};

struct kt_failure_class {
    const char *name, *outcome, *help;
    enum kt_again again;
    unsigned next; /* bits that let the next target try; 0 = never */
    bool breaker;
};
const struct kt_failure_class *kt_failure_class_of(enum kt_failure f);
/* Of an answer that is no success; timeout, connection and body have no status. `body` may be empty: it tells
 * a prompt that is too long and a refused content from other 400s and 403s. */
enum kt_failure kt_failure_of_status(int status, struct kt_span body);
/* May the next target try after it, as this config has it? */
bool kt_failure_falls_back(const struct kt_config *c, enum kt_failure f);
/* Is the same target tried again, time and number permitting? `status` 0 = none. */
bool kt_failure_retries(const struct kt_config *c, enum kt_failure f, int status);

/* The whole table as it stands with this config, for people: a line per class, each begun with `prefix`. */
kt_result kt_failure_table(const struct kt_config *c, const char *prefix, struct kt_buf *out) KT_MUST;

struct kt_retry_ask {
    const struct kt_config *config;
    enum kt_failure failure;
    int status;             /* 0 = none */
    int64_t asked_ms;       /* by the newest answer (kt_retry_after_ms); -1 = it did not ask */
    unsigned tries;         /* of this target so far, 1 or more */
    bool more_targets;      /* another one could be tried */
    int64_t target_left_ms; /* of this target's timeout_seconds */
    int64_t total_left_ms;  /* of limits.total_seconds; INT64_MAX = no limit */
    uint64_t chance;        /* any number */
};
enum kt_retry_what { KT_RETRY_AGAIN, KT_RETRY_NEXT, KT_RETRY_GIVE_UP };
struct kt_retry {
    enum kt_retry_what what;
    int64_t wait_ms; /* before KT_RETRY_AGAIN */
    const char *why; /* static */
};
struct kt_retry kt_retry_decide(const struct kt_retry_ask *ask);

/* How long an answer asks to wait, from its header fields (each NULL = absent): `retry-after-ms` before
 * `retry-after` in seconds or as an HTTP date, which is measured against the answer's own `date` where there
 * is one, since the clocks of two machines differ. -1 = it does not ask, or not in a way that can be read.
 * Never more than a day. */
int64_t kt_retry_after_ms(const char *retry_after, const char *retry_after_ms, const char *date,
                          uint64_t real_ms);

#ifdef __cplusplus
}
#endif
