/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What an exchange tells of itself at its end, beside its audit event: for metrics and traces. */
#include "policyengine/audit/kt_event.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kt_seen {
    const struct kt_event *event; /* borrowed, as everything in it */
    uint64_t latency_ns, ttft_ns; /* ttft: 0 = no stream, or nothing came */
    bool written, lost;           /* the event: in the audit log, or could not be written */
};

struct kt_witness {
    void (*exchange)(void *arg, const struct kt_seen *seen); /* any thread; must not wait */
    void *arg;
};

#ifdef __cplusplus
}
#endif
