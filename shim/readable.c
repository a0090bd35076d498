/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/readable.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096u
#define PAGES 17u     /* of 64 KiB, wherever they begin */
#define ENOUGH 65536u /* more than anybody here reads of first words */

/* Where a sandbox refuses process_vm_readv. The kernel reads 8 bytes before it looks at the first argument,
 * which is none. */
static bool can_read(uintptr_t at)
{
    return syscall(SYS_rt_sigprocmask, ~0L, at & ~(uintptr_t)7, NULL, 8) == 0 || errno != EFAULT;
}

/* A byte of each page. Of oneself everybody may read so, and no checker of memory takes it for a use. */
static bool can_read_pages(const struct iovec *pages, size_t n)
{
    char bytes[PAGES];
    const struct iovec here = {bytes, sizeof bytes};
    ssize_t got = syscall(SYS_process_vm_readv, getpid(), &here, 1L, pages, n, 0L);
    if (got >= 0 || errno == EFAULT)
        return got == (ssize_t)n;
    for (size_t i = 0; i < n; i++)
        if (!can_read((uintptr_t)pages[i].iov_base))
            return false;
    return true;
}

bool kt_readable(const void *at, size_t len)
{
    struct iovec pages[PAGES];
    uintptr_t first = (uintptr_t)at, last = first + len - 1;
    int saved = errno;
    bool can = len == 0 || (at && last >= first);
    size_t n = 0;
    for (uintptr_t page = first; can && len > 0 && page >= first && page <= last;
         page = (page | (PAGE - 1)) + 1) {
        pages[n++] = (struct iovec){(void *)page, 1};
        if (n == PAGES || (page | (PAGE - 1)) >= last) {
            can = can_read_pages(pages, n);
            n = 0;
        }
    }
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
