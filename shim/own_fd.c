/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/own_fd.h"

#include "shim/real.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

#define WORDS (KT_OWN_FD_MAX / 64)
/* Above what select() can name, below what would make the kernel grow its table much. */
#define WANTED_BASE 1536

static _Atomic uint64_t bits[WORDS];
static atomic_int count;

void kt_shim_own_fd(int fd, int on)
{
    if (fd < 0 || fd >= KT_OWN_FD_MAX)
        return;
    uint64_t mask = 1ull << (fd % 64);
    if (on) {
        if (!(atomic_fetch_or(&bits[fd / 64], mask) & mask))
            atomic_fetch_add(&count, 1);
    } else if (atomic_fetch_and(&bits[fd / 64], ~mask) & mask) {
        atomic_fetch_sub(&count, 1);
    }
}

bool kt_fd_is_own(int fd)
{
    if (fd < 0 || fd >= KT_OWN_FD_MAX || atomic_load_explicit(&count, memory_order_relaxed) == 0)
        return false;
    return atomic_load_explicit(&bits[fd / 64], memory_order_relaxed) >> (fd % 64) & 1;
}

int kt_shim_own_fd_next(unsigned from)
{
    if (atomic_load_explicit(&count, memory_order_relaxed) == 0)
        return -1;
    for (unsigned w = from / 64; w < WORDS; w++) {
        uint64_t word = atomic_load_explicit(&bits[w], memory_order_relaxed);
        if (w == from / 64)
            word &= ~0ull << (from % 64);
        if (word)
            return (int)(w * 64 + (unsigned)__builtin_ctzll(word));
    }
    return -1;
}

void kt_shim_own_fd_forget_all(void)
{
    for (int fd = kt_shim_own_fd_next(0); fd >= 0; fd = kt_shim_own_fd_next((unsigned)fd + 1))
        kt_shim_own_fd(fd, 0);
}

int kt_shim_fd_raise(int fd)
{
    int saved = errno;
    struct rlimit lim;
    int base = WANTED_BASE;
    if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < 2 * WANTED_BASE)
        base = (int)(lim.rlim_cur / 4 * 3);
    int high = fcntl(fd, F_DUPFD_CLOEXEC, base);
    if (high >= 0) {
        KT_REAL(close)(fd);
        fd = high;
    }
    errno = saved;
    return fd;
}

int kt_shim_own_fd_raise(int fd)
{
    fd = kt_shim_fd_raise(fd);
    kt_shim_own_fd(fd, 1);
    return fd;
}
