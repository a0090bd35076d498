/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Our own words. Warnings go to $KT_STATE_DIR/kt.log, rate-limited; traces go where KT_TRACE says. Never to
 * the program's stdout or stderr: inside a wrapped program nobody asked for our output.
 *
 * KT_TRACE=component[,component...][:path|:fd:N], e.g. KT_TRACE=flow,tls:/tmp/kt.trace or KT_TRACE=all:fd:2.
 * Without a place the trace goes to $KT_STATE_DIR/kt.trace. Words that start with "no-" are switches
 * (no-handoff), not components.
 */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where kt.log lies; before this call, and where the folder cannot be written, warnings are dropped silently
 * unless a hook is set. `state_dir` is copied. */
void kt_log_open(const char *state_dir);

/* A CLI shows warnings itself: when set, kt_warn calls it instead of writing the file. */
void kt_log_set_hook(void (*hook)(const char *line));

/* One line, no newline in `fmt`. At most 20 lines per second per process; a count of what was dropped
 * follows. */
void kt_warn(const char *fmt, ...) KT_PRINTF(1, 2);

/* Components of the trace; cheap when off: one relaxed load. */
enum kt_trace_bit {
    KT_TR_SHIM = 1u << 0,
    KT_TR_FLOW = 1u << 1,
    KT_TR_TLS = 1u << 2,
    KT_TR_HTTP = 1u << 3,
    KT_TR_POLICY = 1u << 4,
    KT_TR_ROUTE = 1u << 5,
    KT_TR_UPSTREAM = 1u << 6,
    KT_TR_AUDIT = 1u << 7,
    KT_TR_ENGINE = 1u << 8,
};
extern unsigned kt_trace_mask;
void kt_trace_open(const char *kt_trace_value, const char *state_dir);
void kt_trace_line(const char *component, const char *fmt, ...) KT_PRINTF(2, 3);
/* The first word of a KT_TRACE that is no component and no switch; empty = all are known. Borrowed. */
struct kt_span kt_trace_unknown(const char *kt_trace_value);
/* True where KT_TRACE has the switch word, e.g. kt_trace_switch("no-handoff"). */
bool kt_trace_switch(const char *word);

#define KT_TRACE(bit, ...)                                                                                   \
    do {                                                                                                     \
        if (kt_trace_mask & KT_TR_##bit)                                                                     \
            kt_trace_line(#bit, __VA_ARGS__);                                                                \
    } while (0)

#ifdef __cplusplus
}
#endif
