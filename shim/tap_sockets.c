/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/tap_sockets.h"

#include "shim/engine.h"
#include "shim/guard.h"
#include "shim/lock.h"
#include "shim/tap.h"
#include "shim/tap_tls.h"
#include "shim/tls_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TLS_HANDSHAKE 0x16

struct watched {
    ino_t ino;   /* another one behind the fd: this entry is stale */
    int twin_of; /* 1 + the fd whose entry has the rest, for a duplicate; 0 = this one has it */
    const char *host;
    uint64_t tap;
    uint16_t port;
    bool refused;
    bool opened;
    struct kt_tap_tls tls; /* watched until its plaintext was seen once; then its end */
};

atomic_uchar kt_tap_flags[KT_TAP_FDS];
static struct watched sockets[KT_TAP_FDS]; /* pages that are never touched cost nothing */
static unsigned used;                      /* fds at or above were never watched */
static bool any_twin;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void kt_tap_sockets_lock(void)
{
    kt_lock(&lock);
}

void kt_tap_sockets_unlock(void)
{
    kt_unlock(&lock);
}

static const char too_high[] = "a socket whose fd is too high to be watched";

static ino_t inode_of(int fd)
{
    struct stat st;
    return fstatat(fd, "", &st, AT_EMPTY_PATH) == 0 && S_ISSOCK(st.st_mode) ? st.st_ino : 0;
}

static void report(const char *host, const char *why)
{
    const struct kt_engine_abi *engine = kt_engine_here();
    if (!engine)
        return;
    int saved = kt_guard_enter();
    engine->report(KT_ABI_PASSED, host, why);
    kt_guard_leave(saved);
}

static void forget_locked(int fd)
{
    atomic_store_explicit(&kt_tap_flags[fd], 0, memory_order_relaxed);
    kt_tap_close(sockets[fd].tap);
    kt_tap_tls_forget(&sockets[fd].tls);
    memset(&sockets[fd], 0, sizeof sockets[fd]);
}

/* A duplicate of the socket that fd's entry is about; -1 = none. */
static int heir_of_locked(int fd)
{
    const struct watched *s = &sockets[fd];
    for (unsigned i = 0; any_twin && !s->twin_of && s->ino && i < used; i++)
        if (sockets[i].twin_of == fd + 1 && inode_of((int)i) == s->ino)
            return (int)i;
    return -1;
}

/* fd is no name of this socket any more: what is known goes to a duplicate. */
static void leave_locked(int fd)
{
    struct watched *s = &sockets[fd];
    int heir = heir_of_locked(fd);
    if (heir >= 0) {
        sockets[heir] = *s;
        memset(s, 0, sizeof *s);
    }
    for (unsigned i = 0; heir >= 0 && i < used; i++)
        if (sockets[i].twin_of == fd + 1)
            sockets[i].twin_of = heir + 1;
    forget_locked(fd);
}

static void forget_socket_locked(const struct watched *s)
{
    forget_locked((int)(s - sockets)); /* its duplicates find nobody there */
}

static void set_locked(int fd, const struct watched *w, unsigned char flag)
{
    sockets[fd] = *w;
    used = (unsigned)fd >= used ? (unsigned)fd + 1 : used;
    atomic_store_explicit(&kt_tap_flags[fd], flag, memory_order_relaxed);
}

/* The parent's flows are not ours; what the child says on an inherited connection begins one of its own. */
void kt_tap_sockets_forked(void)
{
    for (unsigned fd = 0; fd < used; fd++) {
        sockets[fd].tap = 0;
        sockets[fd].opened = false;
        if (sockets[fd].tls.begun) /* what the parent says on it counts there */
            forget_locked((int)fd);
    }
}

void kt_tap_socket_add(int fd, const char *host, uint16_t port)
{
    if ((unsigned)fd >= KT_TAP_FDS) {
        report(host, too_high);
        return;
    }
    ino_t ino = inode_of(fd);
    kt_lock(&lock);
    if (sockets[fd].ino != ino) { /* else a second connect on the same socket */
        leave_locked(fd);
        set_locked(fd, &(struct watched){.ino = ino, .host = host, .port = port}, KT_TAP_WATCHED);
    }
    kt_unlock(&lock);
}

/* Lock held. NULL where the fd is something else by now. */
static struct watched *at(int fd)
{
    struct watched *s = &sockets[fd], *first = s->twin_of ? &sockets[s->twin_of - 1] : s;
    if (s->ino && s->ino == first->ino && s->ino == inode_of(fd))
        return first;
    if (s->ino)
        forget_locked(fd);
    return NULL;
}

static const char *const unknown_library = "TLS of a library that cannot be read along";

/* Why a TLS connection must be reported; NULL = it need not. */
static const char *why_of(enum kt_tap_tls_state state)
{
    return state == KT_TAP_TLS_UNKNOWN      ? unknown_library
           : state == KT_TAP_TLS_PAST_HOOKS ? kt_tls_past_hooks
                                            : NULL;
}

static bool is_tls(struct watched *s, enum kt_abi_dir dir, const unsigned char *data)
{
    s->tls.begun = s->tls.begun || (!s->opened && dir == KT_ABI_OUT && data[0] == TLS_HANDSHAKE);
    return s->tls.begun;
}

static const char *copy_tls(int fd, struct watched *s, enum kt_abi_dir dir, const struct iovec *iov,
                            size_t count, size_t n)
{
    enum kt_tap_tls_state state = kt_tap_tls_feed(&s->tls, dir == KT_ABI_OUT, iov, count, n);
    if (state == KT_TAP_TLS_READ && kt_tap_tls_counts(&s->tls))
        atomic_store_explicit(&kt_tap_flags[fd], KT_TAP_READ_ALONG, memory_order_relaxed);
    else if (state != KT_TAP_TLS_OPEN)
        forget_socket_locked(s);
    return why_of(state);
}

/* The program ends and has left these open. Before the engine's handler of exit, because ours is set later.
 */
static void at_exit(void)
{
    for (unsigned fd = 0; fd < used && !kt_bypass(); fd++)
        if (sockets[fd].tls.account)
            kt_tap_socket_closed((int)fd);
}

static void look_at_exit(void)
{
    static atomic_flag set = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&set))
        atexit(at_exit);
}

static void copy_plain(struct watched *s, enum kt_abi_dir dir, const struct iovec *iov, size_t count,
                       size_t n)
{
    if (!s->opened)
        s->tap = kt_tap_open(s->host, s->port, false);
    s->opened = true;
    for (size_t i = 0; i < count && n > 0; i++) {
        size_t part = iov[i].iov_len < n ? iov[i].iov_len : n;
        kt_tap_copy(s->tap, dir, iov[i].iov_base, part);
        n -= part;
    }
}

static void copy(int fd, enum kt_abi_dir dir, const struct iovec *iov, size_t count, size_t n)
{
    const char *why = NULL, *host = NULL;
    while (count > 0 && iov->iov_len == 0) {
        iov++;
        count--;
    }
    kt_lock(&lock);
    struct watched *s = at(fd);
    host = s ? s->host : NULL;
    if (s && count > 0 && n > 0 && is_tls(s, dir, iov->iov_base)) {
        why = copy_tls(fd, s, dir, iov, count, n);
    } else if (s && count > 0 && n > 0) {
        copy_plain(s, dir, iov, count, n);
    } else if (s && n == 0 && dir == KT_ABI_IN) {
        why = why_of(kt_tap_tls_ends(&s->tls, fd));
        forget_socket_locked(s);
    }
    bool read_along = s && s->tls.account;
    kt_unlock(&lock);
    if (why)
        report(host, why);
    if (read_along)
        look_at_exit();
}

void kt_tap_socket_copy_iov(int fd, enum kt_abi_dir dir, const struct iovec *iov, size_t count, size_t n)
{
    int saved = errno;
    copy(fd, dir, iov, count, n);
    errno = saved;
}

void kt_tap_socket_copy(int fd, enum kt_abi_dir dir, const void *data, size_t n)
{
    const struct iovec one = {(void *)(uintptr_t)data, n};
    kt_tap_socket_copy_iov(fd, dir, &one, 1, n);
}

void kt_tap_socket_unread(int fd, const char *why)
{
    int saved = errno;
    kt_lock(&lock);
    struct watched *s = at(fd);
    const char *host = s && !s->tls.begun && !s->refused ? s->host : NULL;
    if (host)
        forget_socket_locked(s);
    kt_unlock(&lock);
    if (host)
        report(host, why);
    errno = saved;
}

void kt_tap_socket_closed(int fd)
{
    int saved = errno;
    if ((unsigned)fd >= KT_TAP_FDS || kt_memory_is_borrowed())
        return; /* the parent has it still */
    kt_lock(&lock);
    struct watched *s = at(fd);
    const char *host = s ? s->host : NULL;
    bool last = s && !sockets[fd].twin_of && heir_of_locked(fd) < 0;
    const char *why = last ? why_of(kt_tap_tls_ends(&s->tls, fd)) : NULL;
    leave_locked(fd);
    kt_unlock(&lock);
    if (why)
        report(host, why);
    errno = saved;
}

void kt_tap_socket_dup(int from, int to)
{
    int saved = errno;
    if (kt_tap_is_stranger(from) && (unsigned)to < KT_TAP_FDS && !kt_tap_flag(to))
        atomic_store_explicit(&kt_tap_flags[to], kt_tap_flag(from), memory_order_relaxed);
    if (!kt_engine_is_of_this_process())
        return; /* a vfork child: its fds are its own, this memory is its parent's */
    kt_lock(&lock);
    if ((unsigned)to < KT_TAP_FDS)
        leave_locked(to); /* what was there is closed */
    struct watched *s = (unsigned)from < KT_TAP_FDS ? at(from) : NULL;
    if (s && (unsigned)to < KT_TAP_FDS) {
        struct watched twin = {.ino = s->ino, .twin_of = s->refused ? 0 : (int)(s - sockets) + 1};
        twin.refused = s->refused;
        set_locked(to, &twin, s->refused ? KT_TAP_REFUSED : kt_tap_flag(from));
        any_twin = true;
    } else if (kt_tap_is_stranger(from) && (unsigned)to < KT_TAP_FDS) { /* whatever was there */
        atomic_store_explicit(&kt_tap_flags[to], kt_tap_flag(from), memory_order_relaxed);
    }
    kt_unlock(&lock);
    if (s && (unsigned)to <= STDERR_FILENO)
        kt_tap_socket_unread(to, "a socket that became a standard stream");
    else if (s && (unsigned)to >= KT_TAP_FDS)
        kt_tap_socket_unread(from, too_high);
    errno = saved;
}

void kt_tap_socket_refuse(int fd)
{
    ino_t ino = (unsigned)fd < KT_TAP_FDS ? inode_of(fd) : 0;
    if (!ino)
        return;
    kt_lock(&lock);
    forget_locked(fd);
    set_locked(fd, &(struct watched){.ino = ino, .refused = true}, KT_TAP_REFUSED);
    kt_unlock(&lock);
}

bool kt_tap_socket_is_known(int fd)
{
    unsigned char flag = kt_tap_flag(fd);
    if (flag != KT_TAP_WATCHED && flag != KT_TAP_READ_ALONG && flag != KT_TAP_REFUSED)
        return false;
    int saved = errno;
    kt_lock(&lock);
    bool known = at(fd) != NULL;
    kt_unlock(&lock);
    errno = saved;
    return known;
}

bool kt_tap_socket_is_refused(int fd)
{
    if (kt_tap_flag(fd) != KT_TAP_REFUSED)
        return false;
    int saved = errno;
    kt_lock(&lock);
    const struct watched *s = at(fd);
    bool refused = s && s->refused;
    kt_unlock(&lock);
    errno = saved;
    return refused;
}
