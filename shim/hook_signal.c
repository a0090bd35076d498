/* SPDX-License-Identifier: Apache-2.0 */
/* Where we sleep in the place of a read (ssl_await.c) it matters what the program's handlers do to one. */
#include "shim/guard.h"
#include "shim/real.h"
#include "shim/ssl_await.h"

#include <signal.h>

/* POSIX's name for it in strict programs; glibc declares the other one as well. */
__sighandler_t __sysv_signal(int sig, __sighandler_t handler);

/* A handler may call these, and the first one is set by one of them: from then on none is looked for. */
static void about_to_set(__sighandler_t handler, unsigned flags)
{
    if (handler == SIG_DFL || handler == SIG_IGN)
        return;
    (void)KT_REAL(sigaction);
    (void)KT_REAL(signal);
    (void)KT_REAL(__sysv_signal);
    kt_ssl_await_handler(flags);
}

KT_HOOK int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
    if (act)
        about_to_set(act->sa_handler, (unsigned)act->sa_flags);
    return KT_REAL(sigaction)(sig, act, old);
}

KT_HOOK __sighandler_t __sysv_signal(int sig, __sighandler_t handler)
{
    about_to_set(handler, (unsigned)SA_RESETHAND);
    return KT_REAL(__sysv_signal)(sig, handler);
}

KT_HOOK __sighandler_t sysv_signal(int sig, __sighandler_t handler)
{
    return __sysv_signal(sig, handler);
}

KT_HOOK __sighandler_t signal(int sig, __sighandler_t handler)
{
    about_to_set(handler, SA_RESTART);
    return KT_REAL(signal)(sig, handler);
}
