/* SPDX-License-Identifier: Apache-2.0 */
/* What each notified call is told. */
#include "tools/supervise/private.h"

#include "interceptor/abi/kt_plan_format.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#define QUIC_PORT 443

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

static int socket_type(int fd)
{
    int type = 0;
    socklen_t len = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 ? type : 0;
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
    if (divert_to_engine(s, fd, host, port, &error))
        return refuse(error);
    supervise_report(s, host,
                     "the engine beside the program cannot take this connection (another network "
                     "namespace, or no engine)");
    if (s->o.strict || !supervise_plan_says(s, "fail_mode", "allow"))
        return refuse(error);
    return pass_connect(s, n, fd, host, port);
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

static struct answer on_connect(struct kt_supervise *s, const struct seccomp_notif *n)
{
    struct target_dest d;
    if (!target_dest((pid_t)n->pid, n->data.args[1], n->data.args[2], &d)) {
        /* A bad pointer, or memory that we may not read. */
        return s->o.strict && answer_is_wanted(s, n) ? refuse(EACCES) : go_on;
    }
    if (!d.inet)
        daemon_notice(s, &d);
    if (!d.inet || !may_concern_us(s, &d))
        return go_on;
    KT_CLEANUP(kt_cleanup_fd) int fd = target_fd((pid_t)n->pid, (int)n->data.args[0]);
    if (fd < 0)
        return s->o.strict || is_synthetic(&d) ? refuse(ECONNREFUSED) : go_on;
    if (!answer_is_wanted(s, n))
        return go_on;
    int type = socket_type(fd);
    if (type == SOCK_STREAM)
        return on_stream(s, n, fd, &d);
    return type == SOCK_DGRAM && is_quic(s, &d) ? refuse(ECONNREFUSED) : go_on;
}

/* Data to an address: UDP, or TCP_FASTOPEN, whose callers connect where it is not supported. */
static struct answer on_send(struct kt_supervise *s, const struct seccomp_notif *n, uint64_t at, uint64_t len)
{
    struct target_dest d;
    if (!target_dest((pid_t)n->pid, at, len, &d))
        return s->o.strict && answer_is_wanted(s, n) ? refuse(EACCES) : go_on;
    if (!d.inet || !may_concern_us(s, &d))
        return go_on;
    KT_CLEANUP(kt_cleanup_fd) int fd = target_fd((pid_t)n->pid, (int)n->data.args[0]);
    int type = fd < 0 ? 0 : socket_type(fd);
    if (type == SOCK_STREAM && !divert_is_under_way(fd))
        return refuse(EOPNOTSUPP);
    return type == SOCK_DGRAM && is_quic(s, &d) ? refuse(ECONNREFUSED) : go_on;
}

/* Without strict only where it may connect. */
static struct answer on_sendmsg(struct kt_supervise *s, const struct seccomp_notif *n)
{
    struct msghdr m;
    if (target_read((pid_t)n->pid, n->data.args[1], &m, sizeof m) != sizeof m)
        return answer_is_wanted(s, n) ? refuse(EACCES) : go_on;
    return m.msg_name ? on_send(s, n, (uintptr_t)m.msg_name, m.msg_namelen) : go_on;
}

static struct answer on_sendmmsg(struct kt_supervise *s, const struct seccomp_notif *n)
{
    for (uint64_t i = 0; i < n->data.args[2] && i < 1024; i++) {
        struct mmsghdr m;
        if (target_read((pid_t)n->pid, n->data.args[1] + i * sizeof m, &m, sizeof m) != sizeof m)
            return answer_is_wanted(s, n) ? refuse(EACCES) : go_on;
        if (!m.msg_hdr.msg_name)
            continue;
        struct answer a = on_send(s, n, (uintptr_t)m.msg_hdr.msg_name, m.msg_hdr.msg_namelen);
        if (a.kind != ANSWER_CONTINUE)
            return a;
    }
    return go_on;
}

/* Refused with what a kernel without it says, so that libraries do without. Once per process is enough to
 * know. */
static struct answer not_seen(struct kt_supervise *s, const struct seccomp_notif *n, int error,
                              const char *detail)
{
    pid_t process = target_process((pid_t)n->pid);
    bool told = false;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < ONCE_PER_PROCESS; i++)
        told = told || s->told[i] == process;
    if (!told)
        s->told[s->told_next++ % ONCE_PER_PROCESS] = process;
    pthread_mutex_unlock(&s->lock);
    if (!told)
        supervise_report(s, NULL, detail);
    return refuse(error);
}

struct answer answer_call(struct kt_supervise *s, const struct seccomp_notif *n)
{
#if defined(__x86_64__)
    if (n->data.arch != 0xc000003e) /* AUDIT_ARCH_X86_64 */
        return not_seen(s, n, EACCES, "a 32-bit program wanted to connect: refused under --strict");
    if (n->data.nr == SYS_open)
        return answer_open(s, n, 0, 1);
#endif
    switch (n->data.nr) {
    case SYS_connect:
        return on_connect(s, n);
    case SYS_openat:
        return answer_open(s, n, 1, 2);
    case SYS_sendto:
        return on_send(s, n, n->data.args[4], n->data.args[5]);
    case SYS_sendmsg:
        return on_sendmsg(s, n);
    case SYS_sendmmsg:
        return on_sendmmsg(s, n);
    case SYS_io_uring_setup:
        return not_seen(s, n, ENOSYS, "a program wanted io_uring: refused under --strict");
    default:
        return go_on;
    }
}
