/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl's sockets: opened as our own fds, watched by the loop. */
#include "interceptor/abi/kt_connect_mark.h"
#include "interceptor/abi/kt_plan_format.h"
#include "interceptor/loop/kt_fds.h"
#include "interceptor/upstream/kt_upstream_private.h"
#include "policyengine/base/kt_log.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct kt_up_socket {
    struct kt_upstream *u;
    struct kt_call *call; /* that libcurl asked for last; NULL = it is over */
    struct kt_loop_watch watch;
};

static void on_ready(void *arg, uint32_t events)
{
    struct kt_up_socket *s = arg;
    struct kt_upstream *u = s->u; /* `s` may be freed inside */
    int mask = 0, running = 0;
    if (events & EPOLLIN)
        mask |= CURL_CSELECT_IN;
    if (events & EPOLLOUT)
        mask |= CURL_CSELECT_OUT;
    /* An error is left to recv and send to find: libcurl's own error bit gives a text that says nothing. */
    if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP))
        mask |= (s->watch.events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                (s->watch.events & EPOLLOUT ? CURL_CSELECT_OUT : 0);
    kt_up_enter(u);
    curl_multi_socket_action(u->multi, s->watch.fd, mask, &running);
    kt_up_leave(u);
}

static struct kt_up_socket *watch_new(struct kt_upstream *u, int fd)
{
    struct kt_up_socket *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->u = u;
    s->watch.fd = fd;
    s->watch.fn = on_ready;
    s->watch.arg = s;
    curl_multi_assign(u->multi, fd, s);
    return s;
}

static void unbind(struct kt_up_socket *s)
{
    if (s && s->call)
        s->call->socket = NULL;
    if (s)
        s->call = NULL;
}

/* A call with a second socket (two addresses are tried at once) waits for more than one. */
static void bind_call(struct kt_up_socket *s, CURL *easy)
{
    struct kt_up_handle *h = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&h);
    struct kt_call *c = h ? h->call : NULL;
    unbind(s);
    if (!c)
        return;
    if (c->socket)
        c->socket->call = NULL;
    c->socket = s;
    s->call = c;
}

void kt_up_forget_call(struct kt_call *c)
{
    unbind(c->socket);
}

struct kt_loop_watch *kt_call_waits_for(const struct kt_call *c)
{
    bool reads = c->socket && c->state == KT_CS_RUNNING && !c->paused && !c->released &&
                 c->socket->watch.events == EPOLLIN && c->sent;
    return reads ? &c->socket->watch : NULL;
}

static int on_interest(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket)
{
    struct kt_upstream *u = arg;
    struct kt_up_socket *s = socket;
    if (what == CURL_POLL_REMOVE) {
        if (s && !kt_is_ok(kt_loop_watch_set(u->loop, &s->watch, 0)))
            KT_TRACE(UPSTREAM, "fd %d could not be unwatched", (int)fd);
        unbind(s);
        free(s);
        curl_multi_assign(u->multi, fd, NULL);
        return 0;
    }
    if (!s && !(s = watch_new(u, fd)))
        return -1;
    bind_call(s, easy);
    uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    return kt_is_ok(kt_loop_watch_set(u->loop, &s->watch, events)) ? 0 : -1;
}

/* True for an address that only our own resolver hook gives out: connecting there would be talking to
 * ourselves. */
static bool is_synthetic(const struct curl_sockaddr *a)
{
    uint32_t v4 = 0;
    if (a->family == AF_INET) {
        v4 = ntohl(((const struct sockaddr_in *)(const void *)&a->addr)->sin_addr.s_addr);
    } else if (a->family == AF_INET6) {
        const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(const void *)&a->addr)->sin6_addr;
        if (!IN6_IS_ADDR_V4MAPPED(v6))
            return false;
        memcpy(&v4, v6->s6_addr + 12, sizeof v4);
        v4 = ntohl(v4);
    }
    return (v4 & KT_SYNTH_MASK) == KT_SYNTH_NET;
}

/* ---- what is open ----
 *
 * libcurl 7.88 closes a socket that never got connected (a timeout, the loser of happy eyeballs) with close()
 * and not with our callback. The fd would stay registered as ours, and protected, while its number already
 * serves somebody else. So sockets are looked after until they are connected; from then on libcurl keeps its
 * word.
 */

struct kt_up_open {
    struct kt_up_open *next;
    int fd;
    ino_t inode; /* tells the socket from another one under the same number */
    bool connected;
};

static bool is_still(const struct kt_up_open *o)
{
    struct stat st;
    return fstat(o->fd, &st) == 0 && st.st_ino == o->inode;
}

/* The number is free, or was taken by another thread meanwhile. Only where it can be had for ourselves is it
 * safe to close it. */
static void give_up_number(int fd)
{
    int any = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int got = any < 0 ? -1 : fcntl(any, F_DUPFD_CLOEXEC, fd);
    if (got == fd)
        kt_disown_close(fd);
    else if (got >= 0)
        close(got);
    if (any >= 0)
        close(any);
}

static void forget(struct kt_upstream *u, struct kt_up_open **link)
{
    struct kt_up_open *o = *link;
    *link = o->next;
    u->sockets--;
    u->unsure -= !o->connected;
    free(o);
}

void kt_up_check_sockets(struct kt_upstream *u)
{
    struct sockaddr_storage peer;
    for (struct kt_up_open **link = &u->open; *link;) {
        struct kt_up_open *o = *link;
        socklen_t len = sizeof peer;
        if (!o->connected && !is_still(o)) {
            give_up_number(o->fd);
            forget(u, link);
            continue;
        }
        if (!o->connected && getpeername(o->fd, (struct sockaddr *)&peer, &len) == 0) {
            o->connected = true;
            u->unsure--;
        }
        link = &o->next;
    }
}

void kt_up_forget_sockets(struct kt_upstream *u)
{
    kt_up_check_sockets(u);
    while (u->open) {
        kt_disown_close(u->open->fd);
        forget(u, &u->open);
    }
}

static bool remember(struct kt_upstream *u, int fd)
{
    struct stat st;
    struct kt_up_open *o = fstat(fd, &st) == 0 ? calloc(1, sizeof *o) : NULL;
    if (!o)
        return false;
    *o = (struct kt_up_open){.next = u->open, .fd = fd, .inode = st.st_ino};
    u->open = o;
    u->sockets++;
    u->unsure++;
    return true;
}

/* libcurl connects to what we leave here; its room is that of a sockaddr_storage. Where the shim loads us
 * libcurl calls libc past the shim, which marks its own connects. */
static void mark(struct curl_sockaddr *a)
{
    bool inet = a->family == AF_INET || a->family == AF_INET6;
    if (!inet || a->addrlen + KT_CONNECT_MARK_LEN > sizeof(struct sockaddr_storage))
        return;
    char *room = (char *)a + offsetof(struct curl_sockaddr, addr);
    memcpy(room + a->addrlen, KT_CONNECT_MARK_ENGINE, KT_CONNECT_MARK_LEN);
    a->addrlen += KT_CONNECT_MARK_LEN;
}

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct kt_upstream *u = arg;
    (void)purpose;
    if (is_synthetic(a)) {
        kt_warn("a target's name resolved to one of our own synthetic addresses; not connected");
        return CURL_SOCKET_BAD;
    }
    int fd = kt_own_fd(socket(a->family, a->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->protocol));
    if (fd < 0) {
        u->no_fd |= errno == EMFILE || errno == ENFILE;
        return CURL_SOCKET_BAD;
    }
    if (remember(u, fd)) {
        mark(a);
        return fd;
    }
    kt_disown_close(fd);
    return CURL_SOCKET_BAD;
}

static int on_close(void *arg, curl_socket_t fd)
{
    struct kt_upstream *u = arg;
    for (struct kt_up_open **link = &u->open; *link; link = &(*link)->next) {
        if ((*link)->fd == fd) {
            forget(u, link);
            break;
        }
    }
    kt_disown_close(fd);
    return 0;
}

void kt_up_install_sockets(struct kt_upstream *u)
{
    curl_multi_setopt(u->multi, CURLMOPT_SOCKETFUNCTION, on_interest);
    curl_multi_setopt(u->multi, CURLMOPT_SOCKETDATA, u);
}

void kt_up_install_opener(struct kt_upstream *u, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, u);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, u);
}
