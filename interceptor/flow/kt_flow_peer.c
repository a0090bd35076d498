/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client that has ended its side: does it still want the answer? A FIN alone does not tell whether the
 * program shut its sending side (`nc -N`) or closed the connection. But its end lies on this machine: the
 * kernel knows whether a program still holds that socket. No packet tells of a close behind a half-close, so
 * the kernel is asked again and again until the answer has left.
 */
#include "interceptor/flow/kt_flow_private.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_LOOK_NS 2000000ull /* a close sends its FIN a moment before the socket is given up */
#define NEXT_LOOK_NS 40000000ull

union ends {
    struct sockaddr sa;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct question {
    struct nlmsghdr head;
    struct inet_diag_req_v2 req;
};

static void set_end(const union ends *from, __be32 addr[4], __be16 *port)
{
    if (from->sa.sa_family == AF_INET6)
        memcpy(addr, &from->v6.sin6_addr, 16);
    else
        memcpy(addr, &from->v4.sin_addr, 4);
    *port = from->sa.sa_family == AF_INET6 ? from->v6.sin6_port : from->v4.sin_port;
}

/* The socket whose ends are `ours` and `theirs`, seen from the other side. */
static bool is_held(const union ends *ours, const union ends *theirs)
{
    struct question q = {
        .head = {.nlmsg_len = sizeof q, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST},
        .req = {.sdiag_family = (uint8_t)ours->sa.sa_family,
                .sdiag_protocol = IPPROTO_TCP,
                .idiag_states = ~0u,
                .id.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}};
    char answer[2048] __attribute__((aligned(8)));
    set_end(theirs, q.req.id.idiag_src, &q.req.id.idiag_sport);
    set_end(ours, q.req.id.idiag_dst, &q.req.id.idiag_dport);
    KT_CLEANUP(kt_cleanup_fd)
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
    if (fd < 0 || send(fd, &q, sizeof q, 0) != (ssize_t)sizeof q)
        return false;
    ssize_t n = recv(fd, answer, sizeof answer, 0); /* the kernel has answered within send */
    const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)answer;
    if (n < (ssize_t)NLMSG_LENGTH(sizeof(struct inet_diag_msg)) || h->nlmsg_type != SOCK_DIAG_BY_FAMILY)
        return false;
    const struct inet_diag_msg *m = NLMSG_DATA(h);
    return m->idiag_inode != 0 && (m->idiag_state == TCP_FIN_WAIT1 || m->idiag_state == TCP_FIN_WAIT2);
}

static bool peer_reads(int fd)
{
    union ends ours, theirs;
    socklen_t our_len = sizeof ours, their_len = sizeof theirs;
    memset(&ours, 0, sizeof ours);
    memset(&theirs, 0, sizeof theirs);
    if (getsockname(fd, &ours.sa, &our_len) != 0)
        return false;
    if (ours.sa.sa_family == AF_UNIX) { /* there the kernel tells the two apart itself */
        struct pollfd p = {fd, 0, 0};
        return poll(&p, 1, 0) == 0;
    }
    return getpeername(fd, &theirs.sa, &their_len) == 0 && ours.sa.sa_family == theirs.sa.sa_family &&
           is_held(&ours, &theirs);
}

static void look_in(struct kt_flow *f, uint64_t ns)
{
    kt_loop_timer_set(f->fs->loop, &f->peer_timer, kt_now_mono_ns() + ns);
}

static void look_again(void *flow)
{
    struct kt_flow *f = flow;
    if (f->phase != KT_PHASE_OPEN)
        return;
    if (peer_reads(f->watch.fd))
        look_in(f, NEXT_LOOK_NS);
    else
        kt_flow_close(f);
}

bool kt_flow_peer_waits(struct kt_flow *f)
{
    if (!peer_reads(f->watch.fd))
        return false;
    f->fin = true;
    f->peer_timer.fn = look_again;
    f->peer_timer.arg = f;
    look_in(f, FIRST_LOOK_NS);
    return true;
}

void kt_flow_peer_forget(struct kt_flow *f)
{
    if (f->peer_timer.due_ns)
        kt_loop_timer_set(f->fs->loop, &f->peer_timer, 0);
}
