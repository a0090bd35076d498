/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One path of a collector (/v1/traces, /v1/metrics): what is due goes out in one POST at a time. Loop thread
 * only, but for the count of what was lost. */
#include "interceptor/telemetry/kt_otlp.h"

#include <stdatomic.h>

#define KT_OTLP_URL_MAX 2048

struct kt_otlp_way {
    struct kt_loop *loop;
    struct kt_upstream *upstream;
    const char *path, *what; /* static: "v1/traces", "spans" */
    /* Moves what is due into `out` (empty). */
    kt_result (*compose)(void *arg, struct kt_buf *out);
    void *arg;

    char url[KT_OTLP_URL_MAX];
    size_t due;
    struct kt_buf sending; /* as long as the call lives */
    size_t sending_count;
    int status;
    struct kt_call *call;
    struct kt_timer timer;
    uint64_t next_ns;
    atomic_ullong dropped;
};

void kt_otlp_way_free(struct kt_otlp_way *w);
/* One more is due; it goes to `endpoint`, as do those before it that have not left. */
void kt_otlp_way_due(struct kt_otlp_way *w, const char *endpoint);

/* kt_otlp_span.c: attributes as both signals write them */
kt_result kt_otlp_text(struct kt_buf *out, const char *name,
                       const char *value) KT_MUST; /* NULL, "": nothing */
kt_result kt_otlp_error_type(struct kt_buf *out, const struct kt_event *e) KT_MUST;
const char *kt_otlp_operation(const struct kt_event *e); /* static */
const char *kt_otlp_provider(const struct kt_event *e);
bool kt_otlp_failed(const struct kt_event *e);
/* What stands in front of and behind the spans or metrics of one export. */
kt_result kt_otlp_open(struct kt_buf *out, const char *resources, const char *scopes, const char *items,
                       const char *service) KT_MUST;
kt_result kt_otlp_close(struct kt_buf *out) KT_MUST;
