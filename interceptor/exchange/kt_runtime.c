/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/exchange/kt_exchange.h"

#include <stdlib.h>

struct kt_runtime *kt_runtime_ref(struct kt_runtime *r)
{
    if (r)
        __atomic_add_fetch(&r->refs, 1, __ATOMIC_RELAXED);
    return r;
}

void kt_runtime_unref(struct kt_runtime *r)
{
    if (!r || __atomic_sub_fetch(&r->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    kt_chain_free(r->chain); /* borrows the config: first */
    kt_config_free(r->config);
    free(r->broken);
    free(r);
}
