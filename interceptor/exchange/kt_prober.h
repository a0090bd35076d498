/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Health probes: GET <base_url>/models of every target that wants it, now and then, while this process lives.
 * Of all processes that share the state one probes a target at a time; the others read its result there. The
 * list of models costs no tokens.
 */
#include "interceptor/exchange/kt_exchange.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_PROBER_FIRST_MS 1000 /* a process that lives for less probes nothing */

struct kt_prober;
/* new. `ctx` is borrowed, with loop, upstream and state. Before the loop runs, or on its thread. */
kt_result kt_prober_new(struct kt_engine_ctx *ctx, struct kt_prober **out) KT_MUST;
/* On the loop's thread, or after it has ended. NULL is fine. */
void kt_prober_free(struct kt_prober *p);
/* What an answer's status says: false for 401, 403, 408 and 5xx. A server without that endpoint (404) is
 * alive. */
bool kt_probe_status_ok(int status);

#ifdef __cplusplus
}
#endif
