/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/ssl_account.h"

#include <stdlib.h>

struct kt_ssl_account *kt_ssl_account_new(void)
{
    struct kt_ssl_account *a = calloc(1, sizeof *a);
    if (a)
        atomic_store(&a->refs, 1);
    return a;
}

struct kt_ssl_account *kt_ssl_account_ref(struct kt_ssl_account *a)
{
    atomic_fetch_add(&a->refs, 1);
    return a;
}

void kt_ssl_account_unref(struct kt_ssl_account *a)
{
    if (a && atomic_fetch_sub(&a->refs, 1) == 1)
        free(a);
}
