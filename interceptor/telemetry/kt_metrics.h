/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Counters and histograms over the exchanges of a process, in the text form that Prometheus reads (0.0.4).
 * Labels come from the config (targets, models, policies) or from small fixed sets, and their combinations
 * are bounded: what comes beyond is counted under "other". No text of a client is ever a label. Any thread.
 */
#include "interceptor/telemetry/kt_seen.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_METRICS_MAX_REQUESTS 512 /* combinations of target, model, status and verdict */
#define KT_METRICS_MAX_TARGETS 64
#define KT_METRICS_MAX_POLICIES 64 /* policies, each per phase */
#define KT_METRICS_LABEL 96        /* bytes of a label; longer ones are cut */
#define KT_METRICS_BYTES (4u << 20)

struct kt_metrics;

/* new */
kt_result kt_metrics_new(struct kt_metrics **out) KT_MUST;
void kt_metrics_free(struct kt_metrics *m);
/* One exchange, at its end. Allocates nothing. Fit for kt_witness.exchange. */
void kt_metrics_exchange(void *metrics, const struct kt_seen *seen);
/* Appends everything. */
kt_result kt_metrics_write(struct kt_metrics *m, struct kt_buf *out) KT_MUST;

/* For further metrics in the same text: `# HELP` and `# TYPE`, and a label's value in its quotes. */
kt_result kt_metrics_head(struct kt_buf *out, const char *name, const char *type, const char *help) KT_MUST;
kt_result kt_metrics_label(struct kt_buf *out, const char *name, const char *value) KT_MUST;

#ifdef __cplusplus
}
#endif
