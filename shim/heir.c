/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/heir.h"

#include "shim/engine.h"
#include "shim/fdtab.h"
#include "shim/guard.h"
#include "shim/real.h"
#include "shim/tap_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ESTABLISHED 1 /* the two headers that have it and tcpi_bytes_sent exclude each other */
#define MANY 16
#define LOW_FDS 64 /* where programs put what they give away */

static bool ask(int fd, struct tcp_info *info)
{
    socklen_t len = sizeof *info;
    memset(info, 0, sizeof *info);
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &len) == 0;
}

static void report(enum kt_abi_event what, const char *host, const char *detail)
{
    const struct kt_engine_abi *engine = kt_engine_get();
    int saved = kt_guard_enter();
    if (engine)
        engine->report(what, host, detail);
    kt_guard_leave(saved);
}

static void watch(void *none, int fd, const struct kt_diverted *d)
{
    (void)none;
    if ((unsigned)fd < KT_TAP_FDS && !d->watched && !kt_tap_flag(fd))
        atomic_store_explicit(&kt_tap_flags[fd], KT_TAP_HEIR, memory_order_relaxed);
}

void kt_heirs_forked(void)
{
    if (kt_fdtab_used())
        kt_fdtab_each_locked(watch, NULL);
}

/* Dead, if not buried. */
static bool is_gone(pid_t pid)
{
    char path[32], text[256];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return kill(pid, 0) != 0 && errno == ESRCH;
    ssize_t n = KT_REAL(read)(file, text, sizeof text - 1);
    KT_REAL(close)(file);
    text[n > 0 ? n : 0] = '\0';
    const char *state = strrchr(text, ')');
    return state && state[1] == ' ' && (state[2] == 'Z' || state[2] == 'X');
}

/* A TLS connection is closed in good order. TLS 1.3 hides the type of its records: two bytes of alert, one of
 * type and 16 of tag, as application data (RFC 8446, 5.2). */
static bool is_alert(const struct iovec *iov, size_t count)
{
    static const unsigned char hidden[] = {0x17, 3, 3, 0, 19};
    unsigned char head[sizeof hidden] = {0};
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < iov[i].iov_len && total + k < sizeof head; k++)
            head[total + k] = ((const unsigned char *)iov[i].iov_base)[k];
        total += iov[i].iov_len;
    }
    return head[0] == 0x15 || (total == sizeof hidden + 19 && memcmp(head, hidden, sizeof hidden) == 0);
}

void kt_heir_look(int fd, const struct iovec *iov, size_t count)
{
    struct kt_diverted d;
    struct tcp_info info;
    int saved = errno;
    bool ours = kt_fdtab_find(fd, &d) && ask(fd, &info);
    if (!ours ||
        (info.tcpi_state != ESTABLISHED && is_gone(d.opener))) { /* else it is served, or was ended */
        atomic_store_explicit(&kt_tap_flags[fd], 0, memory_order_relaxed);
        if (ours && !is_alert(iov, count)) /* a last word, to whom it may concern */
            report(KT_ABI_CUT, d.origin,
                   "the process that opened this connection has ended, and the connection with it");
    }
    errno = saved;
}

struct going {
    struct kt_diverted what[MANY];
    int fd[MANY];
    unsigned count;
};

static void collect(void *list, int fd, const struct kt_diverted *d)
{
    struct going *g = list;
    if (d->watched || d->opener != getpid() || g->count == MANY)
        return;
    g->what[g->count] = *d;
    g->fd[g->count++] = fd;
}

static bool goes_along(int fd)
{
    struct kt_diverted d;
    struct tcp_info info;
    int flags = fcntl(fd, F_GETFD);
    return flags >= 0 && !(flags & FD_CLOEXEC) && kt_fdtab_find(fd, &d) && d.opener == getpid() &&
           ask(fd, &info) && info.tcpi_state == ESTABLISHED && info.tcpi_bytes_sent == 0;
}

/* Under its own number, or as one of the low ones that it was copied to. */
static bool any_goes_along(int fd, const char *origin)
{
    struct kt_diverted d;
    bool goes = goes_along(fd);
    for (int low = 0; !goes && low < LOW_FDS; low++)
        goes = kt_fdtab_find(low, &d) && d.origin == origin && goes_along(low);
    return goes;
}

void kt_heirs_before_exec(void)
{
    struct going g;
    int saved = errno;
    if (!kt_fdtab_used() || !kt_engine_here())
        return;
    g.count = 0;
    kt_fdtab_lock();
    kt_fdtab_each_locked(collect, &g);
    kt_fdtab_unlock();
    for (unsigned i = 0; i < g.count; i++)
        if (any_goes_along(g.fd[i], g.what[i].origin))
            report(KT_ABI_GIVEN, g.what[i].origin,
                   "this connection was given to another program by exec, and ends there");
    errno = saved;
}
