/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/first_words.h"

#include "shim/client_hello.h"
#include "shim/dest.h"
#include "shim/engine.h"
#include "shim/env.h"
#include "shim/guard.h"
#include "shim/plan.h"
#include "shim/ssl_table.h"
#include "shim/tap.h"
#include "shim/tap_sockets.h"
#include "shim/trace.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>

static atomic_uint judged;

void kt_first_words_judged(void)
{
    atomic_fetch_add_explicit(&judged, 1, memory_order_relaxed);
}

static bool was_judged(void)
{
    unsigned n = atomic_load_explicit(&judged, memory_order_relaxed);
    while (n > 0 && !atomic_compare_exchange_weak(&judged, &n, n - 1))
        ;
    return n > 0;
}

static bool is_begun(int rc)
{
    return rc == 0 || errno == EINPROGRESS ||
           errno == EINTR; /* not EALREADY, EISCONN: that was another call */
}

void kt_first_words_await(int fd, const struct sockaddr *sa, socklen_t len, int rc)
{
    if ((unsigned)fd >= KT_TAP_FDS || !is_begun(rc) || !sa || len < sizeof(sa_family_t) ||
        (sa->sa_family != AF_INET && sa->sa_family != AF_INET6))
        return;
    if (!kt_tap_socket_is_known(fd)) /* what else is noted there was of an earlier socket */
        atomic_store_explicit(&kt_tap_flags[fd], KT_TAP_STRANGER, memory_order_relaxed);
}

void kt_first_words_ours(int fd, int rc)
{
    if (kt_tap_is_stranger(fd) && is_begun(rc)) /* of an earlier socket with this number */
        atomic_store_explicit(&kt_tap_flags[fd], 0, memory_order_relaxed);
}

/* It may be something else by now that has the number. */
static bool is_stream(int fd)
{
    int type = 0;
    socklen_t len = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

/* Under --strict the supervisor itself reads the first bytes, and captures; but not those of connects that we
 * say we read along. */
static bool others_look(void)
{
    const char *v = kt_env_get("KT_SUPERVISED");
    return v && strcmp(v, "strict") == 0 && !kt_plan_observes();
}

static void report(const char *host, bool watching, bool passes)
{
    const struct kt_engine_abi *engine = kt_engine_get();
    if (!engine) {
        kt_shim_note_unseen(host, 443);
        return;
    }
    int saved = kt_guard_enter();
    engine->report(
        passes ? KT_ABI_PASSED : KT_ABI_UNSEEN, host,
        watching ? "TLS of a library that cannot be read along, on a socket of its own (a proxy, another "
                   "resolver, a literal address)"
                 : "TLS on a socket that was not diverted (a proxy, another resolver, a literal address)");
    kt_guard_leave(saved);
}

#define PIECES_MAX 4096 /* of a ClientHello that one call writes from several places */

static size_t gather(uint8_t room[PIECES_MAX], const struct iovec *iov, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < count && n < PIECES_MAX; i++) {
        size_t part = iov[i].iov_len < PIECES_MAX - n ? iov[i].iov_len : PIECES_MAX - n;
        memcpy(room + n, iov[i].iov_base, part);
        n += part;
    }
    return n;
}

static __attribute__((noinline)) bool name_in_pieces(const struct iovec *iov, size_t count,
                                                     char host[KT_HELLO_HOST_MAX])
{
    uint8_t room[PIECES_MAX];
    return kt_client_hello_name(room, gather(room, iov, count), host);
}

/* What goes before a handshake (to a proxy, in the clear) decides nothing, for so many writes. */
static void look_on(int fd)
{
    unsigned flag = kt_tap_flag(fd);
    unsigned next = flag < KT_TAP_LAST_LOOK ? flag + KT_TAP_ONE_LOOK : 0;
    atomic_store_explicit(&kt_tap_flags[fd], (unsigned char)next, memory_order_relaxed);
}

static bool forbid(int fd, const struct iovec *iov, size_t count)
{
    char host[KT_HELLO_HOST_MAX];
    struct kt_host known;
    bool stream = is_stream(fd);
    if (stream && *(const uint8_t *)iov->iov_base != KT_HELLO_RECORD) {
        look_on(fd);
        return false;
    }
    atomic_store_explicit(&kt_tap_flags[fd], 0, memory_order_relaxed);
    bool named = stream && (count > 1 ? name_in_pieces(iov, count, host)
                                      : kt_client_hello_name(iov->iov_base, iov->iov_len, host));
    if (!named || others_look() || kt_plan_host(host, KT_PLAN_MAKE, false, &known) != KT_HOST_OURS ||
        was_judged())
        return false;
    bool watching = kt_tap_on();
    if (watching && kt_ssl_table_taps(known.name ? known.name : host))
        return false; /* a library that we see */
    KT_TRACE_SHIM("fd %d: a handshake with %s that nobody saw", fd, host);
    bool passes = watching || kt_plan_fail_allows();
    report(host, watching, passes);
    if (passes)
        return false;
    kt_tap_socket_refuse(fd);
    shutdown(
        fd,
        SHUT_RDWR); /* Node takes no notice of a failed write in a handshake, and would wait for an answer */
    return true;
}

#define LOOKED_AT (5 + 16384) /* a record, at most */

bool kt_first_words_readable(const struct iovec *iov, size_t count)
{
    size_t left = LOOKED_AT;
    if (count > IOV_MAX || !kt_can_read(iov, count * sizeof *iov))
        return false;
    for (size_t i = 0; i < count && left > 0; i++) {
        size_t part = iov[i].iov_len < left ? iov[i].iov_len : left;
        if (!kt_can_read(iov[i].iov_base, part))
            return false;
        left -= part;
    }
    return true;
}

bool kt_first_words_forbid(int fd, const struct iovec *iov, size_t count)
{
    while (count > 0 && iov->iov_len == 0) {
        iov++;
        count--;
    }
    if (count == 0)
        return false;
    int saved = errno;
    bool forbidden = forbid(fd, iov, count);
    errno = saved;
    return forbidden;
}
