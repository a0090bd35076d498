/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes over the connection, plain or TLS, and the queue of those that wait for the client. */
#include "interceptor/flow/kt_flow_private.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define KEEP_CAP 16384 /* an empty queue keeps no more memory than this, so that idle flows stay small */

enum kt_flow_io kt_flow_read(struct kt_flow *f, char *buf, size_t size, size_t *got)
{
    if (f->ssl && f->phase != KT_PHASE_LINGER) /* lingering reads nothing, it only waits for the end */
        return kt_flow_tls_read(f, buf, size, got);
    ssize_t n = recv(f->watch.fd, buf, size, 0);
    *got = n > 0 ? (size_t)n : 0;
    if (n > 0)
        return KT_IO_DONE;
    if (n == 0 && f->phase == KT_PHASE_OPEN)
        return KT_IO_ENDED;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? KT_IO_AGAIN : KT_IO_GONE;
}

/* What does not fit leaves over the connection, and all that comes behind it. */
static void hand_over(struct kt_flow *f, size_t end)
{
    struct kt_flow_reader *r = f->reader;
    size_t room = r->room - r->got, n = end - f->out_at < room ? end - f->out_at : room;
    memcpy(r->buf + r->got, f->out.data + f->out_at, n);
    r->got += n;
    f->out_at += n;
    if (r->got == r->room)
        f->reader = NULL;
}

static enum kt_flow_io write_some(struct kt_flow *f, const char *data, size_t len, size_t *sent)
{
    if (f->ssl)
        return kt_flow_tls_write(f, data, len, sent);
    ssize_t n = send(f->watch.fd, data, len, MSG_NOSIGNAL);
    *sent = n > 0 ? (size_t)n : 0;
    if (n > 0)
        return KT_IO_DONE;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? KT_IO_AGAIN : KT_IO_GONE;
}

size_t kt_flow_backlog(const struct kt_flow *f)
{
    return f->out.len - f->out_at;
}

void kt_flow_queue(struct kt_flow *f, const void *data, size_t len)
{
    if (f->failed || f->phase == KT_PHASE_CLOSED)
        return;
    if (f->out_at > 0 && f->out_at >= f->out.len / 2) { /* amortised: moves at most what was sent */
        kt_buf_consume(&f->out, f->out_at);
        f->out_at = 0;
    }
    if (kt_buf_append(&f->out, data, len).code != KT_OK)
        f->failed = true;
}

void kt_flow_flush(struct kt_flow *f)
{
    if (f->failed || f->phase != KT_PHASE_OPEN || kt_flow_hold_on(f))
        return;
    size_t end = f->out.len - f->out_held;
    if (f->reader && f->out_at < end)
        hand_over(f, end);
    while (f->out_at < end) {
        size_t sent = 0;
        enum kt_flow_io io = write_some(f, f->out.data + f->out_at, end - f->out_at, &sent);
        f->out_at += sent;
        f->sent += sent;
        if (sent && f->fs->o.door)
            f->moved_ns = kt_now_mono_ns();
        if (io == KT_IO_GONE)
            f->failed = true;
        if (io != KT_IO_DONE)
            return;
    }
    if (kt_flow_backlog(f) > 0)
        return;
    f->out_at = 0;
    kt_buf_clear(&f->out);
    if (f->out.cap > KEEP_CAP)
        kt_buf_free(&f->out);
}

void kt_flow_watch(struct kt_flow *f)
{
    if (f->phase == KT_PHASE_CLOSED)
        return;
    bool linger = f->phase == KT_PHASE_LINGER;
    uint32_t events = f->fin && !linger ? 0 : EPOLLRDHUP;
    if (!f->half_closed || linger)
        events |= EPOLLIN;
    if (f->phase == KT_PHASE_OPEN && !f->holds && f->out_at < f->out.len - f->out_held) {
        events |= EPOLLOUT;
        if (!(f->watch.events & EPOLLOUT))
            kt_flow_clock_stall(f);
    }
    if (f->phase == KT_PHASE_HANDSHAKE && SSL_want_write(f->ssl))
        events |= EPOLLOUT;
    if (kt_loop_watch_set(f->fs->loop, &f->watch, events).code != KT_OK)
        f->failed = true;
}
