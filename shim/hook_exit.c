/* SPDX-License-Identifier: Apache-2.0 */
/* Exits that run no atexit handler (children of Python's multiprocessing end so): what was tapped is written
 * first. quick_exit has handlers of its own; ours is registered before any other, and so runs last. */
#include "shim/guard.h"
#include "shim/quick_exit.h"
#include "shim/real.h"
#include "shim/tap.h"

#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Noreturn void leave(void (*real)(int), int status)
{
    if (!kt_bypass())
        kt_tap_settle(KT_ABI_EXIT);
    if (real)
        real(status);
    for (;;)
        syscall(SYS_exit_group, status);
}

KT_HOOK void _exit(int status)
{
    leave((void (*)(int))kt_real_lookup(KT_REAL_ID__exit), status);
}

KT_HOOK void _Exit(int status)
{
    leave((void (*)(int))kt_real_lookup(KT_REAL_ID__Exit), status);
}

KT_HOOK int __cxa_at_quick_exit(void (*fn)(void *), void *dso)
{
    kt_quick_exit_register();
    return KT_REAL(__cxa_at_quick_exit)(fn, dso);
}
