/* SPDX-License-Identifier: Apache-2.0 */
/* A thread with a table of fds of its own: the engine's thread would stay in the other one. */
#include "shim/fork.h"
#include "shim/guard.h"
#include "shim/real.h"

#include <sched.h>

KT_HOOK int unshare(int flags)
{
    if ((flags & CLONE_FILES) && !kt_bypass())
        kt_before_split();
    return KT_REAL(unshare)(flags);
}
