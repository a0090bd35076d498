/* SPDX-License-Identifier: Apache-2.0 */
/* Rarer ways to move bytes: of several messages each is one of hook_io.c's; what splice moves nobody can
 * read. */
#include "shim/guard.h"
#include "shim/readable.h"
#include "shim/real.h"
#include "shim/ssl_trust.h"
#include "shim/tap_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>

static bool concerns_us(int fd, int flags)
{
    return (kt_tap_flag(fd) || kt_ssl_nameless || (flags & MSG_FASTOPEN)) && !kt_bypass();
}

static size_t bytes_of(const struct msghdr *m)
{
    size_t sum = 0;
    for (size_t i = 0; i < m->msg_iovlen; i++)
        sum += m->msg_iov[i].iov_len;
    return sum;
}

/* As the kernel does it: up to the first that fails or is taken in part. */
KT_HOOK int sendmmsg(int fd, struct mmsghdr *all, unsigned count, int flags)
{
    if (!concerns_us(fd, flags) || count > IOV_MAX || !kt_readable(all, count * sizeof *all))
        return KT_REAL(sendmmsg)(fd, all, count, flags);
    unsigned done = 0;
    bool whole = true;
    int saved = errno;
    for (; done < count && whole; done++) {
        ssize_t n = sendmsg(fd, &all[done].msg_hdr, flags); /* our own */
        if (n < 0)
            break;
        all[done].msg_len = (unsigned)n;
        whole = (size_t)n == bytes_of(&all[done].msg_hdr);
    }
    if (done > 0)
        errno = saved;
    return done > 0 || count == 0 ? (int)done : -1;
}

KT_HOOK int recvmmsg(int fd, struct mmsghdr *all, unsigned count, int flags, struct timespec *timeout)
{
    int n = KT_REAL(recvmmsg)(fd, all, count, flags, timeout);
    for (int i = 0;
         i < n && kt_tap_is_socket(fd) && !(flags & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE)) && !kt_bypass(); i++)
        kt_tap_socket_copy_iov(fd, KT_ABI_IN, all[i].msg_hdr.msg_iov, all[i].msg_hdr.msg_iovlen,
                               all[i].msg_len);
    return n;
}

KT_HOOK ssize_t splice(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t len, unsigned flags)
{
    if (kt_tap_flag(to) && !kt_bypass() && kt_tap_socket_is_refused(to)) {
        errno = ECONNREFUSED;
        return -1;
    }
    ssize_t n = KT_REAL(splice)(from, from_offset, to, to_offset, len, flags);
    if (n > 0 && kt_tap_is_socket(to) && !kt_bypass())
        kt_tap_socket_unread(to, "a request that was sent by splice");
    if (n > 0 && kt_tap_is_socket(from) && !kt_bypass())
        kt_tap_socket_unread(from, "an answer that was read by splice");
    return n;
}
