/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/ssl_await.h"

#include "shim/engine.h"
#include "shim/guard.h"
#include "shim/ssl_table.h"
#include "shim/stack.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define BIO_DESCRIPTOR 0x0100 /* the bit of BIO_method_type: reads an fd and has no buffer of its own */
#define TURN_MS 250           /* a loan of the engine ends 400 ms behind the last turn */

__thread int kt_interrupted_read __attribute__((tls_model("initial-exec")));

/* -1: the engine has nothing for us, or the flow is the parent's, in a child that has no engine. */
static int ask(const struct kt_ssl_entry *e, enum kt_abi_wait how, void *buf, size_t *len)
{
    const struct kt_engine_abi *engine = kt_engine_here();
    struct kt_abi_flow *flow = e->flow; /* a handler that forked left none to its child */
    size_t room = *len;
    *len = 0;
    if (!engine || !flow)
        return -1;
    int saved = kt_guard_enter();
    *len = room;
    int fd = engine->flow_wait(flow, how, e->taken, buf, len);
    kt_guard_leave(saved);
    return fd;
}

/* The fd that this SSL_read would sleep on for as long as it takes; -1: it would not, or who knows. */
static int fd_of(const struct kt_ssl_api *api, SSL *ssl)
{
    struct timeval limit = {.tv_sec = 0};
    socklen_t len = sizeof limit;
    if (!api->SSL_has_pending || !api->SSL_get_rbio || !api->BIO_method_type || api->SSL_has_pending(ssl) ||
        !api->SSL_is_init_finished(ssl) || kt_ssl_has_closed(api, ssl, KT_SSL_RECEIVED_SHUTDOWN))
        return -1;
    const void *bio = api->SSL_get_rbio(ssl);
    int fd = bio && (api->BIO_method_type(bio) & BIO_DESCRIPTOR) ? api->SSL_get_rfd(ssl) : -1;
    int flags = fd >= 0 ? fcntl(fd, F_GETFL) : -1;
    if (flags < 0 || (flags & O_NONBLOCK) || getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, &len) != 0 ||
        limit.tv_sec || limit.tv_usec)
        return -1;
    return fd;
}

enum handlers { NONE, RESTART, INTERRUPT, BOTH };

static atomic_bool off;      /* for good: see enough() */
static atomic_uint changed;  /* how often handlers were set */
static atomic_bool one_time; /* one that is gone when it has run, and interrupts, was among them */

void kt_ssl_await_handler(unsigned flags)
{
    if ((flags & (unsigned)SA_RESETHAND) && !(flags & SA_RESTART))
        atomic_store_explicit(&one_time, true, memory_order_relaxed);
    atomic_fetch_add_explicit(&changed, 1, memory_order_relaxed);
}

/* Not those of faults, which do not come back. */
static bool is_fault(int sig)
{
    return sig == SIGSEGV || sig == SIGBUS || sig == SIGILL || sig == SIGFPE || sig == SIGTRAP ||
           sig == SIGABRT || sig == SIGSYS;
}

/* What the program's handlers that may run in this thread do to a read. */
static enum handlers look_at_handlers(void)
{
    unsigned found = NONE;
    sigset_t blocked;
    kt_signals_mask(&blocked);
    for (int sig = 1; sig < NSIG; sig++) {
        struct sigaction sa;
        if (is_fault(sig) || sigismember(&blocked, sig) || sigaction(sig, NULL, &sa) != 0)
            continue;
        if (sa.sa_handler != SIG_DFL && sa.sa_handler != SIG_IGN)
            found |= (sa.sa_flags & (int)SA_RESETHAND) ? BOTH
                     : sa.sa_flags & SA_RESTART        ? RESTART
                                                       : INTERRUPT;
    }
    return found;
}

/* Differs where handlers were set, or the thread blocks other signals; never 0. */
static unsigned handlers_now(void)
{
    uint64_t bits;
    sigset_t blocked;
    kt_signals_mask(&blocked);
    memcpy(&bits, &blocked, sizeof bits);
    bits = bits * 0x9e3779b97f4a7c15u + atomic_load_explicit(&changed, memory_order_relaxed);
    return (unsigned)(bits * 0x9e3779b97f4a7c15u >> 32) | 1;
}

/* poll never goes on behind a handler, a read does where the handler's SA_RESTART says so, and which handler
 * ran nobody tells, still less of one for a single time (SA_RESETHAND, counted as BOTH), which is gone. So a
 * thread whose handlers differ is not for us: it sleeps in its own read. */
static bool enough(void)
{
    static __thread unsigned looked __attribute__((tls_model("initial-exec")));
    unsigned now = handlers_now();
    if (looked != now && look_at_handlers() == BOTH)
        atomic_store_explicit(&off, true, memory_order_relaxed);
    looked = now;
    return atomic_load_explicit(&off, memory_order_relaxed);
}

/* NONE: libc's own signals (setuid in a program with threads), behind which a read goes on; or a handler for
 * one time, that was set while we slept. BOTH, where they did not differ before: a read that ends in vain
 * does no harm, one that is to end and does not may last for ever. */
static enum kt_abi_wait interrupted(int fd)
{
    enum handlers h = look_at_handlers();
    if (h == BOTH)
        atomic_store_explicit(&off, true, memory_order_relaxed);
    if (h == NONE && atomic_load_explicit(&one_time, memory_order_relaxed))
        h = INTERRUPT;
    if (h == INTERRUPT || h == BOTH)
        kt_interrupted_read = fd + 1;
    return h == BOTH || h == INTERRUPT ? KT_ABI_WAIT_END : KT_ABI_WAIT_BEGIN;
}

/* The program's signals are delivered and its thread may be cancelled here, as in the read. */
static enum kt_abi_wait sleep_on(int fd, int engines)
{
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = engines, .events = POLLIN}};
    int n = kt_signals_sleep(fds, 2, TURN_MS);
    if (n < 0 && errno == EINTR)
        return interrupted(fd);
    if (n == 0)
        return KT_ABI_WAIT_BEGIN;
    return n > 0 && !fds[0].revents ? KT_ABI_WAIT_READY : KT_ABI_WAIT_END;
}

/* Signals are held but for the sleep: one that came due while the engine works would find nobody asleep to
 * wake. */
static size_t await(const struct kt_ssl_entry *e, int fd, void *buf, size_t room)
{
    if (enough())
        return 0;
    size_t got = room;
    int engines = ask(e, KT_ABI_WAIT_BEGIN, buf, &got);
    while (engines >= 0) {
        enum kt_abi_wait how = sleep_on(fd, engines);
        got = how == KT_ABI_WAIT_READY ? room : 0;
        engines = ask(e, how, buf, &got);
    }
    return got;
}

size_t kt_ssl_await(const struct kt_ssl_api *api, SSL *ssl, void *buf, size_t room)
{
    const struct kt_ssl_entry *e = api && api->complete && room > 0 ? kt_ssl_table_get(ssl) : NULL;
    if (!e || e->state != KT_SSL_HANDOFF)
        return 0;
    int saved = errno, fd = kt_stack_suffices() ? fd_of(api, ssl) : -1;
    size_t got = 0;
    if (fd >= 0) {
        kt_signals_hold();
        got = await(e, fd, buf, room);
        kt_signals_let_go();
    }
    errno = saved;
    return got;
}
