/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/first_words.h"

#include "shim/env.h"
#include "shim/fdtab.h"
#include "shim/hello_parts.h"
#include "shim/plan.h"
#include "shim/readable.h"
#include "shim/ssl_table.h"
#include "shim/tap.h"
#include "shim/tap_sockets.h"
#include "shim/tls_peer.h"
#include "shim/trace.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static bool is_begun(int rc)
{
    return rc == 0 || errno == EINPROGRESS ||
           errno == EINTR; /* not EALREADY, EISCONN: that was another call */
}

/* What is kept of fd's socket; of one that is too high, nothing is. */
static void set_flag(int fd, unsigned flag)
{
    if ((unsigned)fd < KT_TAP_FDS)
        atomic_store_explicit(&kt_tap_flags[fd], (unsigned char)flag, memory_order_relaxed);
}

void kt_first_words_await(int fd, const struct sockaddr *sa, socklen_t len, int rc)
{
    if (!is_begun(rc) || !sa || len < sizeof(sa_family_t) ||
        (sa->sa_family != AF_INET && sa->sa_family != AF_INET6))
        return;
    if (!kt_tap_socket_is_known(fd)) /* what else is noted there was of an earlier socket */
        set_flag(fd, KT_TAP_STRANGER);
}

void kt_first_words_ours(int fd, int rc)
{
    if (kt_tap_is_stranger(fd) && is_begun(rc)) /* of an earlier socket with this number */
        set_flag(fd, 0);
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
    kt_tls_report_unseen(
        host,
        watching ? "TLS of a library that cannot be read along, on a socket of its own (a proxy, another "
                   "resolver, a literal address)"
                 : "TLS on a socket that was not diverted (a proxy, another resolver, a literal address)",
        passes);
}

/* Nobody can tell whom it means, and most of them mean none of ours (browsers send one to everybody): said
 * once, and let go. */
static void note_encrypted(const char *front)
{
    static _Atomic(pid_t) noted;
    if (others_look() || atomic_exchange(&noted, getpid()) == getpid())
        return;
    KT_TRACE_SHIM("a handshake with %s whose real server name is encrypted", front);
    kt_tls_report_unseen(
        front[0] ? front : "unknown",
        "a TLS handshake whose server name is encrypted (ECH): whom it means cannot be told; "
        "said once a process",
        true);
}

/* A session that our hooks know, or a socket that is ours (one whose fd is too high has no flag that says
 * so). */
static bool is_known(int fd, const struct kt_client_hello *h)
{
    struct kt_diverted d;
    return kt_fdtab_find(fd, &d) || (h->has_random && kt_ssl_table_claims(h->random, NULL));
}

/* To an intercepted host. */
static bool forbid_hello(int fd, const char *host)
{
    bool watching = kt_tap_on();
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

/* What goes before a handshake (to a proxy, in the clear) decides nothing, and costs no system call. */
static bool forbid(int fd, const struct iovec *iov, size_t count)
{
    struct kt_client_hello h = {.has_random = false};
    struct kt_host known;
    if (!iov->iov_base) /* EFAULT is the kernel's to say */
        return false;
    if (!kt_first_words_may_begin(fd, iov->iov_base))
        return false;
    if (!is_stream(fd)) {
        set_flag(fd, 0);
        return false;
    }
    enum kt_hello kind = kt_hello_parts_read(fd, iov, count, &h);
    bool ours = h.host[0] && kt_plan_host(h.host, KT_PLAN_MAKE, false, &known) == KT_HOST_OURS;
    if (kind == KT_HELLO_NONE || (kind == KT_HELLO_MORE && !ours))
        return false;
    set_flag(fd, 0);
    if (kind == KT_HELLO_MORE)
        kt_hello_parts_drop(fd);
    if (h.encrypted && !ours && !is_known(fd, &h))
        note_encrypted(h.host);
    return ours && !others_look() && !is_known(fd, &h) && forbid_hello(fd, h.host);
}

bool kt_first_words_may_begin(int fd, const void *at)
{
    return kt_readable(at, 1) && (*(const uint8_t *)at == KT_HELLO_RECORD || kt_hello_parts_has(fd));
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
