/* SPDX-License-Identifier: Apache-2.0 */
/* A flow's connection from adoption to its end; loop thread only. */
#include "interceptor/flow/kt_flow_private.h"

#include "interceptor/loop/kt_fds.h"
#include "policyengine/base/kt_log.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define READ_TURNS 64 /* one flow reads at most 1 MiB before others get their turn */
#define NS_PER_S 1000000000ull
#define NS_PER_MS 1000000ull

static void timer_in(struct kt_flow *f, uint64_t ns)
{
    kt_loop_timer_set(f->fs->loop, &f->timer, ns ? kt_now_mono_ns() + ns : 0);
}

static void on_timer(void *flow)
{
    struct kt_flow *f = flow;
    KT_TRACE(FLOW, "%s: timed out in phase %d", f->host, (int)f->phase);
    kt_flow_close(f);
}

/* A pin is checked behind the handshake: such a client accepts it and leaves without a word. */
static void report_pin(const struct kt_flow *f)
{
    if (f->phase == KT_PHASE_OPEN && f->ssl && !f->fs->o.door && !f->reported && !f->fs->closing &&
        !atomic_load(&f->spoken) && !kt_flow_is_trusted(f))
        f->fs->o.event(f->fs->o.owner, "client_distrusts", f->host, f->port, 0,
                       "the client left behind the TLS handshake without a request, as one with a pinned "
                       "certificate does");
}

void kt_flow_close(struct kt_flow *f)
{
    if (f->phase == KT_PHASE_CLOSED)
        return;
    report_pin(f);
    kt_flow_trust_note(f);
    KT_TRACE(FLOW, "%s: closed in phase %d%s", f->host, (int)f->phase, f->x ? ", client gone" : "");
    f->phase = KT_PHASE_CLOSED;
    atomic_store(&f->input, KT_INPUT_SHUT);
    kt_flows_unmap(f);
    timer_in(f, 0);
    kt_flow_peer_forget(f);
    kt_flow_hold_drop(f);
    kt_loop_loan_end(f->fs->loop, &f->loan);
    kt_loop_watch_drop(f->fs->loop, &f->watch);
    SSL_free(f->ssl);
    f->ssl = NULL;
    kt_disown_close(f->watch.fd);
    kt_flows_unlink(f);
    struct kt_exchange *x = f->x;
    f->x = NULL;
    if (x)
        f->fs->o.service->client_gone(x);
    kt_flow_release(f);
}

/* The last answer has left. The client's unread bytes must not turn our close into a reset that destroys it:
 * shut our side, and wait for the client to close its own. */
static void linger(struct kt_flow *f)
{
    if (f->abortive) {
        /* Only a reset tells a client without framing that something is missing. */
        struct linger hard = {.l_onoff = 1, .l_linger = 0};
        if (f->framing == KT_FRAME_CLOSE)
            setsockopt(f->watch.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        kt_flow_close(f);
        return;
    }
    if (f->ssl)
        SSL_shutdown(f->ssl);
    shutdown(f->watch.fd, SHUT_WR);
    f->phase = KT_PHASE_LINGER;
    f->timer.fn = on_timer;
    timer_in(f, KT_FLOW_LINGER_MS * NS_PER_MS);
    kt_flow_watch(f);
}

/* Writes, then sees what follows from it. False where the flow is closed. */
static bool progress(struct kt_flow *f)
{
    size_t before = kt_flow_backlog(f);
    bool pushed = f->pushed;
    f->pushed = false;
    kt_flow_flush(f);
    size_t now = kt_flow_backlog(f);
    if (f->phase == KT_PHASE_OPEN && !f->failed && f->close_after && now == 0)
        linger(f);
    if (f->phase != KT_PHASE_CLOSED)
        kt_flow_watch(f);
    if (f->failed)
        kt_flow_close(f);
    if (f->x && (now < before || pushed))
        f->fs->o.service->writable(f->x);
    return f->phase != KT_PHASE_CLOSED;
}

/* The client ended its side. A close_notify (RFC 8446, 6.1) is answered by ours, and then the call is over:
 * TLS 1.2 asks for that, stacks that close wait for it (asyncio, SSLSocket.unwrap), and none in use shuts its
 * writing side alone. A FIN on a plain connection may be just that (`nc -N`): what was pipelined in front of
 * it is still answered, and a finished answer that a slow reader has not taken yet leaves. */
static void half_close(struct kt_flow *f)
{
    int expected = KT_INPUT_BUSY, open = KT_INPUT_OPEN;
    f->half_closed = true;
    if (f->holds) {
        kt_flow_hold_drop(f);
        kt_flow_flush(f); /* it was there before the end */
    }
    bool busy = atomic_load(&f->waits) ||
                atomic_compare_exchange_strong(&f->input, &expected, KT_INPUT_DISCARD) ||
                expected == KT_INPUT_DISCARD;
    if (!busy && kt_flow_backlog(f) > 0)
        busy = f->close_after = atomic_compare_exchange_strong(&f->input, &open, KT_INPUT_DISCARD);
    if (!f->ssl && busy && kt_flow_peer_waits(f)) {
        kt_flow_watch(f);
        return;
    }
    if (f->ssl)
        SSL_shutdown(f->ssl);
    kt_flow_close(f);
}

/* Half a request in front of a FIN: nothing will complete it. */
static void end_of_pipeline(struct kt_flow *f)
{
    int open = KT_INPUT_OPEN;
    if (!f->half_closed || atomic_load(&f->waits) ||
        !atomic_compare_exchange_strong(&f->input, &open, KT_INPUT_DISCARD))
        return;
    f->close_after = true; /* the answers in front of it leave first */
    progress(f);
}

static void feed(struct kt_flow *f, const char *data, size_t len)
{
    if (pthread_mutex_trylock(&f->in_lock) == 0) {
        kt_flow_feed(f, data, len, false);
        pthread_mutex_unlock(&f->in_lock);
        return;
    }
    /* A thread of the program is inside: these bytes came beside its request and have no place in it. */
    int expected = KT_INPUT_BUSY;
    if (!atomic_compare_exchange_strong(&f->input, &expected, KT_INPUT_DISCARD) && expected == KT_INPUT_OPEN)
        f->failed = true;
}

/* We owe the client an ACK and have nothing to send. One that did not set TCP_NODELAY holds the rest of its
 * request back until that ACK, which the kernel would delay by 40 ms. */
static void acknowledge(struct kt_flow *f)
{
    int one = 1;
    setsockopt(f->watch.fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
}

static void read_requests(struct kt_flow *f)
{
    bool owe = false;
    for (int turn = 0; turn < READ_TURNS; turn++) {
        size_t got = 0;
        switch (kt_flow_read(f, f->fs->scratch, sizeof f->fs->scratch, &got)) {
        case KT_IO_DONE:
            if (f->phase == KT_PHASE_OPEN)
                feed(f, f->fs->scratch, got);
            kt_flow_clock_read(f);
            owe = atomic_load(&f->input) == KT_INPUT_OPEN;
            if (f->failed) {
                kt_flow_close(f);
                return;
            }
            if (got == sizeof f->fs->scratch || (f->ssl && SSL_has_pending(f->ssl)))
                break;
            __attribute__((fallthrough)); /* the socket is empty, or epoll says so */
        case KT_IO_AGAIN:
            if (owe)
                acknowledge(f);
            return;
        case KT_IO_ENDED:
            half_close(f);
            return;
        case KT_IO_GONE:
            kt_flow_close(f);
            return;
        }
    }
    kt_flow_defer(f, KT_WORK_READ); /* the rest may lie inside OpenSSL, where epoll cannot see it */
}

static void handshake(struct kt_flow *f)
{
    switch (kt_flow_tls_handshake(f)) {
    case KT_IO_DONE:
        KT_TRACE(TLS, "%s: %s %s", f->host, SSL_get_version(f->ssl), SSL_get_cipher_name(f->ssl));
        f->phase = KT_PHASE_OPEN;
        kt_flow_clock_start(f);
        acknowledge(f);   /* of the client's Finished */
        if (!progress(f)) /* handoff: an answer may be waiting already, and a request behind it */
            return;
        kt_flow_next(f);
        read_requests(f);
        return;
    case KT_IO_AGAIN:
        kt_flow_watch(f);
        return;
    default:
        kt_flow_close(f);
    }
}

/* 0x16 is TLS's handshake record; no HTTP method begins with it. */
static void detect(struct kt_flow *f)
{
    unsigned char first;
    ssize_t n = recv(f->watch.fd, &first, 1, MSG_PEEK);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        kt_flow_close(f);
        return;
    }
    if (f->fs->o.door && f->fs->o.door->tls != (first == 0x16)) {
        KT_TRACE(FLOW, "%s: %s where %s is served", f->host, first == 0x16 ? "TLS" : "no TLS",
                 first == 0x16 ? "plain HTTP" : "TLS");
        kt_flow_close(f);
        return;
    }
    if (first != 0x16) {
        f->phase = KT_PHASE_OPEN;
        kt_flow_clock_start(f);
        read_requests(f);
        return;
    }
    if (kt_flow_tls_begin(f).code != KT_OK) {
        kt_flow_close(f);
        return;
    }
    f->phase = KT_PHASE_HANDSHAKE;
    timer_in(f, KT_FLOW_START_SECONDS * NS_PER_S);
    handshake(f);
}

/* Behind a FIN: the real end, or nothing new. */
static void end_behind_half_close(struct kt_flow *f, uint32_t events)
{
    if (!f->fin && !(events & (EPOLLHUP | EPOLLERR)) && kt_flow_peer_waits(f))
        kt_flow_watch(f);
    else
        kt_flow_close(f);
}

/* The caller keeps a reference. */
static void dispatch(struct kt_flow *f, uint32_t events)
{
    switch (f->phase) {
    case KT_PHASE_DETECT:
        detect(f);
        return;
    case KT_PHASE_HANDSHAKE:
        handshake(f);
        return;
    case KT_PHASE_OPEN:
        if ((events & EPOLLOUT) && !progress(f))
            return;
        if (f->half_closed && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
            end_behind_half_close(f, events);
        else if (events & ~(uint32_t)EPOLLOUT)
            read_requests(f);
        return;
    case KT_PHASE_LINGER:
        read_requests(f);
        return;
    case KT_PHASE_CLOSED:
        return;
    }
}

void kt_flow_ready(void *flow, uint32_t events)
{
    struct kt_flow *f = flow;
    kt_flow_ref(f);
    dispatch(f, events);
    kt_flow_release(f);
}

static void adopted(struct kt_flow *f)
{
    kt_flows_link(f);
    f->timer.fn = on_timer;
    f->timer.arg = f;
    timer_in(f, KT_FLOW_START_SECONDS * NS_PER_S);
    kt_flow_watch(f);
    if (f->fs->closing || f->failed)
        kt_flow_close(f);
}

void kt_flow_defer(struct kt_flow *f, unsigned bits)
{
    bool queued = f->work_bits != 0;
    f->work_bits |= bits;
    if (queued)
        return;
    kt_flow_ref(f);
    if (kt_loop_post_job(f->fs->loop, &f->work).code == KT_OK)
        return;
    f->work_bits = 0; /* the loop is ending: only what needs nobody else */
    kt_flow_flush(f);
    kt_flow_release(f);
}

void kt_flow_work(void *flow)
{
    struct kt_flow *f = flow;
    unsigned bits = f->work_bits;
    f->work_bits = 0;
    if (bits & KT_WORK_ADOPT)
        adopted(f);
    if ((bits & KT_WORK_FLUSH) && f->phase != KT_PHASE_CLOSED)
        progress(f);
    if ((bits & KT_WORK_NEXT) && f->phase == KT_PHASE_OPEN) {
        kt_flow_next(f);
        end_of_pipeline(f);
    }
    if ((bits & KT_WORK_READ) && (f->phase == KT_PHASE_OPEN || f->phase == KT_PHASE_LINGER))
        read_requests(f);
    kt_flow_release(f);
}
