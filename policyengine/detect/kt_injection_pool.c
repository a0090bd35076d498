/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_injection_work.h"

#include <stdatomic.h>
#include <stdlib.h>

#define IDLE 4u /* a text takes microseconds: few are in use at once, however many threads there are */

static _Atomic(struct kt_injection *) idle[IDLE];
static atomic_int members;

struct kt_injection *kt_injection_take(void)
{
    for (size_t i = 0; i < IDLE; i++) {
        struct kt_injection *w = atomic_exchange_explicit(&idle[i], NULL, memory_order_acquire);
        if (w)
            return w;
    }
    return malloc(sizeof(struct kt_injection));
}

void kt_injection_give(struct kt_injection *w)
{
    for (size_t i = 0; w && i < IDLE; i++) {
        struct kt_injection *none = NULL;
        if (atomic_compare_exchange_strong_explicit(&idle[i], &none, w, memory_order_release,
                                                    memory_order_relaxed))
            return;
    }
    free(w);
}

void kt_injection_join(void)
{
    atomic_fetch_add(&members, 1);
}

void kt_injection_leave(void)
{
    if (atomic_fetch_sub(&members, 1) != 1)
        return;
    for (size_t i = 0; i < IDLE; i++)
        free(atomic_exchange(&idle[i], NULL));
}
