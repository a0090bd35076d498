/* SPDX-License-Identifier: Apache-2.0 */
/* What each notified call is told. */
#include "tools/supervise/private.h"

#include "interceptor/abi/kt_plan_format.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#define QUIC_PORT 443

static const char ring[] = "a program wanted io_uring: refused under --strict";
static const struct answer go_on = {ANSWER_CONTINUE, 0};

static struct answer refuse(int error)
{
    return (struct answer){ANSWER_ERROR, error};
}

bool answer_is_wanted(const struct kt_supervise *s, const struct seccomp_notif *n)
{
    uint64_t id = n->id;
    return ioctl(s->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

/* Of SO_DOMAIN and SO_TYPE; -1 = no socket. */
static int socket_option(int fd, int name)
{
    int value = -1;
    socklen_t len = sizeof value;
    return getsockopt(fd, SOL_SOCKET, name, &value, &len) == 0 ? value : -1;
}

/* What takes an internet address: also SMC, TCP by another name. */
static bool is_inet(int family)
{
    return family == AF_INET || family == AF_INET6 || family == AF_SMC;
}

static bool is_synthetic(const struct target_dest *d)
{
    return (d->v4 & KT_SYNTH_MASK) == KT_SYNTH_NET;
}

/* The intercepted host with this address, given to it by us or its own. */
static bool find_host(struct kt_supervise *s, const struct target_dest *d, char host[NAMES_HOST_MAX])
{
    pthread_mutex_lock(&s->lock);
    bool found =
        is_synthetic(d) ? names_by_addr(&s->names, d->v4, host) : names_by_ip(&s->names, d->ip, host);
    pthread_mutex_unlock(&s->lock);
    return found;
}

static struct answer to_engine(struct kt_supervise *s, const struct seccomp_notif *n, int fd,
                               const char *host, uint16_t port)
{
    int error;
    if (divert_to_engine(s, (pid_t)n->pid, fd, host, port, &error))
        return refuse(error);
    static const char detail[] =
        "the engine beside the program cannot take this connection (another network namespace, or no engine)";
    bool passes = !s->o.strict &&
                  (supervise_plan_says(s, "fail_mode", "allow") || supervise_plan_says(s, "mode", "observe"));
    supervise_report_of(s, (pid_t)n->pid, passes, host, detail);
    return passes ? pass_connect(s, n, fd, host, port) : refuse(error);
}

static struct answer on_stream(struct kt_supervise *s, const struct seccomp_notif *n, int fd,
                               const struct target_dest *d)
{
    char host[NAMES_HOST_MAX];
    bool ours = find_host(s, d, host);
    if (!ours && is_synthetic(d))
        return refuse(ECONNREFUSED); /* nobody has this address */
    if (ours && (is_synthetic(d) || !d->meant))
        return to_engine(s, n, fd, host, d->port);
    return s->o.strict ? relay_connect(s, n, fd, d, ours ? host : "") : go_on;
}

/* Names of ours have no service but TCP; under strict nobody can know whose address it is. */
static bool is_quic(const struct kt_supervise *s, const struct target_dest *d)
{
    return d->port == QUIC_PORT && (is_synthetic(d) || s->o.strict);
}

static bool may_concern_us(struct kt_supervise *s, const struct target_dest *d)
{
    char host[NAMES_HOST_MAX];
    return s->o.strict || is_synthetic(d) || find_host(s, d, host);
}

/* The first time for this process: once is enough to know. */
static bool is_news(struct kt_supervise *s, const struct seccomp_notif *n, const char *detail)
{
    pid_t process = target_process((pid_t)n->pid);
    bool told = false;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < ONCE_PER_PROCESS; i++)
        told = told || (s->told[i].process == process && s->told[i].detail == detail);
    if (!told)
        s->told[s->told_next++ % ONCE_PER_PROCESS] = (struct told){process, detail};
    pthread_mutex_unlock(&s->lock);
    return !told;
}

/* Refused with what a kernel without it says, so that libraries do without. */
static struct answer not_seen(struct kt_supervise *s, const struct seccomp_notif *n, int error,
                              const char *detail)
{
    if (is_news(s, n, detail))
        supervise_report_of(s, (pid_t)n->pid, false, NULL, detail);
    return refuse(error);
}

/* A program without libc's code in the area of mmap (with it the shim is there as a rule), whose address we
 * may not read: it is no longer dumpable, and we have no rights over it. */
static void hidden_notice(struct kt_supervise *s, const struct seccomp_notif *n)
{
    static const char detail[] = "a program whose memory nobody may read (PR_SET_DUMPABLE) connects by "
                                 "itself: where to is not known";
    if (n->data.instruction_pointer >> 32 < filter_mmap_area() && is_news(s, n, detail))
        supervise_report_of(s, (pid_t)n->pid, !s->o.strict, NULL, detail);
}

static struct answer no_quic(struct kt_supervise *s, const struct seccomp_notif *n)
{
    static const char detail[] = "UDP to port 443 (QUIC): refused under --strict";
    return s->o.strict ? not_seen(s, n, ECONNREFUSED, detail) : refuse(ECONNREFUSED);
}

/* A thread of the program may write another address while we look: the kernel must not read it again. */
static struct answer connect_here(int fd, const struct target_dest *d)
{
    return refuse(connect(fd, &d->addr.sa, d->len) == 0 ? 0 : errno);
}

static struct answer on_connect(struct kt_supervise *s, const struct seccomp_notif *n)
{
    struct target_dest d;
    bool strict = s->o.strict, readable = target_dest((pid_t)n->pid, n->data.args[1], n->data.args[2], &d);
    if (!readable && errno == EPERM)
        hidden_notice(s, n);
    if (readable && !d.inet)
        daemon_notice(s, (pid_t)n->pid, &d);
    if (readable && lost_notice(s, (pid_t)n->pid, &d))
        return refuse(ECONNREFUSED);
    if (!strict && (!readable || !d.inet || !may_concern_us(s, &d)))
        return go_on;
    KT_CLEANUP(kt_cleanup_fd) int fd = target_fd((pid_t)n->pid, (int)n->data.args[0]);
    if (fd < 0)
        return strict || is_synthetic(&d) ? refuse(errno == EBADF ? EBADF : ECONNREFUSED) : go_on;
    if (!answer_is_wanted(s, n))
        return go_on;
    /* What the socket is, not what the memory says. */
    int family = socket_option(fd, SO_DOMAIN), type = socket_option(fd, SO_TYPE);
    if (strict && !is_inet(family))
        return family < 0 ? refuse(ENOTSOCK) : go_on;
    if (!readable) /* a bad pointer, or memory that we may not read */
        return refuse(EACCES);
    if (d.inet && type == SOCK_STREAM)
        return on_stream(s, n, fd, &d);
    if (d.inet && type == SOCK_DGRAM && is_quic(s, &d))
        return no_quic(s, n);
    return strict ? connect_here(fd, &d) : go_on;
}

/* Where the address of a datagram has no family, IPv4 takes it for one of its own. */
static void take_for_ipv4(struct target_dest *d)
{
    if (d->inet || d->len < sizeof d->addr.in || d->addr.sa.sa_family != AF_UNSPEC)
        return;
    d->inet = true;
    d->v4 = ntohl(d->addr.in.sin_addr.s_addr);
    d->port = ntohs(d->addr.in.sin_port);
    d->ip[10] = d->ip[11] = 0xff;
    memcpy(d->ip + 12, &d->addr.in.sin_addr, 4);
}

/* Data to an address: UDP, or TCP_FASTOPEN, whose callers connect where it is not supported. */
static struct answer on_send(struct kt_supervise *s, const struct seccomp_notif *n, uint64_t at, uint64_t len,
                             uint64_t flags)
{
    struct target_dest d;
    bool readable = target_dest((pid_t)n->pid, at, len, &d);
    take_for_ipv4(&d);
    if (!s->o.strict && (!readable || !d.inet || !may_concern_us(s, &d)))
        return go_on;
    KT_CLEANUP(kt_cleanup_fd) int fd = target_fd((pid_t)n->pid, (int)n->data.args[0]);
    int type = fd < 0 ? 0 : socket_option(fd, SO_TYPE);
    if (fd < 0 || !answer_is_wanted(s, n) || !is_inet(socket_option(fd, SO_DOMAIN)))
        return go_on;
    if (type == SOCK_STREAM) /* without this flag the address is nothing to it */
        return flags & MSG_FASTOPEN && !divert_is_under_way(fd) ? refuse(EOPNOTSUPP) : go_on;
    if (!readable)
        return refuse(EACCES);
    return type == SOCK_DGRAM && is_quic(s, &d) ? no_quic(s, n) : go_on;
}

/* Without strict only where it may connect. */
static struct answer on_sendmsg(struct kt_supervise *s, const struct seccomp_notif *n)
{
    struct msghdr m;
    if (target_read((pid_t)n->pid, n->data.args[1], &m, sizeof m) != sizeof m)
        return answer_is_wanted(s, n) ? refuse(EACCES) : go_on;
    return m.msg_name ? on_send(s, n, (uintptr_t)m.msg_name, m.msg_namelen, n->data.args[2]) : go_on;
}

static struct answer on_sendmmsg(struct kt_supervise *s, const struct seccomp_notif *n)
{
    for (uint64_t i = 0; i < n->data.args[2] && i < 1024; i++) {
        struct mmsghdr m;
        if (target_read((pid_t)n->pid, n->data.args[1] + i * sizeof m, &m, sizeof m) != sizeof m)
            return answer_is_wanted(s, n) ? refuse(EACCES) : go_on;
        if (!m.msg_hdr.msg_name)
            continue;
        struct answer a =
            on_send(s, n, (uintptr_t)m.msg_hdr.msg_name, m.msg_hdr.msg_namelen, n->data.args[3]);
        if (a.kind != ANSWER_CONTINUE)
            return a;
    }
    return go_on;
}

#if defined(__x86_64__)
/* Calls of 32-bit programs, and of 64-bit ones that make them by int 0x80. */
#define I386_SENDMMSG 345
#define I386_SENDMSG 370
#define I386_IO_URING_SETUP 425

/* Their messages may go by Unix sockets, and along connections that are there. */
static struct answer on_foreign(struct kt_supervise *s, const struct seccomp_notif *n)
{
    int nr = n->data.nr;
    if (nr == I386_IO_URING_SETUP)
        return not_seen(s, n, ENOSYS, ring);
    if (nr == I386_SENDMSG || nr == I386_SENDMMSG) {
        uint64_t flags = n->data.args[nr == I386_SENDMSG ? 2 : 3];
        KT_CLEANUP(kt_cleanup_fd) int fd = target_fd((pid_t)n->pid, (int)n->data.args[0]);
        if (fd < 0 || !is_inet(socket_option(fd, SO_DOMAIN)))
            return go_on;
        if (socket_option(fd, SO_TYPE) == SOCK_STREAM && !(flags & MSG_FASTOPEN))
            return go_on;
    }
    return not_seen(s, n, EACCES, "a 32-bit system call wanted to connect or send: refused under --strict");
}
#endif

struct answer answer_call(struct kt_supervise *s, const struct seccomp_notif *n)
{
#if defined(__x86_64__)
    if (n->data.arch != 0xc000003e) /* AUDIT_ARCH_X86_64 */
        return on_foreign(s, n);
    if (n->data.nr == SYS_open)
        return answer_open(s, n, 0, 1);
#endif
    switch (n->data.nr) {
    case SYS_connect:
        return on_connect(s, n);
    case SYS_openat:
        return answer_open(s, n, 1, 2);
    case SYS_sendto:
        return on_send(s, n, n->data.args[4], n->data.args[5], n->data.args[3]);
    case SYS_sendmsg:
        return on_sendmsg(s, n);
    case SYS_sendmmsg:
        return on_sendmmsg(s, n);
    case SYS_io_uring_setup:
        return not_seen(s, n, ENOSYS, ring);
    default:
        return go_on;
    }
}
