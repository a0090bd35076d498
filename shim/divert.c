/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/divert.h"

#include "interceptor/abi/kt_plan_format.h"
#include "shim/connect_mark.h"
#include "shim/dest.h"
#include "shim/engine.h"
#include "shim/env.h"
#include "shim/fdtab.h"
#include "shim/fork.h"
#include "shim/guard.h"
#include "shim/loopback.h"
#include "shim/own_fd.h"
#include "shim/plan.h"
#include "shim/real.h"
#include "shim/tap.h"
#include "shim/tls_peer.h"
#include "shim/trace.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ACCEPT_MS 2000

static bool is_synthetic(const struct kt_dest *d)
{
    return (d->v4 & KT_SYNTH_MASK) == KT_SYNTH_NET;
}

/* An intercepted IP literal needs no resolver, so connect itself may be where the plan is first wanted. */
static bool is_literal(int fd, const struct kt_dest *d, struct kt_host *host)
{
    if (!kt_plan_ready(KT_PLAN_LOADED)) {
        static const uint8_t loopback6[16] = {[15] = 1};
        bool local = d->v4 >> 24 == 127 || memcmp(d->ip, loopback6, 16) == 0;
        bool configured = kt_env_get("KT_POLICY_CONFIG") != NULL;
        if (!kt_dest_is_stream(fd) ||
            !(local ? kt_plan_ready_for_local() : kt_plan_ready(configured ? KT_PLAN_MAKE : KT_PLAN_READ)))
            return false;
    }
    return kt_plan_has_literals() && kt_plan_literal(d->ip, host);
}

bool kt_divert_wants(int fd, const struct sockaddr *sa, socklen_t len)
{
    struct kt_dest d;
    struct kt_host host;
    if (!kt_dest_parse(sa, len, &d))
        return false;
    return (is_synthetic(&d) || is_literal(fd, &d, &host)) && kt_dest_is_stream(fd);
}

/* A second connect on a socket that is under way: the kernel knows the answer, for the same peer. */
static bool is_under_way(int fd, struct kt_diverted *old)
{
    struct tcp_info info;
    socklen_t len = sizeof info;
    memset(&info, 0, sizeof info);
    if (!kt_fdtab_find(fd, old))
        return false;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && info.tcpi_state != TCP_CLOSE;
}

static int connect_through(int fd, const struct sockaddr *sa, socklen_t len, bool meant)
{
    for (;;) {
        struct tcp_info info;
        socklen_t size = sizeof info;
        int rc = meant ? kt_connect_meant(fd, sa, len) : KT_REAL(connect)(fd, sa, len);
        if (rc == 0 || errno != EINTR)
            return rc;
        bool begun = getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || info.tcpi_state != TCP_CLOSE;
        errno = EINTR;
        if (begun)
            return -1;
    }
}

int kt_connect_through(int fd, const struct sockaddr *sa, socklen_t len)
{
    return connect_through(fd, sa, len, kt_plan_observes()); /* observed: the shim reads along itself */
}

/* fail_mode allow and no engine: to the origin, as if we were not there. */
static int connect_origin(int fd, const struct kt_host *host, const struct sockaddr *sa, socklen_t len,
                          uint16_t port)
{
    if (host->literal)
        return kt_connect_meant(fd, sa, len);
    int family = AF_INET;
    socklen_t size = sizeof family;
    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size);
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM}, *list = NULL;
    hints.ai_flags = AI_NUMERICSERV | (family == AF_INET6 ? AI_V4MAPPED | AI_ALL : 0);
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    kt_guard_depth++; /* without an engine nothing is lost by a jump away; signals must not wait for DNS */
    int rc = KT_REAL(getaddrinfo)(host->name, service, &hints, &list);
    kt_guard_depth--;
    if (rc != 0) {
        errno = EHOSTUNREACH;
        return -1;
    }
    for (const struct addrinfo *a = list; a; a = a->ai_next) {
        rc = kt_connect_meant(fd, a->ai_addr, a->ai_addrlen);
        if (rc == 0 || errno == EINPROGRESS || errno == EINTR || errno == EISCONN)
            break;
    }
    int err = errno;
    freeaddrinfo(list);
    errno = err;
    return rc;
}

/* Hands the engine its end. */
static int adopt(int end, int fd, const struct kt_diverted *d, const struct kt_engine_abi *engine)
{
    struct kt_abi_origin origin = {d->origin, d->port, fd};
    end = kt_shim_own_fd_raise(end);
    int saved = kt_guard_enter();
    int rc = engine->adopt(end, &origin);
    kt_guard_leave(saved);
    return rc;
}

static void no_fast_open(int fd)
{
    /* With it connect() returns at once and no SYN leaves before the first write: there would be nothing to
     * accept. */
    int off = 0;
    int saved = errno;
    setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &off, sizeof off);
    errno = saved;
}

/* The program's own seccomp filter, or no fd left. -1 with `error`, or to the origin. */
static int not_taken(int fd, const struct kt_diverted *d, const struct kt_engine_abi *engine, const char *why,
                     int error)
{
    static const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    const struct kt_host host = {.name = d->origin, .literal = d->literal};
    char detail[200];
    bool passes = kt_plan_fail_allows();
    int saved = kt_guard_enter();
    snprintf(detail, sizeof detail, "a connection to port %u could not be taken (%s) and was %s", d->port,
             why, passes ? "let through" : "refused");
    engine->report(passes ? KT_ABI_PASSED : KT_ABI_REFUSED, d->origin, detail);
    kt_guard_leave(saved);
    errno = error;
    if (!passes)
        return -1;
    kt_fdtab_forget(fd);
    KT_REAL(connect)(fd, &nobody, sizeof nobody); /* the kernel may have connected it already */
    return connect_origin(fd, &host, &d->peer.sa, d->peer_len, d->port);
}

/* NULL, or why the engine's end could not be had. */
static const char *take_end(int fd, struct kt_loopback *l, struct kt_diverted *d,
                            const struct kt_engine_abi *engine)
{
    d->loop = l->addr;
    d->loop_len = l->len;
    int end = kt_loopback_accept(l, fd, ACCEPT_MS);
    if (end < 0 || !kt_fdtab_add(fd, d)) {
        const char *why = strerrordesc_np(errno);
        if (end >= 0)
            KT_REAL(close)(end);
        return why;
    }
    return adopt(end, fd, d, engine) == 0 ? NULL : "the engine has no thread or no fd for it";
}

static int connect_engine(int fd, struct kt_diverted *d, const struct kt_engine_abi *engine)
{
    struct kt_loopback l;
    int saved = errno;
    if (kt_loopback_open(fd, &l) != 0) {
        int why = errno;
        return not_taken(fd, d, engine, strerrordesc_np(why),
                         why == EPERM || why == ENOSYS || why == EACCES ? ECONNREFUSED : why);
    }
    no_fast_open(fd);
    int rc = connect_through(fd, &l.addr.sa, l.len, true); /* 127.0.0.1 may be an intercepted host itself */
    int err = errno;
    bool begun = rc == 0 || err == EINPROGRESS || err == EINTR;
    const char *why = begun ? take_end(fd, &l, d, engine) : NULL;
    kt_loopback_close(&l);
    KT_TRACE_SHIM("fd %d to %s:%u: connect %d errno %d%s%s", fd, d->origin, d->port, rc, rc ? err : 0,
                  why ? ", not taken: " : "", why ? why : "");
    errno = rc == 0 ? saved : err;
    return why ? not_taken(fd, d, engine, why, ECONNREFUSED) : rc;
}

static int refuse(const char *why, const struct kt_dest *d)
{
    KT_TRACE_SHIM("connect to %u.%u.%u.%u:%u refused: %s", d->ip[12], d->ip[13], d->ip[14], d->ip[15],
                  d->port, why);
    errno = ECONNREFUSED;
    return -1;
}

/* It has an engine, with the CA of this tree. */
static int connect_supervisor(int fd, const struct kt_dest *d, const struct kt_host *host,
                              const struct sockaddr *sa, socklen_t len)
{
    struct kt_diverted div = {.origin = host->name, .port = d->port};
    div.peer_len = div.loop_len = len < sizeof div.peer ? len : sizeof div.peer;
    memcpy(&div.peer, sa, div.peer_len);
    memcpy(&div.loop, sa, div.loop_len);
    int rc = kt_connect_through(fd, sa, len), saved = errno;
    if (rc == 0 || saved == EINPROGRESS || saved == EINTR)
        kt_fdtab_add(fd, &div);
    errno = saved;
    return rc;
}

/* None, or one that a fork has left without OpenSSL. Where is only observed the program has no trust in the
 * supervisor's certificates, and is let through. */
static int without_engine(int fd, const struct kt_dest *d, const struct kt_host *host,
                          const struct sockaddr *sa, socklen_t len)
{
    bool observes = kt_plan_observes(), stuck = kt_engine_get() != NULL, allow = kt_plan_fail_allows();
    if (!observes && (stuck || !allow) && is_synthetic(d) && kt_env_get("KT_SUPERVISED"))
        return connect_supervisor(fd, d, host, sa, len);
    if (stuck)
        kt_tls_report_unseen(host->name,
                             "a thread of the parent was inside of OpenSSL when this process was "
                             "forked, which cannot be used in it",
                             allow);
    else
        kt_shim_note_unseen(host->name, d->port);
    return allow ? connect_origin(fd, host, sa, len, d->port) : refuse("no engine", d);
}

/* A bare unshare(CLONE_FILES) was seen by no hook: the engine would be given fds that are not in its table.
 */
static const struct kt_engine_abi *usable_here(void)
{
    const struct kt_engine_abi *engine = kt_engine_usable();
    int saved = kt_guard_enter();
    bool split = engine && !engine->shares_fds();
    kt_guard_leave(saved);
    if (!split)
        return engine;
    kt_after_split();
    return kt_engine_usable();
}

static int divert(int fd, const struct sockaddr *sa, socklen_t len)
{
    struct kt_dest d;
    struct kt_host host;
    struct kt_diverted div;
    kt_dest_parse(sa, len, &d);
    if (is_under_way(fd, &div))
        return kt_connect_meant(fd, &div.loop.sa, div.loop_len);
    bool known = is_synthetic(&d) ? kt_plan_synthetic(d.v4, &host) : kt_plan_literal(d.ip, &host);
    if (!known)
        return refuse("nobody has this address", &d);
    if (host.literal && kt_tap_can_reach(d.port) && kt_tap_on()) {
        int rc = kt_connect_meant(fd, sa, len);
        kt_tap_connected(fd, sa, len, rc);
        return rc;
    }
    const struct kt_engine_abi *engine = usable_here();
    if (!engine)
        return without_engine(fd, &d, &host, sa, len);
    memset(&div, 0, sizeof div);
    div.origin = host.name;
    div.literal = host.literal;
    div.port = d.port;
    div.peer_len = len < sizeof div.peer ? len : sizeof div.peer;
    memcpy(&div.peer, sa, div.peer_len);
    return connect_engine(fd, &div, engine);
}

int kt_divert_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
    /* connect is a cancellation point; between listen and adopt a cancelled thread would leave our fds
     * behind. */
    int state, ignored;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    int rc = divert(fd, sa, len);
    pthread_setcancelstate(state, &ignored);
    return rc;
}

void kt_divert_fix_peer(int fd, struct sockaddr *sa, socklen_t size, socklen_t *len)
{
    struct kt_diverted d;
    if (!kt_fdtab_find(fd, &d))
        return;
    memcpy(sa, &d.peer, d.peer_len < size ? d.peer_len : size);
    *len = d.peer_len;
}
