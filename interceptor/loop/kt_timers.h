/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The loop's timers: a pairing heap whose links lie inside the timers, so that arming one cannot fail. For
 * kt_loop.c. */
#include "interceptor/loop/kt_loop.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kt_timers {
    struct kt_timer *root; /* the earliest; NULL = none */
    uint64_t seq;
};

/* due_ns != 0; the timer is not in a heap. */
void kt_timers_add(struct kt_timers *h, struct kt_timer *t, uint64_t due_ns);
/* The timer is in this heap; its due_ns becomes 0. */
void kt_timers_remove(struct kt_timers *h, struct kt_timer *t);

#ifdef __cplusplus
}
#endif
