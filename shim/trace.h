/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * KT_TRACE=shim[,...][:path|:fd:N] (or all): one line per decision, written with one raw write; without a
 * place it goes to kt.trace in the state folder. Off costs one load. Keeps errno.
 */
#include <stdbool.h>

bool kt_trace_on(void);
void kt_trace_write(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define KT_TRACE_SHIM(...)                                                                                   \
    do {                                                                                                     \
        if (__builtin_expect(kt_trace_on(), 0))                                                              \
            kt_trace_write(__VA_ARGS__);                                                                     \
    } while (0)
