/* SPDX-License-Identifier: Apache-2.0 */
/* What pthread_atfork, which is a part of each object that calls it, asks libc for. */
#include "shim/fork.h"
#include "shim/guard.h"
#include "shim/real.h"

#include <stdint.h>

int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *object);

KT_HOOK int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *object)
{
    void (*any)(void) = prepare ? prepare : parent ? parent : child;
    if (any && !kt_secure_process())
        kt_fork_before((const void *)(uintptr_t)any);
    return KT_REAL(__register_atfork)(prepare, parent, child, object);
}
