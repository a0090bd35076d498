/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The trace context of an exchange. */
#include "interceptor/exchange/kt_exchange_private.h"

/* Borrowed; made at the first call. */
const struct kt_trace_ids *kt_x_trace(struct kt_exchange *x);
/* Adds `traceparent`, where the config wants it passed on. */
kt_result kt_x_outgoing_trace(struct kt_x_outgoing *o, struct kt_exchange *x) KT_MUST;
