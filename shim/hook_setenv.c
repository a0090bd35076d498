/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program may change its environment where none of its own threads reads it, and does not know of ours:
 * Node's process.env, Python's os.environ. So once there is an engine the two wait for each other. Before
 * that these may run in a sanitizer's start.
 */
#include "shim/engine.h"
#include "shim/env.h"
#include "shim/guard.h"
#include "shim/real.h"

#include <stdlib.h>

#define CHANGE(call)                                                                                         \
    bool apart = kt_engine_loaded() != NULL;                                                                 \
    if (apart)                                                                                               \
        kt_shim_environ_lock();                                                                              \
    int rc = call;                                                                                           \
    if (apart)                                                                                               \
        kt_shim_environ_unlock();                                                                            \
    return rc

KT_HOOK int setenv(const char *name, const char *value, int replace)
{
    CHANGE(KT_REAL(setenv)(name, value, replace));
}

KT_HOOK int unsetenv(const char *name)
{
    CHANGE(KT_REAL(unsetenv)(name));
}

KT_HOOK int putenv(char *entry)
{
    CHANGE(KT_REAL(putenv)(entry));
}

KT_HOOK int clearenv(void)
{
    CHANGE(KT_REAL(clearenv)());
}
