/* SPDX-License-Identifier: Apache-2.0 */
/* Where we sleep in the place of a read (ssl_await.c) it matters what the program's handlers do to one. */
#include "shim/guard.h"
#include "shim/real.h"
#include "shim/ssl_await.h"

#include <signal.h>

/* POSIX's name for it in strict programs; glibc declares the other one as well. */
__sighandler_t __sysv_signal(int sig, __sighandler_t handler);

KT_HOOK int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
    if (act && act->sa_handler != SIG_DFL && act->sa_handler != SIG_IGN)
        kt_ssl_await_handler((unsigned)act->sa_flags);
    return KT_REAL(sigaction)(sig, act, old);
}

KT_HOOK __sighandler_t __sysv_signal(int sig, __sighandler_t handler)
{
    if (handler != SIG_DFL && handler != SIG_IGN)
        kt_ssl_await_handler((unsigned)SA_RESETHAND);
    return KT_REAL(__sysv_signal)(sig, handler);
}

KT_HOOK __sighandler_t sysv_signal(int sig, __sighandler_t handler)
{
    return __sysv_signal(sig, handler);
}

KT_HOOK __sighandler_t signal(int sig, __sighandler_t handler)
{
    if (handler != SIG_DFL && handler != SIG_IGN)
        kt_ssl_await_handler(SA_RESTART);
    return KT_REAL(signal)(sig, handler);
}
