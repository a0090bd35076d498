/* SPDX-License-Identifier: Apache-2.0 */
/* The program's own socket, connected to us: what the shim does inside of a process, from the outside. */
#include "tools/supervise/private.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define ACCEPT_MS 2000
/* More than one: another user of this machine who connects in between must not push ours out. */
#define BACKLOG 16

static bool needs_ipv6(int fd)
{
    int v6only = 0;
    socklen_t len = sizeof v6only;
    union target_addr here;
    socklen_t here_len = sizeof here;
    if (getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &len) == 0 && v6only)
        return true;
    return getsockname(fd, &here.sa, &here_len) == 0 && here.sa.sa_family == AF_INET6 &&
           !IN6_IS_ADDR_V4MAPPED(&here.in6.sin6_addr) && !IN6_IS_ADDR_UNSPECIFIED(&here.in6.sin6_addr);
}

static void map_v4(union target_addr *a)
{
    struct sockaddr_in v4 = a->in;
    memset(a, 0, sizeof *a);
    a->in6.sin6_family = AF_INET6;
    a->in6.sin6_port = v4.sin_port;
    a->in6.sin6_addr.s6_addr[10] = a->in6.sin6_addr.s6_addr[11] = 0xff;
    memcpy(&a->in6.sin6_addr.s6_addr[12], &v4.sin_addr, 4);
}

/* Listens where the socket `fd` can connect to; `to` receives the address in its family. -1 with errno. */
static int listen_for(int fd, union target_addr *to, socklen_t *len)
{
    int family = AF_INET;
    socklen_t size = sizeof family;
    memset(to, 0, sizeof *to);
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) != 0)
        return -1;
    bool v6 = family == AF_INET6 && needs_ipv6(fd);
    if (v6) {
        to->in6.sin6_family = AF_INET6;
        to->in6.sin6_addr = in6addr_loopback;
    } else {
        to->in.sin_family = AF_INET;
        to->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    *len = v6 ? sizeof to->in6 : sizeof to->in;
    int l = socket(to->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l < 0)
        return -1;
    if (bind(l, &to->sa, *len) != 0 || listen(l, BACKLOG) != 0 || getsockname(l, &to->sa, len) != 0) {
        close(l);
        return -1;
    }
    if (family == AF_INET6 && !v6) {
        map_v4(to);
        *len = sizeof to->in6;
    }
    return l;
}

/* The accepted connection is the one of `fd`, not a stranger's. */
static bool same_connection(int accepted, int fd)
{
    union target_addr peer, app;
    socklen_t peer_len = sizeof peer, app_len = sizeof app;
    if (getpeername(accepted, &peer.sa, &peer_len) != 0 || getsockname(fd, &app.sa, &app_len) != 0)
        return false;
    if (peer.sa.sa_family == AF_INET)
        map_v4(&peer);
    if (app.sa.sa_family == AF_INET)
        map_v4(&app);
    return peer.in6.sin6_port == app.in6.sin6_port &&
           memcmp(&peer.in6.sin6_addr, &app.in6.sin6_addr, sizeof peer.in6.sin6_addr) == 0;
}

static int accept_from(int listener, int fd)
{
    uint64_t end = kt_now_mono_ns() + ACCEPT_MS * 1000000ull;
    for (;;) {
        int got = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (got >= 0 && same_connection(got, fd)) {
            int on = 1;
            setsockopt(got, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            return got;
        }
        if (got >= 0) {
            close(got);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        uint64_t now = kt_now_mono_ns();
        if (errno != EAGAIN || now >= end)
            return -1;
        struct pollfd p = {listener, POLLIN, 0};
        poll(&p, 1, (int)((end - now) / 1000000) + 1);
    }
}

bool divert_is_under_way(int fd)
{
    struct tcp_info info;
    socklen_t len = sizeof info;
    memset(&info, 0, sizeof info);
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && info.tcpi_state != TCP_CLOSE &&
           info.tcpi_state != TCP_LISTEN;
}

/* The kernel knows the answer, and does not look at the address. */
int divert_again(int fd)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    int family = AF_INET;
    socklen_t size = sizeof family;
    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size);
    if (family != AF_INET6) {
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        return connect(fd, (struct sockaddr *)&v4, sizeof v4) == 0 ? 0 : errno;
    }
    return connect(fd, (struct sockaddr *)&any, sizeof any) == 0 ? 0 : errno;
}

int divert_connect(int fd, int *end)
{
    union target_addr to;
    socklen_t len = 0;
    *end = -1;
    KT_CLEANUP(kt_cleanup_fd) int listener = listen_for(fd, &to, &len);
    if (listener < 0)
        return ECONNREFUSED;
    int off = 0; /* with it no SYN would leave before the first write */
    setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &off, sizeof off);
    int error = connect(fd, &to.sa, len) == 0 ? 0 : errno;
    if (error != 0 && error != EINPROGRESS && error != EINTR)
        return ECONNREFUSED; /* another network namespace, say */
    *end = accept_from(listener, fd);
    return *end < 0 ? ECONNREFUSED : error;
}

bool divert_to_engine(struct kt_supervise *s, pid_t tid, int fd, const char *host, uint16_t port, int *error)
{
    int end;
    *error = ECONNREFUSED;
    if (divert_is_under_way(fd)) {
        *error = divert_again(fd);
        return true;
    }
    struct kt_engine *e = supervise_engine(s);
    if (!e)
        return false;
    *error = divert_connect(fd, &end);
    if (end < 0)
        return false;
    struct kt_event_program *program = supervise_program(tid);
    bool taken = kt_is_ok(kt_engine_adopt_of(e, end, host, port, program));
    kt_event_program_unref(program);
    return taken;
}
