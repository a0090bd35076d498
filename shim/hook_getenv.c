/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Node and Deno ask the environment once for CAs to add to their own. Where the user set none, the answer is
 * the plan's CA. Runs before our constructor too, and in the allocators' start: nothing but the two names may
 * cost anything.
 */
#include "shim/env.h"
#include "shim/guard.h"
#include "shim/plan.h"
#include "shim/real.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_ca_variable(const char *name)
{
    if (__builtin_expect(name[0] != 'N' && name[0] != 'D', 1))
        return false;
    return strcmp(name, "NODE_EXTRA_CA_CERTS") == 0 || strcmp(name, "DENO_CERT") == 0;
}

static char *plan_ca(void)
{
    if (kt_bypass() || !kt_plan_ready(KT_PLAN_MAKE))
        return NULL;
    return (char *)(uintptr_t)kt_plan_ca_path();
}

KT_HOOK char *getenv(const char *name)
{
    __typeof__(&getenv) real = KT_REAL(getenv);
    bool apart = kt_guarded(); /* the program's own libcurl, in a thread of ours */
    if (apart)
        kt_shim_environ_lock();
    char *v = real ? real(name) : kt_env_scan(environ, name);
    if (apart)
        kt_shim_environ_unlock();
    return v || !is_ca_variable(name) ? v : plan_ca();
}

KT_HOOK char *secure_getenv(const char *name)
{
    if (kt_secure_process())
        return NULL;
    __typeof__(&secure_getenv) real = KT_REAL(secure_getenv);
    char *v = real ? real(name) : kt_env_scan(environ, name);
    return v || !is_ca_variable(name) ? v : plan_ca();
}
