/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Histograms of what came since the last export. Not thread-safe. */
#include "interceptor/telemetry/kt_seen.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_OTLP_SERIES                                                                                       \
    64 /* sets of attributes between two exports; what comes beyond is counted in the last */

struct kt_otlp_metrics;
/* new */
kt_result kt_otlp_metrics_new(struct kt_otlp_metrics **out) KT_MUST;
void kt_otlp_metrics_free(struct kt_otlp_metrics *m);
void kt_otlp_metrics_add(struct kt_otlp_metrics *m, const struct kt_seen *seen);
/* Appends the body of an export, and forgets what was in it. */
kt_result kt_otlp_metrics_write(struct kt_otlp_metrics *m, const char *service, struct kt_buf *out) KT_MUST;

#ifdef __cplusplus
}
#endif
