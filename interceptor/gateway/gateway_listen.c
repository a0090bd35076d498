/* SPDX-License-Identifier: Apache-2.0 */
/* The listening socket. One thread accepts for all: connections are kept alive, so that accepting is rare,
 * and the kernel's own spreading (SO_REUSEPORT) leaves threads with very unequal shares of few connections.
 */
#include "interceptor/gateway/kt_gateway_private.h"

#include "interceptor/loop/kt_fds.h"
#include "policyengine/base/kt_log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096
#define ACCEPT_BATCH 64
#define ACCEPT_PAUSE_NS 100000000u /* where no fd is left: some may be given back */

/* "host:port" -> parts without brackets. */
static kt_result split(const char *where, char *host, size_t size, const char **port, struct kt_error *err)
{
    const char *colon = strrchr(where, ':'), *end = colon;
    bool v6 = where[0] == '[' && colon && colon > where && colon[-1] == ']';
    if (v6) {
        where++;
        end--;
    }
    size_t n = end ? (size_t)(end - where) : 0;
    if (!colon || n == 0 || n >= size || (!v6 && memchr(where, ':', n)))
        return kt_fail(err, KT_ERR_USAGE,
                       "--listen wants ADDR:PORT, as 127.0.0.1:8080 or [::1]:8080, not '%.100s'", where);
    memcpy(host, where, n);
    host[n] = '\0';
    *port = colon + 1;
    return kt_ok();
}

static kt_result resolve(const char *where, struct addrinfo **out, struct kt_error *err)
{
    char host[256];
    const char *port = NULL;
    KT_GUARD(split(where, host, sizeof host, &port, err));
    char *end = NULL;
    unsigned long n = strtoul(port, &end, 10);
    if (*port < '0' || *port > '9' || *end || n > 65535)
        return kt_fail(err, KT_ERR_USAGE, "--listen: the port is a number from 0 to 65535, not '%.20s'",
                       port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    int rc = getaddrinfo(host, port, &hints, out);
    if (rc != 0)
        return kt_fail(err, KT_ERR_USAGE, "--listen: %.100s: %s", host, gai_strerror(rc));
    return kt_ok();
}

static bool is_loopback(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET)
        return (ntohl(((const struct sockaddr_in *)(const void *)sa)->sin_addr.s_addr) >> 24) == 127;
    return sa->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr);
}

static void name(struct kt_gateway *g, int fd)
{
    struct sockaddr_storage ss = {0};
    socklen_t len = sizeof ss;
    char text[INET6_ADDRSTRLEN] = "";
    getsockname(fd, (struct sockaddr *)&ss, &len);
    bool v6 = ss.ss_family == AF_INET6;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)&ss;
    const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)&ss;
    inet_ntop(ss.ss_family, v6 ? (const void *)&six->sin6_addr : (const void *)&four->sin_addr, text,
              sizeof text);
    g->port = ntohs(v6 ? six->sin6_port : four->sin_port);
    g->local = is_loopback((const struct sockaddr *)&ss);
    snprintf(g->host, sizeof g->host, "%s", text);
    snprintf(g->url, sizeof g->url, v6 ? "%s://[%s]:%u" : "%s://%s:%u", g->tls ? "https" : "http", text,
             g->port);
}

static int open_socket(const struct addrinfo *a)
{
    int one = 1, fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (a->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

kt_result kt_gateway_listen(struct kt_gateway *g, const char *where, struct kt_error *err)
{
    struct addrinfo *all = NULL;
    KT_GUARD(resolve(where, &all, err));
    int fd = -1;
    for (const struct addrinfo *a = all; a && fd < 0; a = a->ai_next)
        fd = open_socket(a);
    int saved = errno;
    freeaddrinfo(all);
    if (fd < 0)
        return kt_fail(err, KT_ERR_IO, "cannot listen on %.100s: %s%s", where, strerror(saved),
                       saved == EADDRINUSE ? "; is another gateway running? Choose another port with --listen"
                                           : "");
    name(g, fd);
    g->accepting.fd = kt_own_fd(fd);
    return g->accepting.fd >= 0 ? kt_ok() : kt_fail(err, KT_ERR_IO, "no file descriptor is left");
}

/* The thread with the fewest connections; among equals they take turns. */
static struct kt_gateway_worker *idlest(struct kt_gateway *g)
{
    struct kt_gateway_worker *best = NULL;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < g->count; i++) {
        struct kt_gateway_worker *w = &g->workers[(g->next + i) % g->count];
        size_t n = kt_flows_count(w->flows);
        if (n < least) {
            least = n;
            best = w;
        }
    }
    g->next = (size_t)(best - g->workers) + 1;
    return best;
}

static void pause_accepting(struct kt_gateway *g)
{
    kt_warn("the gateway cannot accept connections: %s", strerror(errno));
    kt_loop_watch_drop(g->workers[0].ctx.loop, &g->accepting);
    kt_loop_timer_set(g->workers[0].ctx.loop, &g->accept_again, kt_now_mono_ns() + ACCEPT_PAUSE_NS);
}

static void on_connection(void *gateway, uint32_t events)
{
    struct kt_gateway *g = gateway;
    (void)events;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        int fd = accept4(g->accepting.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0 && errno != EAGAIN)
            pause_accepting(g);
        if (fd < 0)
            return;
        atomic_fetch_add(&g->connections, 1);
        if (kt_flows_adopt(idlest(g)->flows, fd, g->host, g->port).code != KT_OK)
            kt_warn("a client's connection could not be taken: too many are open");
    }
}

static void accept_again(void *gateway)
{
    struct kt_gateway *g = gateway;
    if (kt_gateway_accept(g).code != KT_OK)
        kt_loop_timer_set(g->workers[0].ctx.loop, &g->accept_again, kt_now_mono_ns() + ACCEPT_PAUSE_NS);
}

kt_result kt_gateway_accept(struct kt_gateway *g)
{
    g->accepting.fn = on_connection;
    g->accept_again.fn = accept_again;
    g->accepting.arg = g->accept_again.arg = g;
    return kt_loop_watch_set(g->workers[0].ctx.loop, &g->accepting, EPOLLIN);
}

void kt_gateway_stop_accepting(struct kt_gateway *g)
{
    kt_loop_watch_drop(g->workers[0].ctx.loop, &g->accepting);
    kt_loop_timer_set(g->workers[0].ctx.loop, &g->accept_again, 0);
    kt_disown_close(g->accepting.fd);
    g->accepting.fd = -1;
}
