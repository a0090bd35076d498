/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The numbers, as counting and writing share them. */
#include "interceptor/telemetry/kt_metrics.h"

#include <pthread.h>

#define KT_M_BUCKETS 14

struct kt_m_histogram {
    uint64_t bucket[KT_M_BUCKETS + 1]; /* not cumulative; the last one is what exceeds all bounds */
    uint64_t count;
    double sum;
};

struct kt_m_request {
    char target[KT_METRICS_LABEL], model[KT_METRICS_LABEL], verdict[16];
    int status;
    uint64_t count;
};

enum kt_m_outcome { KT_M_OK, KT_M_FAILED, KT_M_SKIPPED, KT_M_OUTCOMES };

struct kt_m_target {
    char target[KT_METRICS_LABEL];
    uint64_t tokens_in, tokens_out, tokens_cached;
    double cost;
    uint64_t attempts[KT_M_OUTCOMES];
    struct kt_m_histogram latency, ttft;
};

struct kt_m_policy {
    char kind[KT_METRICS_LABEL], phase[16];
    uint64_t allow, warn, redact, escalate, block, other;
    uint64_t time_us;
};

struct kt_metrics {
    pthread_mutex_t lock;
    struct kt_m_request requests[KT_METRICS_MAX_REQUESTS];
    size_t request_count;
    struct kt_m_target targets[KT_METRICS_MAX_TARGETS];
    size_t target_count;
    struct kt_m_policy policies[KT_METRICS_MAX_POLICIES];
    size_t policy_count;
    uint64_t written, lost, unwanted;
    struct kt_m_histogram overhead;
};

extern const double kt_m_seconds[KT_M_BUCKETS];
extern const double kt_m_overhead[KT_M_BUCKETS];
