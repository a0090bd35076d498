/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One span per exchange, and histograms of tokens and times, to an OpenTelemetry collector: OTLP over HTTP in
 * JSON, POST <endpoint>/v1/traces and /v1/metrics, with the names of OpenTelemetry's conventions for
 * generative AI, and `kt.*` for what these do not name.
 *
 * Nothing waits for it: spans queue in bounded memory, one export of each kind is under way at a time, and
 * what does not fit or does not arrive is dropped; lost spans are counted. No text of a prompt or an answer
 * is ever in it; the name of the model is, as the program wrote it. Loop thread only.
 */
#include "interceptor/telemetry/kt_seen.h"
#include "interceptor/upstream/kt_upstream.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_OTLP_QUEUE_BYTES (1u << 20)
#define KT_OTLP_EVERY_MS 500    /* between two exports; the first goes at once */
#define KT_OTLP_TIMEOUT_MS 5000 /* of one export */

struct kt_otlp;

/* new. Both are borrowed. */
kt_result kt_otlp_new(struct kt_loop *loop, struct kt_upstream *upstream, struct kt_otlp **out) KT_MUST;
/* Loop thread, or after it has ended and before the upstream is freed. What waits is lost. NULL is fine. */
void kt_otlp_free(struct kt_otlp *o);
/* Does nothing where the exchange's config names no endpoint. Fit for kt_witness.exchange. */
void kt_otlp_exchange(void *otlp, const struct kt_seen *seen);
uint64_t kt_otlp_dropped(const struct kt_otlp *o); /* any thread */

/* Appends the span as JSON. For tests. */
kt_result kt_otlp_span(struct kt_buf *out, const struct kt_seen *seen) KT_MUST;

#ifdef __cplusplus
}
#endif
