/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and writing, for the tap lane's plain sockets. For every other fd a hook costs one load. The
 * functions with _chk are what _FORTIFY_SOURCE makes of these.
 */
#include "shim/dest.h"
#include "shim/divert.h"
#include "shim/first_words.h"
#include "shim/guard.h"
#include "shim/heir.h"
#include "shim/hello_parts.h"
#include "shim/readable.h"
#include "shim/real.h"
#include "shim/ssl_await.h"
#include "shim/ssl_trust.h"
#include "shim/tap.h"
#include "shim/tap_sockets.h"

#include <errno.h>
#include <stdint.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

ssize_t __read_chk(int fd, void *buf, size_t n, size_t room);
ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t room, int flags, struct sockaddr *sa,
                       socklen_t *len);

/* What these flags hand out is read again, no part of the stream, or nothing at all (MSG_TRUNC, which TCP
 * takes for "throw away"). */
#define NO_STREAM (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE | MSG_TRUNC)

static inline bool is_watched(int fd)
{
    return __builtin_expect(kt_tap_is_socket(fd), 0) && !kt_bypass();
}

static ssize_t got(int fd, const void *buf, size_t room, int flags, ssize_t n)
{
    if (n > 0 && (flags & (MSG_TRUNC | MSG_PEEK)) == MSG_TRUNC && is_watched(fd))
        kt_tap_socket_unread(fd, "an answer that was thrown away by MSG_TRUNC");
    if (n >= 0 && room > 0 && is_watched(fd) && !(flags & NO_STREAM))
        kt_tap_socket_copy(fd, KT_ABI_IN, buf, (size_t)n < room ? (size_t)n : room);
    return n;
}

/* Two loads. */
static inline bool is_known(int fd)
{
    return __builtin_expect(!kt_ssl_nameless && !(kt_tap_flag(fd) & KT_TAP_LOOK), 1);
}

/* May nothing leave by this fd? Asked before every write: a handshake whose peer is not known yet is about to
 * say its first words. */
static inline bool is_mute_iov(int fd, const struct iovec *iov, size_t count)
{
    if (is_known(fd) || kt_bypass())
        return false;
    count = kt_readable_pieces(iov, count);
    if (kt_ssl_nameless)
        kt_ssl_met_socket(fd);
    if (kt_tap_flag(fd) == KT_TAP_HEIR)
        kt_heir_look(fd, iov, count);
    bool stranger = kt_tap_is_stranger(fd) && kt_first_words_forbid(fd, iov, count);
    if (!stranger && !kt_tap_socket_is_refused(fd))
        return false;
    errno = ECONNREFUSED;
    return true;
}

static inline bool is_mute(int fd, const void *buf, size_t n)
{
    const struct iovec one = {(void *)(uintptr_t)buf, n};
    if (is_known(fd) || (!kt_ssl_nameless && kt_tap_is_stranger(fd) && !kt_first_words_may_begin(fd, buf)))
        return false;
    return is_mute_iov(fd, &one, 1);
}

/* Of first words that were looked at. */
static inline void said(int fd, ssize_t n)
{
    if (__builtin_expect(kt_tap_is_stranger(fd), 0) && kt_hello_parts_any() && !kt_bypass())
        kt_hello_parts_said(fd, n);
}

static ssize_t put(int fd, const void *buf, int flags, ssize_t n)
{
    said(fd, n);
    if (n > 0 && is_watched(fd) && !(flags & MSG_OOB))
        kt_tap_socket_copy(fd, KT_ABI_OUT, buf, (size_t)n);
    return n;
}

static ssize_t moved(int fd, enum kt_abi_dir dir, const struct iovec *iov, size_t count, int flags, ssize_t n)
{
    if (dir == KT_ABI_OUT)
        said(fd, n);
    if (n > 0 && (flags & (MSG_TRUNC | MSG_PEEK)) == MSG_TRUNC && dir == KT_ABI_IN && is_watched(fd))
        kt_tap_socket_unread(fd, "an answer that was thrown away by MSG_TRUNC");
    if (n >= 0 && count > 0 && is_watched(fd) && !(flags & (dir == KT_ABI_IN ? NO_STREAM : MSG_OOB)))
        kt_tap_socket_copy_iov(fd, dir, iov, count, (size_t)n);
    return n;
}

/* TCP Fast Open: a connect inside a send. To an address of ours it becomes the two calls: 1 = now send,
 * without MSG_FASTOPEN and address; -1 = failed, errno is set; 0 = not for us, and its first words are these.
 */
static int fast_opened(int fd, const struct sockaddr *sa, socklen_t len, int flags)
{
    if (!(flags & MSG_FASTOPEN) || !sa || kt_bypass() || !kt_dest_is_readable(sa, len))
        return 0;
    if (!kt_divert_wants(fd, sa, len)) {
        kt_first_words_await(fd, sa, len, 0);
        return 0;
    }
    return kt_divert_connect(fd, sa, len) == 0 ? 1 : -1;
}

/* The same to another address: the tap lane must know the socket before its first bytes. */
static ssize_t fast_sent(int fd, const struct sockaddr *sa, socklen_t len, int flags, ssize_t n)
{
    if ((flags & MSG_FASTOPEN) && sa && kt_tap_used() && !kt_bypass() && kt_dest_is_readable(sa, len))
        kt_tap_connected(fd, sa, len, n < 0 ? -1 : 0);
    return n;
}

/* A handler of the program interrupted this read while we waited in its place. */
static inline bool is_interrupted(int fd)
{
    if (__builtin_expect(kt_interrupted_read != fd + 1 || fd < 0, 1))
        return false;
    kt_interrupted_read = 0;
    errno = EINTR;
    return true;
}

KT_HOOK ssize_t read(int fd, void *buf, size_t n)
{
    if (is_interrupted(fd))
        return -1;
    return got(fd, buf, n, 0, KT_REAL(read)(fd, buf, n));
}

KT_HOOK ssize_t __read_chk(int fd, void *buf, size_t n, size_t room)
{
    if (is_interrupted(fd))
        return -1;
    return got(fd, buf, n, 0, KT_REAL(__read_chk)(fd, buf, n, room));
}

KT_HOOK ssize_t recv(int fd, void *buf, size_t n, int flags)
{
    if (is_interrupted(fd))
        return -1;
    return got(fd, buf, n, flags, KT_REAL(recv)(fd, buf, n, flags));
}

KT_HOOK ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags)
{
    return got(fd, buf, n, flags, KT_REAL(__recv_chk)(fd, buf, n, room, flags));
}

KT_HOOK ssize_t recvfrom(int fd, void *restrict buf, size_t n, int flags, struct sockaddr *restrict sa,
                         socklen_t *restrict len)
{
    return got(fd, buf, n, flags, KT_REAL(recvfrom)(fd, buf, n, flags, sa, len));
}

KT_HOOK ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t room, int flags, struct sockaddr *sa,
                               socklen_t *len)
{
    return got(fd, buf, n, flags, KT_REAL(__recvfrom_chk)(fd, buf, n, room, flags, sa, len));
}

KT_HOOK ssize_t readv(int fd, const struct iovec *iov, int count)
{
    return moved(fd, KT_ABI_IN, iov, count > 0 ? (size_t)count : 0, 0, KT_REAL(readv)(fd, iov, count));
}

/* A socket takes no offset but -1, which means: as readv. */
KT_HOOK ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    return moved(fd, KT_ABI_IN, iov, count > 0 ? (size_t)count : 0, 0,
                 KT_REAL(preadv2)(fd, iov, count, offset, flags));
}

KT_HOOK ssize_t preadv64v2(int fd, const struct iovec *iov, int count, off64_t offset, int flags)
{
    return moved(fd, KT_ABI_IN, iov, count > 0 ? (size_t)count : 0, 0,
                 KT_REAL(preadv64v2)(fd, iov, count, offset, flags));
}

KT_HOOK ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
    ssize_t n = KT_REAL(recvmsg)(fd, m, flags);
    return n < 0 ? n : moved(fd, KT_ABI_IN, m->msg_iov, m->msg_iovlen, flags, n);
}

KT_HOOK ssize_t write(int fd, const void *buf, size_t n)
{
    if (is_mute(fd, buf, n))
        return -1;
    return put(fd, buf, 0, KT_REAL(write)(fd, buf, n));
}

KT_HOOK ssize_t send(int fd, const void *buf, size_t n, int flags)
{
    if (is_mute(fd, buf, n))
        return -1;
    return put(fd, buf, flags, KT_REAL(send)(fd, buf, n, flags));
}

KT_HOOK ssize_t sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *sa, socklen_t len)
{
    int opened = fast_opened(fd, sa, len, flags);
    if (opened < 0 || is_mute(fd, buf, n))
        return -1;
    if (opened)
        return put(fd, buf, flags, KT_REAL(sendto)(fd, buf, n, flags & ~MSG_FASTOPEN, NULL, 0));
    return put(fd, buf, flags, fast_sent(fd, sa, len, flags, KT_REAL(sendto)(fd, buf, n, flags, sa, len)));
}

KT_HOOK ssize_t writev(int fd, const struct iovec *iov, int count)
{
    if (is_mute_iov(fd, iov, count > 0 ? (size_t)count : 0))
        return -1;
    return moved(fd, KT_ABI_OUT, iov, count > 0 ? (size_t)count : 0, 0, KT_REAL(writev)(fd, iov, count));
}

KT_HOOK ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    if (is_mute_iov(fd, iov, count > 0 ? (size_t)count : 0))
        return -1;
    return moved(fd, KT_ABI_OUT, iov, count > 0 ? (size_t)count : 0, 0,
                 KT_REAL(pwritev2)(fd, iov, count, offset, flags));
}

KT_HOOK ssize_t pwritev64v2(int fd, const struct iovec *iov, int count, off64_t offset, int flags)
{
    if (is_mute_iov(fd, iov, count > 0 ? (size_t)count : 0))
        return -1;
    return moved(fd, KT_ABI_OUT, iov, count > 0 ? (size_t)count : 0, 0,
                 KT_REAL(pwritev64v2)(fd, iov, count, offset, flags));
}

KT_HOOK ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
    struct msghdr rest;
    bool plain = is_known(fd) && !is_watched(fd) && !(flags & MSG_FASTOPEN);
    if (plain || !kt_readable(m, sizeof *m))
        return KT_REAL(sendmsg)(fd, m, flags);
    const struct sockaddr *sa = flags & MSG_FASTOPEN ? m->msg_name : NULL;
    socklen_t len = sa ? m->msg_namelen : 0;
    int opened = fast_opened(fd, sa, len, flags);
    if (opened < 0 || is_mute_iov(fd, m->msg_iov, m->msg_iovlen))
        return -1;
    if (opened) {
        rest = *m;
        rest.msg_name = NULL;
        rest.msg_namelen = 0;
    }
    ssize_t n = KT_REAL(sendmsg)(fd, opened ? &rest : m, opened ? flags & ~MSG_FASTOPEN : flags);
    if (!opened)
        fast_sent(fd, sa, len, flags, n);
    return moved(fd, KT_ABI_OUT, m->msg_iov, m->msg_iovlen, flags, n);
}

static ssize_t sent_file(int fd, ssize_t n)
{
    if (n > 0 && is_watched(fd))
        kt_tap_socket_unread(fd, "a request that was sent by sendfile");
    return n;
}

KT_HOOK ssize_t sendfile(int to, int from, off_t *offset, size_t n)
{
    if (is_mute(to, NULL, 0))
        return -1;
    return sent_file(to, KT_REAL(sendfile)(to, from, offset, n));
}

KT_HOOK ssize_t sendfile64(int to, int from, off64_t *offset, size_t n)
{
    if (is_mute(to, NULL, 0))
        return -1;
    return sent_file(to, KT_REAL(sendfile64)(to, from, offset, n));
}
