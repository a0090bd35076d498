/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The tap lane: copies of what the program and its origin said to each other become watched exchanges.
 *
 *   program's thread:  kt_tap_open -> kt_tap_data ... -> kt_tap_close      (copies, never waits for the
 * chain) loop thread:       queue -> HTTP/1.1 pair or HTTP/2 frames -> calls -> exchanges (chain dry, event)
 *
 * A flow is an id, never a pointer: one that is unknown (closed, or the parent's in a fork child) is no error
 * and does nothing, so that no race of the program can touch freed memory here.
 */
#include "interceptor/exchange/kt_exchange.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_TAP_QUEUE_BYTES                                                                                   \
    (32u << 20) /* of all flows of a process, waiting for the loop; past it a flow is lost */
#define KT_TAP_HELD_BYTES (1u << 20) /* of an answer that comes before its request is whole */
#define KT_TAP_FLOWS_MAX 4096        /* at a time, per process */
#define KT_TAP_DECODED_BYTES                                                                                 \
    (64u << 20) /* of one answer, codings removed; what is beyond is not looked at                           \
                 */

enum kt_tap_dir { KT_TAP_OUT, KT_TAP_IN, KT_TAP_DIRS }; /* from the program; to it */

struct kt_tap_options {
    struct kt_engine_ctx *ctx;       /* borrowed; its loop does the work */
    void *owner;                     /* for the slots below */
    size_t (*max_body)(void *owner); /* bytes of a request; any thread */
    /* "unseen": something that is no exchange and was not looked at. Loop thread. */
    void (*event)(void *owner, const char *event_type, const char *host, uint16_t port, int status,
                  const char *message);
};

struct kt_taps;

/* new. Copies `options`. */
kt_result kt_taps_new(const struct kt_tap_options *options, struct kt_taps **out) KT_MUST;
/* After the loop has ended and kt_taps_end ran. NULL is fine. */
void kt_taps_free(struct kt_taps *ts);
/* Loop thread: works off what waits, then ends every flow; calls under way get their event. */
void kt_taps_end(struct kt_taps *ts);
/* Any thread but the loop's: waits until what was handed over before is worked off, at most `timeout_ms`. */
void kt_taps_flush(struct kt_taps *ts, unsigned timeout_ms);
/* Fork child: forgets all flows; nothing is freed. */
void kt_taps_forget(struct kt_taps *ts);
/* Was there ever a flow? Any thread. */
bool kt_taps_used(struct kt_taps *ts);
/* Flows that are not closed. */
size_t kt_taps_count(struct kt_taps *ts);

/* Any thread. 0 = no flow (no memory, too many). `host` is copied. */
uint64_t kt_tap_open(struct kt_taps *ts, const char *host, uint16_t port, bool tls);
/* Any thread; copies. */
void kt_tap_data(struct kt_taps *ts, uint64_t id, enum kt_tap_dir dir, const void *data, size_t len);
/* Any thread. Nothing more comes. */
void kt_tap_close(struct kt_taps *ts, uint64_t id);

#ifdef __cplusplus
}
#endif
