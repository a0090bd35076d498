/* SPDX-License-Identifier: Apache-2.0 */
/* A thread with a table of fds of its own: the engine's thread would stay in the other one. And namespaces
 * into which the kernel lets only programs of one thread: as such a one it finds them. */
#include "shim/engine.h"
#include "shim/fork.h"
#include "shim/guard.h"
#include "shim/last_thread.h"
#include "shim/real.h"

#include <errno.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>

#define OF_ONE_THREAD (CLONE_NEWUSER | CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)

KT_HOOK int unshare(int flags)
{
    bool has_engine = !kt_bypass() && kt_engine_here();
    if (has_engine && ((flags & CLONE_FILES) || ((flags & OF_ONE_THREAD) && kt_only_thread())))
        kt_before_split();
    return KT_REAL(unshare)(flags);
}

KT_HOOK int setns(int fd, int kinds)
{
    int saved = errno;
    if (!kt_bypass() && kt_engine_here()) {
        int asked = kinds ? kinds : ioctl(fd, NS_GET_NSTYPE);
        if (asked > 0 && (asked & (CLONE_NEWUSER | CLONE_NEWNS)) && kt_only_thread())
            kt_before_split();
    }
    errno = saved;
    return KT_REAL(setns)(fd, kinds);
}
