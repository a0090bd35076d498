/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What an exchange tells of itself at its end, beside its audit event: for metrics and traces. */
#include "policyengine/audit/kt_event.h"

#ifdef __cplusplus
extern "C" {
#endif

/* W3C trace context of an exchange. */
struct kt_trace_ids {
    char trace_id[33];  /* the program's where it sent one, else the exchange's own */
    char parent_id[17]; /* the program's span; "" = none */
    char span_id[17];   /* the exchange's */
    char flags[3];      /* as sent; "01" (sampled) where nothing was */
};

struct kt_seen {
    const struct kt_event *event; /* borrowed, as everything in it */
    uint64_t latency_ns, ttft_ns; /* ttft: 0 = no stream, or nothing came */
    const struct kt_trace_ids *trace;
    const char *otlp_endpoint, *service_name; /* of the exchange's config; endpoint NULL = no spans */
    bool written, lost;                       /* the event: in the audit log, or could not be written */
};

struct kt_witness {
    void (*exchange)(void *arg, const struct kt_seen *seen); /* any thread; must not wait */
    void *arg;
};

#ifdef __cplusplus
}
#endif
