/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that close every fd they do not know (daemons, sshd, subprocess) must not close the engine's. */
#include "shim/fork.h"
#include "shim/guard.h"
#include "shim/own_fd.h"
#include "shim/real.h"
#include "shim/tap_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool is_protected(int fd)
{
    return kt_fd_is_own(fd) && !kt_bypass();
}

KT_HOOK int close(int fd)
{
    if (!is_protected(fd)) {
        if (kt_tap_flag(fd) && !kt_bypass())
            kt_tap_socket_closed(fd);
        return KT_REAL(close)(fd);
    }
    errno = EBADF; /* for the program nothing is open there */
    return -1;
}

static int real_close_range(unsigned first, unsigned last, int flags)
{
    __typeof__(&close_range) real = KT_REAL(close_range);
    return real ? real(first, last, flags) : (int)syscall(SYS_close_range, first, last, flags);
}

/* The range without the engine's fds, piece by piece. */
static int close_around(unsigned first, unsigned last, int flags)
{
    int rc = 0;
    for (;;) {
        int own = kt_shim_own_fd_next(first);
        if (own < 0 || (unsigned)own > last)
            return real_close_range(first, last, flags);
        if ((unsigned)own > first)
            rc = real_close_range(first, (unsigned)own - 1, flags);
        if (rc != 0 || (unsigned)own == last)
            return rc;
        first = (unsigned)own + 1;
    }
}

KT_HOOK int close_range(unsigned first, unsigned last, int flags)
{
    if (first > last || kt_bypass())
        return real_close_range(first, last, flags);
    if (flags & CLOSE_RANGE_UNSHARE)
        kt_before_split();
    return close_around(first, last, flags);
}

KT_HOOK void closefrom(int low)
{
    unsigned first = low < 0 ? 0 : (unsigned)low;
    __typeof__(&closefrom) real = KT_REAL(closefrom);
    if (real && (kt_bypass() || kt_shim_own_fd_next(first) < 0)) {
        real(low);
        return;
    }
    int saved = errno;
    if (close_around(first, UINT_MAX, 0) != 0 && errno == ENOSYS) {
        long max = sysconf(_SC_OPEN_MAX);
        for (long fd = first; fd < max; fd++)
            close((int)fd);
    }
    errno = saved;
}

/* The new number is taken by the engine: what the kernel says while another thread is about to use it. */
static bool refuse_dup(int from, int to)
{
    if (is_protected(to)) {
        errno = EBUSY;
        return true;
    }
    if (is_protected(from)) {
        errno = EBADF;
        return true;
    }
    return false;
}

/* Sockets of the tap lane are followed to their new number. */
static int followed(int from, int to)
{
    if (to >= 0 && from != to && (kt_tap_flag(from) || kt_tap_flag(to)) && !kt_bypass())
        kt_tap_socket_dup(from, to);
    return to;
}

KT_HOOK int dup(int from)
{
    return followed(from, KT_REAL(dup)(from));
}

KT_HOOK int dup2(int from, int to)
{
    return refuse_dup(from, to) ? -1 : followed(from, KT_REAL(dup2)(from, to));
}

KT_HOOK int dup3(int from, int to, int flags)
{
    return refuse_dup(from, to) ? -1 : followed(from, KT_REAL(dup3)(from, to, flags));
}

static int by_fcntl(__typeof__(&fcntl) real, int fd, int cmd, void *arg)
{
    int rc = real(fd, cmd, arg);
    return cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC ? followed(fd, rc) : rc;
}

/* What the caller did not pass is not looked at: the C library reads it so, too. */
KT_HOOK int fcntl(int fd, int cmd, ...)
{
    va_list ap;
    va_start(ap, cmd);
    void *arg = va_arg(ap, void *);
    va_end(ap);
    return by_fcntl(KT_REAL(fcntl), fd, cmd, arg);
}

KT_HOOK int fcntl64(int fd, int cmd, ...)
{
    va_list ap;
    va_start(ap, cmd);
    void *arg = va_arg(ap, void *);
    va_end(ap);
    return by_fcntl(KT_REAL(fcntl64), fd, cmd, arg);
}
