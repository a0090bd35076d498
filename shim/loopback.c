/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/loopback.h"

#include "shim/real.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* More than the one that we wait for: another user of this machine who connects in between must not push ours
 * out. */
#define BACKLOG 16

static bool is_mapped(const struct in6_addr *a)
{
    return IN6_IS_ADDR_V4MAPPED(a) || IN6_IS_ADDR_UNSPECIFIED(a);
}

/* An AF_INET6 socket reaches 127.0.0.1 unless it is V6ONLY or bound to a real IPv6 address. */
static bool needs_ipv6(int app_fd)
{
    int v6only = 0;
    socklen_t len = sizeof v6only;
    union kt_addr here;
    socklen_t here_len = sizeof here;
    if (getsockopt(app_fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &len) == 0 && v6only)
        return true;
    return getsockname(app_fd, &here.sa, &here_len) == 0 && here.sa.sa_family == AF_INET6 &&
           !is_mapped(&here.in6.sin6_addr);
}

static void map_v4(union kt_addr *a)
{
    struct sockaddr_in v4 = a->in;
    memset(a, 0, sizeof *a);
    a->in6.sin6_family = AF_INET6;
    a->in6.sin6_port = v4.sin_port;
    a->in6.sin6_addr.s6_addr[10] = a->in6.sin6_addr.s6_addr[11] = 0xff;
    memcpy(&a->in6.sin6_addr.s6_addr[12], &v4.sin_addr, 4);
}

/* A socket that is bound to a device does not reach loopback. Takes it off where that is allowed (it wants
 * CAP_NET_RAW). True: `dev` is the device that it is still bound to. */
static bool stays_on_device(int app_fd, char dev[IFNAMSIZ])
{
    socklen_t len = IFNAMSIZ;
    memset(dev, 0, IFNAMSIZ);
    if (getsockopt(app_fd, SOL_SOCKET, SO_BINDTODEVICE, dev, &len) != 0 || len == 0 || !dev[0])
        return false;
    return strncmp(dev, "lo", IFNAMSIZ) != 0 && setsockopt(app_fd, SOL_SOCKET, SO_BINDTODEVICE, "", 0) != 0;
}

/* Then the listener goes to that device and its address: what two sockets of one device and one machine say
 * to each other does not leave it. False: the device has no IPv4 address. */
static bool join_device(struct kt_loopback *l, const char dev[IFNAMSIZ])
{
    struct ifreq r;
    memset(&r, 0, sizeof r);
    memcpy(r.ifr_name, dev, IFNAMSIZ - 1);
    if (l->addr.sa.sa_family != AF_INET ||
        setsockopt(l->fd, SOL_SOCKET, SO_BINDTODEVICE, dev, (socklen_t)strlen(r.ifr_name)) != 0 ||
        ioctl(l->fd, SIOCGIFADDR, &r) != 0)
        return false;
    memcpy(&l->addr.in.sin_addr, &((const struct sockaddr_in *)(const void *)&r.ifr_addr)->sin_addr,
           sizeof l->addr.in.sin_addr);
    return true;
}

static bool listen_at(struct kt_loopback *l, const char *dev)
{
    return (!dev || join_device(l, dev)) && bind(l->fd, &l->addr.sa, l->len) == 0 &&
           listen(l->fd, BACKLOG) == 0 && getsockname(l->fd, &l->addr.sa, &l->len) == 0;
}

int kt_loopback_open(int app_fd, struct kt_loopback *l)
{
    char dev[IFNAMSIZ];
    int family = AF_INET;
    socklen_t len = sizeof family;
    memset(l, 0, sizeof *l);
    l->fd = -1;
    if (getsockopt(app_fd, SOL_SOCKET, SO_DOMAIN, &family, &len) != 0)
        return -1;
    bool v6 = family == AF_INET6 && needs_ipv6(app_fd);
    if (v6) {
        l->addr.in6.sin6_family = AF_INET6;
        l->addr.in6.sin6_addr = in6addr_loopback;
    } else {
        l->addr.in.sin_family = AF_INET;
        l->addr.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    l->len = v6 ? sizeof l->addr.in6 : sizeof l->addr.in;
    l->fd = socket(l->addr.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->fd < 0)
        return -1;
    if (!listen_at(l, stays_on_device(app_fd, dev) ? dev : NULL)) {
        kt_loopback_close(l);
        return -1;
    }
    if (family == AF_INET6 && !v6) {
        map_v4(&l->addr);
        l->len = sizeof l->addr.in6;
    }
    return 0;
}

void kt_loopback_close(struct kt_loopback *l)
{
    int saved = errno;
    if (l->fd >= 0)
        KT_REAL(close)(l->fd);
    l->fd = -1;
    errno = saved;
}

/* Equal as seen by an IPv4 and by an IPv6 socket. */
static bool same_end(union kt_addr a, union kt_addr b)
{
    if (a.sa.sa_family == AF_INET)
        map_v4(&a);
    if (b.sa.sa_family == AF_INET)
        map_v4(&b);
    return a.in6.sin6_port == b.in6.sin6_port && memcmp(&a.in6.sin6_addr, &b.in6.sin6_addr, 16) == 0;
}

static bool is_ours(int accepted, int app_fd)
{
    union kt_addr peer, app;
    socklen_t peer_len = sizeof peer, app_len = sizeof app;
    return KT_REAL(getpeername)(accepted, &peer.sa, &peer_len) == 0 &&
           getsockname(app_fd, &app.sa, &app_len) == 0 && same_end(peer, app);
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int kt_loopback_accept(const struct kt_loopback *l, int app_fd, int timeout_ms)
{
    int64_t end = now_ms() + timeout_ms;
    for (;;) {
        int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0 && is_ours(fd, app_fd)) {
            int on = 1;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            return fd;
        }
        if (fd >= 0) {
            KT_REAL(close)(fd);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        int64_t left = end - now_ms();
        if (errno != EAGAIN || left <= 0)
            return -1;
        struct pollfd p = {l->fd, POLLIN, 0};
        poll(&p, 1, (int)left);
    }
}
