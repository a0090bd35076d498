/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/readable.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096u
#define ENOUGH 65536u /* more than anybody here reads of first words */

/* The kernel reads 8 bytes before it looks at the first argument, which is none. */
static bool can_read(uintptr_t at)
{
    return syscall(SYS_rt_sigprocmask, ~0L, at & ~(uintptr_t)7, NULL, 8) == 0 || errno != EFAULT;
}

bool kt_readable(const void *at, size_t len)
{
    uintptr_t first = (uintptr_t)at, last = first + len - 1;
    int saved = errno;
    bool can = len == 0 || (at && last >= first);
    for (uintptr_t page = first; can && len > 0 && page <= last; page = (page | (PAGE - 1)) + 1)
        can = can_read(page);
    errno = saved;
    return can;
}

size_t kt_readable_pieces(const struct iovec *iov, size_t count)
{
    size_t n = 0, asked = 0;
    if (count > IOV_MAX || !kt_readable(iov, count * sizeof *iov))
        return 0;
    for (; n < count && asked < ENOUGH; n++) {
        size_t part = iov[n].iov_len < ENOUGH ? iov[n].iov_len : ENOUGH;
        if (!kt_readable(iov[n].iov_base, part))
            break;
        asked += part;
    }
    return n;
}
