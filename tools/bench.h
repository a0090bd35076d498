/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside of `kt bench`: what is asked for, what comes out of it, and the run itself. */
#include "policyengine/base/kt_buf.h"
#include "tools/tally.h"

struct bench_options {
    const char *target; /* URL as given */
    const char *model;
    long requests, concurrency;
    double seconds; /* 0 = until all requests are done */
    bool stream;
    const char *ca_file, *token; /* NULL = none */
    struct kt_buf body;          /* owned */
    char url[2048];
    bool progress; /* a bar on stderr */
};

struct bench_result {
    uint64_t done, good;
    uint64_t status[600]; /* [0]: no answer at all */
    char failure[128];    /* what the first call without an answer met */
    uint64_t bytes;       /* of answers */
    uint64_t micros;      /* the run */
    struct spread total;  /* us of a call */
    struct spread first;  /* us to the first byte of a good answer */
};

/* Runs to the end, or until SIGINT. KT_ERR_IO where libcurl cannot be set up. */
kt_result bench_run(const struct bench_options *o, struct bench_result *out) KT_MUST;
