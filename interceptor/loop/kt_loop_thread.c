/* SPDX-License-Identifier: Apache-2.0 */
/* What the event thread costs its program in address space. */
#include "interceptor/loop/kt_loop_private.h"

#include <errno.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LITTLE (1ull << 30)
#define STACK_BYTES (1u << 20)

/* By default 8 MB of stack, and 64 more that malloc sets aside for a thread of its own: too much for a
 * program that lives under a limit (RLIMIT_AS), whose own allocations would fail. There all threads share the
 * heap. With a low RLIMIT_STACK the default is too little for TLS. */
bool kt_loop_thread_attr(pthread_attr_t *attr)
{
    struct rlimit space;
    size_t usual = 0;
    if (pthread_attr_init(attr) != 0)
        return false;
    bool tight = getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur < LITTLE;
    if (tight)
        mallopt(M_ARENA_MAX, 1);
    if (tight || (pthread_attr_getstacksize(attr, &usual) == 0 && usual < STACK_BYTES))
        (void)!pthread_attr_setstacksize(attr, STACK_BYTES); /* else it has the usual one */
    return true;
}

extern const unsigned __rseq_size __attribute__((weak)); /* glibc 2.35; 0 = it registers none */

/* A filter of the program's own that denies rseq, set behind its start, makes each new thread of libc's an
 * abort. Asked in vain: this thread has its area, and EINVAL is the answer. */
bool kt_loop_thread_may_begin(void)
{
#ifdef SYS_rseq
    if (&__rseq_size && __rseq_size > 0)
        return syscall(SYS_rseq, NULL, 0, 0, 0) == 0 || errno == EINVAL;
#endif
    return true;
}
