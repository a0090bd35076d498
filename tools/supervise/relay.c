/* SPDX-License-Identifier: Apache-2.0 */
/* --strict: a connect of the tree is made by us, in a thread of its own, and answered once it is known how it
 * went. */
#include "tools/supervise/relay.h"

#include "policyengine/base/kt_log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RELAYS_MAX 1024
#define STACK_BYTES (256u << 10)
/* How long a program that does not want to wait is kept waiting for a connect that may fail at once. */
#define PATIENCE_MS 200
#define CONNECT_MS 130000 /* as long as the kernel tries */
#define LOOK_MS 100       /* is the program still there, and does a signal wait for it? */
/* The kernel makes EINTR of it, or begins the call again, as the signal's handler wants. */
#define ERESTARTSYS 512
#define INTERRUPTED_MAX 64

struct begun {
    struct relay relay;
    struct seccomp_notif call;
    int fd; /* a copy of the program's socket */
    bool waits;
};

static atomic_int running;

static bool is_loopback(const struct target_dest *d)
{
    static const uint8_t v6[16] = {[15] = 1};
    return d->v4 >> 24 == 127 || memcmp(d->ip, v6, sizeof v6) == 0;
}

/* Sockets whose connect a signal has interrupted: one that is begun again has been made. A ring. */
static struct {
    pthread_mutex_t lock;
    uint64_t cookie[INTERRUPTED_MAX];
    unsigned next;
} interrupted = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t cookie_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t len = sizeof cookie;
    return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) == 0 ? cookie : 0;
}

static void remember_interrupted(int fd)
{
    pthread_mutex_lock(&interrupted.lock);
    interrupted.cookie[interrupted.next++ % INTERRUPTED_MAX] = cookie_of(fd);
    pthread_mutex_unlock(&interrupted.lock);
}

static bool was_interrupted(int fd)
{
    uint64_t cookie = cookie_of(fd);
    bool was = false;
    pthread_mutex_lock(&interrupted.lock);
    for (size_t i = 0; cookie && i < INTERRUPTED_MAX; i++) {
        if (interrupted.cookie[i] != cookie)
            continue;
        was = true;
        interrupted.cookie[i] = 0;
    }
    pthread_mutex_unlock(&interrupted.lock);
    return was;
}

/* The connect of `fd` as it stands: 0 = done, EINPROGRESS, or how it failed. */
static int outcome(int fd, int timeout_ms)
{
    struct pollfd p = {fd, POLLOUT, 0};
    int error = 0;
    socklen_t len = sizeof error;
    if (poll(&p, 1, timeout_ms) <= 0)
        return EINPROGRESS;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 ? error : errno;
}

static int wait_for_program(struct begun *b)
{
    int error = EINPROGRESS;
    for (int left = b->waits ? CONNECT_MS : PATIENCE_MS; error == EINPROGRESS && left > 0; left -= LOOK_MS) {
        error = outcome(b->relay.up, left < LOOK_MS ? left : LOOK_MS);
        if (error == EINPROGRESS && !answer_is_wanted(b->relay.s, &b->call))
            return ECONNABORTED;
        if (error == EINPROGRESS && b->waits && target_signal_waits((pid_t)b->call.pid))
            return ERESTARTSYS;
    }
    return error == EINPROGRESS && b->waits ? ETIMEDOUT : error;
}

/* The program was told that its connect is under way before we knew how it would end. */
static bool late_failure(struct begun *b)
{
    int error = outcome(b->relay.up, CONNECT_MS);
    struct linger now = {1, 0};
    if (error != 0)
        setsockopt(b->relay.app, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    return error != 0;
}

static void *run(void *begun)
{
    struct begun *b = begun;
    int error = wait_for_program(b);
    bool signalled = error == ERESTARTSYS, pending = error == EINPROGRESS || signalled;
    if (error == 0 || pending)
        error = divert_connect(b->fd, &b->relay.app);
    if (signalled && error == 0) {
        remember_interrupted(b->fd);
        error = ERESTARTSYS;
    }
    close(b->fd);
    serve_answer(b->relay.s, &b->call, (struct answer){ANSWER_ERROR, error});
    if (b->relay.app >= 0 && !(pending && late_failure(b))) {
        relay_run(&b->relay);
    } else {
        if (b->relay.app >= 0)
            close(b->relay.app);
        close(b->relay.up);
    }
    kt_event_program_unref(b->relay.program);
    free(b);
    atomic_fetch_sub(&running, 1);
    return NULL;
}

static bool start(struct begun *b)
{
    pthread_t t;
    pthread_attr_t a;
    pthread_attr_init(&a);
    pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&a, STACK_BYTES);
    bool ok = pthread_create(&t, &a, run, b) == 0;
    pthread_attr_destroy(&a);
    return ok;
}

/* From the address that the program has bound its socket to; the port is still that socket's. */
static void bind_like(int up, int fd)
{
    union target_addr here;
    socklen_t len = sizeof here;
    if (getsockname(fd, &here.sa, &len) != 0)
        return;
    bool v4 = here.sa.sa_family == AF_INET && here.in.sin_addr.s_addr != INADDR_ANY;
    bool v6 = here.sa.sa_family == AF_INET6 && !IN6_IS_ADDR_UNSPECIFIED(&here.in6.sin6_addr);
    if (v4)
        here.in.sin_port = 0;
    if (v6)
        here.in6.sin6_port = 0;
    if (v4 || v6)
        (void)!bind(up, &here.sa, len);
}

/* Our own connection to where the program wants to go: 0 or EINPROGRESS, else the error. */
static int open_up(const struct target_dest *d, int fd, int *up)
{
    int on = 1;
    *up = socket(d->addr.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*up < 0)
        return errno;
    setsockopt(*up, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    bind_like(*up, fd);
    int error = connect(*up, &d->addr.sa, d->len) == 0 ? 0 : errno;
    if (error == 0 || error == EINPROGRESS)
        return error;
    close(*up);
    *up = -1;
    return error;
}

struct answer relay_connect(struct kt_supervise *s, const struct seccomp_notif *n, int fd,
                            const struct target_dest *d, const char *host)
{
    if (is_loopback(d))
        return pass_on(s, n, fd, d);
    if (divert_is_under_way(fd))
        return (struct answer){ANSWER_ERROR, was_interrupted(fd) ? 0 : divert_again(fd)};
    /* The engine in the program calls its targets; in observe mode the shim reads along what its program says
     * to the origin itself. */
    if (d->engines || (d->meant && supervise_plan_says(s, "mode", "observe")))
        return (struct answer){ANSWER_CONTINUE, 0};
    struct begun *b = calloc(1, sizeof *b);
    if (!b)
        return (struct answer){ANSWER_ERROR, ENOMEM};
    *b = (struct begun){.relay = {.s = s, .app = -1, .up = -1, .port = d->port}, .call = *n};
    b->relay.program = supervise_program((pid_t)n->pid);
    memcpy(b->relay.host, host, strlen(host) + 1);
    memcpy(b->relay.ip, d->ip, sizeof d->ip);
    b->waits = !(fcntl(fd, F_GETFL) & O_NONBLOCK);
    int error = open_up(d, fd, &b->relay.up);
    b->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    bool going = error == 0 || error == EINPROGRESS;
    if (going && b->fd >= 0 && atomic_fetch_add(&running, 1) < RELAYS_MAX && start(b))
        return (struct answer){ANSWER_SENT, 0};
    if (going) {
        if (b->fd >= 0)
            atomic_fetch_sub(&running, 1);
        close(b->relay.up);
        kt_warn(
            "a connection to %s, port %u, was refused: --strict passes on %d at a time, and needs a thread "
            "and two fds for each",
            *host ? host : "another host", d->port, RELAYS_MAX);
        error = ECONNREFUSED;
    }
    if (b->fd >= 0)
        close(b->fd);
    kt_event_program_unref(b->relay.program);
    free(b);
    return (struct answer){ANSWER_ERROR, error};
}

bool relay_settle(int timeout_ms)
{
    for (uint64_t end = kt_now_mono_ns() + (uint64_t)timeout_ms * 1000000ull; atomic_load(&running) > 0;) {
        if (kt_now_mono_ns() >= end)
            return false;
        poll(NULL, 0, 1);
    }
    return true;
}
