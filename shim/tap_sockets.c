/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/tap_sockets.h"

#include "shim/engine.h"
#include "shim/guard.h"
#include "shim/lock.h"
#include "shim/ssl_table.h"
#include "shim/tap.h"
#include "shim/tls_records.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
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
    bool tls; /* a hooked library began it; watched until its plaintext was seen once */
    unsigned copies;
    struct kt_tls_records records;
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
    memset(&sockets[fd], 0, sizeof sockets[fd]);
}

/* fd is no name of this socket any more: what is known goes to a duplicate. True: there is one. */
static bool leave_locked(int fd)
{
    struct watched *s = &sockets[fd];
    int heir = -1;
    bool twin = s->twin_of != 0;
    for (unsigned i = 0; any_twin && !twin && s->ino && i < used; i++) {
        if (sockets[i].twin_of != fd + 1)
            continue;
        if (heir < 0 && inode_of((int)i) == s->ino) {
            heir = (int)i;
            sockets[i] = *s;
        } else if (heir >= 0) {
            sockets[i].twin_of = heir + 1;
        }
    }
    if (heir >= 0)
        memset(s, 0, sizeof *s);
    forget_locked(fd);
    return twin || heir >= 0;
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
        if (sockets[fd].tls) /* what the parent says on it counts there */
            forget_locked((int)fd);
    }
}

void kt_tap_socket_add(int fd, const char *host, uint16_t port)
{
    if ((unsigned)fd >= KT_TAP_FDS) {
        report(host, "a socket whose fd is too high to be watched");
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
static const char *const around_us = "TLS whose plaintext went past every hook";

/* The first bytes tell. True: TLS of a library that we see, from here on; or *why is set, and it is over. */
static bool begins_tls(struct watched *s, enum kt_abi_dir dir, const unsigned char *data, const char **why)
{
    if (s->opened || dir != KT_ABI_OUT || data[0] != TLS_HANDSHAKE)
        return false;
    s->tls = kt_ssl_table_taps(s->host);
    s->copies = kt_ssl_table_copies(s->host);
    if (s->tls)
        return true;
    *why = unknown_library;
    forget_socket_locked(s);
    return false;
}

/* The handshake came through our hooks; did what was said come, too? */
static void watch_tls(struct watched *s, enum kt_abi_dir dir, const struct iovec *iov, size_t count, size_t n,
                      const char **why)
{
    bool read_along = kt_ssl_table_copies(s->host) != s->copies;
    for (size_t i = 0; !read_along && i < count && n > 0; i++) {
        size_t part = iov[i].iov_len < n ? iov[i].iov_len : n;
        kt_tls_records_feed(&s->records, dir == KT_ABI_OUT, iov[i].iov_base, part);
        n -= part;
    }
    /* An answer proves it: by then a hook would have had the request. */
    if (!read_along && kt_tls_records_answered(&s->records))
        *why = around_us;
    if (read_along || *why)
        forget_socket_locked(s);
}

/* A TLS connection ends. */
static const char *last_word(const struct watched *s)
{
    bool unread = s->tls && kt_tls_records_spoke(&s->records) && kt_ssl_table_copies(s->host) == s->copies;
    return unread ? around_us : NULL;
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
    if (s && count > 0 && n > 0 && (s->tls || begins_tls(s, dir, iov->iov_base, &why))) {
        watch_tls(s, dir, iov, count, n, &why);
    } else if (s && !why && count > 0 && n > 0) {
        copy_plain(s, dir, iov, count, n);
    } else if (s && !why && n == 0 && dir == KT_ABI_IN) {
        why = last_word(s);
        forget_socket_locked(s);
    }
    kt_unlock(&lock);
    if (why)
        report(host, why);
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
    const char *host = s && !s->tls && !s->refused ? s->host : NULL;
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
    if (kt_memory_is_borrowed())
        return; /* the parent has it still */
    kt_lock(&lock);
    struct watched *s = at(fd);
    const char *host = s ? s->host : NULL, *why = s ? last_word(s) : NULL;
    if (leave_locked(fd))
        why = NULL;
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
        set_locked(to, &twin, s->refused ? KT_TAP_REFUSED : KT_TAP_WATCHED);
        any_twin = true;
    } else if (kt_tap_is_stranger(from) && (unsigned)to < KT_TAP_FDS) { /* whatever was there */
        atomic_store_explicit(&kt_tap_flags[to], kt_tap_flag(from), memory_order_relaxed);
    }
    kt_unlock(&lock);
    if (s && (unsigned)to <= STDERR_FILENO)
        kt_tap_socket_unread(to, "a socket that became a standard stream");
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
    if (flag != KT_TAP_WATCHED && flag != KT_TAP_REFUSED)
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
