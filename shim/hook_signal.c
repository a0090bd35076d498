/* SPDX-License-Identifier: Apache-2.0 */
/* Where we sleep in the place of a read (ssl_await.c) it matters what the program's handlers do to one. */
#include "shim/guard.h"
#include "shim/real.h"
#include "shim/ssl_await.h"

#include <signal.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* programs use them all the same */

/* POSIX's name for it in strict programs; glibc declares the other one as well. */
__sighandler_t __sysv_signal(int sig, __sighandler_t handler);
__sighandler_t bsd_signal(int sig, __sighandler_t handler);

/* A handler may call these, and the first one is set by one of them: from then on none is looked for. */
static void about_to_set(__sighandler_t handler, unsigned flags)
{
    if (handler == SIG_DFL || handler == SIG_IGN || handler == SIG_HOLD)
        return;
    (void)KT_REAL(sigaction);
    (void)KT_REAL(signal);
    (void)KT_REAL(__sysv_signal);
    (void)KT_REAL(sigset);
    (void)KT_REAL(siginterrupt);
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

KT_HOOK __sighandler_t sigset(int sig, __sighandler_t handler)
{
    about_to_set(handler, 0);
    return KT_REAL(sigset)(sig, handler);
}

/* Of the handler that is there. */
KT_HOOK int siginterrupt(int sig, int interrupts)
{
    kt_ssl_await_handler(interrupts ? 0 : SA_RESTART);
    return KT_REAL(siginterrupt)(sig, interrupts);
}

KT_HOOK __sighandler_t bsd_signal(int sig, __sighandler_t handler)
{
    return signal(sig, handler);
}

KT_HOOK __sighandler_t ssignal(int sig, __sighandler_t handler)
{
    return signal(sig, handler);
}

KT_HOOK __sighandler_t signal(int sig, __sighandler_t handler)
{
    about_to_set(handler, SA_RESTART);
    return KT_REAL(signal)(sig, handler);
}
