/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A data set through one policy: rows are read in batches, looked at by several threads, and handed on in
 * their order, so that the outcome does not depend on the number of threads. Memory is bounded by the batch.
 */
#include "tools/eval/kt_eval_probe.h"
#include "tools/eval/kt_eval_row.h"

#ifdef __cplusplus
extern "C" {
#endif

struct eval_result {
    size_t index; /* of the row, from 0; blank lines are no rows */
    const struct eval_row *row;
    const struct eval_found *found; /* hits in characters of the text */
};

struct eval_run {
    const struct eval_probe *probe;
    int fd;
    unsigned threads; /* 0 = as many as there are processors, at most 8 */
    void *ctx;
    /* Each row in order; anything but OK ends the run with it. */
    kt_result (*on_row)(void *ctx, const struct eval_result *r);
    /* After each batch; may be NULL. */
    void (*on_progress)(void *ctx, uint64_t bytes, size_t rows);
};

struct eval_stop {
    size_t line; /* 0 = not about a line */
    struct kt_error err;
};

/* *rows receives the number of rows. On failure `stop` says where and why. */
kt_result eval_run_rows(const struct eval_run *run, size_t *rows, struct eval_stop *stop) KT_MUST;

#ifdef __cplusplus
}
#endif
