/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/base/kt_environ.h"

#include <stdlib.h>
#include <string.h>

static void (*lock_it)(void), (*unlock_it)(void);

void kt_environ_use(void (*lock)(void), void (*unlock)(void))
{
    lock_it = lock;
    unlock_it = unlock;
}

void kt_environ_lock(void)
{
    if (lock_it)
        lock_it();
}

void kt_environ_unlock(void)
{
    if (unlock_it)
        unlock_it();
}

kt_result kt_environ_copy(const char *name, char **out)
{
    kt_environ_lock();
    const char *value = getenv(name);
    *out = value ? strdup(value) : NULL;
    kt_environ_unlock();
    return *out || !value ? kt_ok() : kt_err(KT_ERR_MEMORY);
}
