/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/stack.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

#define MAIN_MAX ((uintptr_t)64 << 20) /* where the limit is "unlimited" */

extern void *__libc_stack_end; /* of ld.so: where the main thread's begins */

struct range {
    uintptr_t low, high;
};

static struct range of_main(void)
{
    struct rlimit limit;
    uintptr_t high = (uintptr_t)__libc_stack_end, size = MAIN_MAX;
    if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < MAIN_MAX)
        size = (uintptr_t)limit.rlim_cur;
    return (struct range){high - size, high};
}

/* Of a thread that pthread_create made; of the main one libc would read /proc for it. */
static struct range of_thread(void)
{
    pthread_attr_t attr;
    void *low = NULL;
    size_t size = 0;
    if (getpid() == gettid() || pthread_getattr_np(pthread_self(), &attr) != 0)
        return (struct range){0, 0};
    bool known = pthread_attr_getstack(&attr, &low, &size) == 0;
    pthread_attr_destroy(&attr);
    return known ? (struct range){(uintptr_t)low, (uintptr_t)low + size} : (struct range){0, 0};
}

static bool inside(struct range r, uintptr_t at)
{
    return at > r.low && at <= r.high;
}

bool kt_stack_suffices(void)
{
    static __thread struct range own __attribute__((tls_model("initial-exec")));
    static __thread bool asked __attribute__((tls_model("initial-exec")));
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    if (!asked) {
        int saved = errno;
        own = of_main();
        if (!inside(own, here))
            own = of_thread();
        asked = true;
        errno = saved;
    }
    return inside(own, here) && here - own.low >= KT_STACK_NEED;
}
