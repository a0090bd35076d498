/* SPDX-License-Identifier: Apache-2.0 */
/* Request bytes -> requests -> exchanges: in the thread that feeds, which is the program's own in the handoff
 * lane. */
#include "interceptor/flow/kt_flow_private.h"

#include "policyengine/base/kt_log.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>

bool kt_flow_raise(struct kt_flow *f, unsigned signal)
{
    if (atomic_fetch_or(&f->signals, signal) != 0)
        return true; /* the job that is queued for an earlier one takes this along */
    kt_flow_ref(f);
    if (kt_loop_post_job(f->fs->loop, &f->in_job).code == KT_OK)
        return true;
    atomic_store(&f->signals, 0);
    atomic_store(&f->input, KT_INPUT_SHUT);
    kt_flow_release(f);
    return false;
}

/* Sends the request on in the program's thread, where the loop's sleeps: waking it takes longer than all that
 * it would do. Not the first one, which loads and connects: that needs a stack of our own. libcurl's OpenSSL
 * may be the program's, and with it the thread's queue of errors. */
static void start_as_guest(void *flow)
{
    struct kt_flow *f = flow; /* the writer has a reference */
    kt_flow_hold_begin(f);
    kt_flow_signalled(f);
    if (!f->holds)
        return;
    kt_loop_turn(f->fs->loop); /* all that comes of it */
    kt_flow_hold_settle(f);
}

static bool start_here(struct kt_flow *f)
{
    if (!atomic_load(&f->fs->warm) || ERR_peek_error() != 0 || kt_flow_busy(f) ||
        atomic_fetch_or(&f->signals, KT_SIGNAL_START) != 0)
        return false;
    kt_flow_ref(f);
    bool done = kt_loop_run_here(f->fs->loop, start_as_guest, f);
    ERR_clear_error();
    if (done)
        return true;
    atomic_fetch_and(&f->signals, ~(unsigned)KT_SIGNAL_START);
    kt_flow_release(f);
    return false;
}

static void refuse(struct kt_flow *f, int status, const char *code, const char *text)
{
    f->refuse_status = status;
    f->refuse_code = code;
    f->refuse_text = text;
    atomic_store(&f->input, KT_INPUT_DISCARD);
    KT_TRACE(HTTP, "%s: refused with %d: %s", f->host, status, text);
    f->fs->o.event(f->fs->o.owner, "request_refused", f->host, f->port, status, text);
    kt_flow_raise(f, KT_SIGNAL_REFUSE);
}

static const char *code_of(int status)
{
    switch (status) {
    case 413:
        return "request_too_large";
    case 503:
        return "engine_out_of_memory";
    default:
        return "invalid_http_request";
    }
}

static const char *too_large(struct kt_flow *f)
{
    snprintf(f->too_large, sizeof f->too_large, "the body is too large: limits.max_body_bytes is %zu",
             f->fs->o.max_body(f->fs->o.owner));
    return f->too_large;
}

static const char *lane_of(const struct kt_flow *f)
{
    const struct kt_engine_ctx *ctx = f->fs->o.ctx;
    return ctx && ctx->lane ? ctx->lane : "divert";
}

static void complete(struct kt_flow *f, bool handoff)
{
    struct kt_request r;
    kt_http_take(f->parser, &r);
    f->ready_asked.head = kt_span_eq(r.method, "HEAD");
    f->ready_asked.keep_alive = r.keep_alive && !r.unread && !atomic_load(&f->fs->draining);
    f->ready_asked.minor = r.minor;
    const struct kt_flow_door *door = f->fs->o.door;
    const struct kt_exchange_origin origin = {.host = f->host,
                                              .port = f->port,
                                              .tls = f->tls,
                                              .program = f->program,
                                              .lane = door         ? door->lane
                                                      : f->handoff ? "handoff"
                                                                   : lane_of(f),
                                              .unknown = door != NULL};
    f->handoff = false;
    if (r.upgrade) {
        kt_request_free(&r);
        refuse(f, 426, "websocket_not_supported",
               "This connection serves HTTP/1.1 only; use POST instead of a WebSocket.");
        return;
    }
    atomic_store(&f->input, r.unread ? KT_INPUT_DISCARD : KT_INPUT_BUSY);
    struct kt_exchange *x = NULL;
    const struct kt_flow_service *s = f->fs->o.service;
    if (s->open(f->fs->o.ctx, &r, &origin, &x).code != KT_OK) {
        kt_request_free(&r);
        refuse(f, 503, code_of(503), "The engine has no memory for this request.");
        return;
    }
    s->prepare(x);
    f->ready = x;
    if (handoff && start_here(f))
        return;
    if (!kt_flow_raise(f, KT_SIGNAL_START)) {
        f->ready = NULL;
        s->drop(x);
    }
}

static bool only_line_ends(const char *data, size_t len)
{
    while (len > 0 && (*data == '\r' || *data == '\n'))
        data++, len--;
    return len == 0;
}

static bool admits(void *flow, const struct kt_request *head)
{
    struct kt_flow *f = flow;
    return f->fs->o.door->admits(f->fs->o.owner, head);
}

static bool make_parser(struct kt_flow *f)
{
    if (kt_http_parser_new(f->fs->o.max_body(f->fs->o.owner), &f->parser).code != KT_OK)
        return false;
    if (f->fs->o.door && f->fs->o.door->admits)
        kt_http_parser_ask(f->parser, admits, f);
    return true;
}

/* How many of the bytes belonged to the request under way, and the next ones if that is answered at once. */
static size_t take(struct kt_flow *f, const char *data, size_t len, bool handoff)
{
    size_t at = 0;
    while (at < len && atomic_load(&f->input) == KT_INPUT_OPEN) {
        if (!f->parser && !make_parser(f)) {
            refuse(f, 503, code_of(503), "The engine has no memory for this request.");
            break;
        }
        size_t used = 0;
        const char *text = "";
        f->handoff |= handoff;
        enum kt_http_state state = kt_http_feed(f->parser, data + at, len - at, &used);
        at += used;
        if (state == KT_HTTP_CONTINUE) {
            kt_flow_raise(f, KT_SIGNAL_CONTINUE);
        } else if (state == KT_HTTP_COMPLETE) {
            complete(f, handoff);
        } else if (state == KT_HTTP_ERROR) {
            int status = kt_http_error(f->parser, &text);
            f->ready_asked = (struct kt_flow_asked){.minor = 1};
            refuse(f, status, code_of(status), status == 413 ? too_large(f) : text);
        } else if (used == 0) {
            return len;
        }
    }
    return at;
}

/* Requests that waited, as far as they can begin now. */
static void take_ahead(struct kt_flow *f)
{
    int state = KT_INPUT_OPEN;
    while (f->ahead.len > 0 && (state = atomic_load(&f->input)) == KT_INPUT_OPEN)
        kt_buf_consume(&f->ahead, take(f, f->ahead.data, f->ahead.len, f->ahead_handoff));
    if (f->ahead.len > 0 && state == KT_INPUT_BUSY)
        return;
    kt_buf_free(&f->ahead); /* nothing is left, or nobody answers it any more */
    atomic_store(&f->waits, false);
}

/* False where there is no room. */
static bool keep(struct kt_flow *f, const char *data, size_t len, bool handoff)
{
    if (!f->ahead.len && only_line_ends(data, len)) /* old clients put CRLF behind a body */
        return true;
    f->ahead_handoff = handoff;
    if (!kt_is_ok(kt_buf_append(&f->ahead, data, len)))
        return false;
    atomic_store(&f->waits, true);
    return true;
}

/* A pipelined request waits until the one in front of it is answered. Where it is too long for that, the
 * connection ends behind that answer, and the client sends it again (RFC 9112, 9.3.2). Whoever answers may be
 * another thread: after each look at the state, it may have changed. */
void kt_flow_feed(struct kt_flow *f, const char *data, size_t len, bool handoff)
{
    atomic_store(&f->spoken, true);
    for (;;) {
        if (f->ahead.len > 0)
            take_ahead(f);
        size_t used = f->ahead.len > 0 ? 0 : take(f, data, len, handoff);
        data += used;
        len -= used;
        int state = atomic_load(&f->input);
        if (state == KT_INPUT_BUSY && len > 0) {
            if (keep(f, data, len, handoff))
                len = 0;
            else if (atomic_compare_exchange_strong(&f->input, &state, KT_INPUT_DISCARD))
                KT_TRACE(HTTP, "%s: a long pipelined request is dropped", f->host);
            state = atomic_load(&f->input);
        }
        if (state != KT_INPUT_OPEN || (len == 0 && f->ahead.len == 0))
            return;
    }
}

void kt_flow_next(struct kt_flow *f)
{
    if (!atomic_load(&f->waits) || atomic_load(&f->input) != KT_INPUT_OPEN)
        return; /* behind the request under way it comes here again */
    if (pthread_mutex_trylock(&f->in_lock) != 0) {
        kt_flow_defer(f, KT_WORK_NEXT); /* a thread of the program is just leaving */
        return;
    }
    take_ahead(f);
    pthread_mutex_unlock(&f->in_lock);
    kt_flow_clock_read(f);
}

ssize_t kt_flow_write(struct kt_flow *f, const void *data, size_t len)
{
    if (!atomic_load(&f->fs->forgotten) && atomic_load(&f->input) != KT_INPUT_SHUT) {
        atomic_store(&f->writer, (unsigned long)pthread_self());
        pthread_mutex_lock(&f->in_lock);
        kt_flow_feed(f, data, len, true);
        pthread_mutex_unlock(&f->in_lock);
        if (atomic_load(&f->input) != KT_INPUT_SHUT)
            return (ssize_t)len;
    }
    errno = EPIPE;
    return -1;
}

void kt_flow_signalled(void *flow)
{
    struct kt_flow *f = flow;
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    unsigned signals = atomic_exchange(&f->signals, 0);
    if ((signals & KT_SIGNAL_CONTINUE) && f->phase != KT_PHASE_CLOSED) {
        kt_flow_queue(f, go_on, sizeof go_on - 1);
        kt_flow_defer(f, KT_WORK_FLUSH);
    }
    if (signals & KT_SIGNAL_START) {
        kt_flow_start(f);
        atomic_store(&f->fs->warm, true);
    }
    if (signals & KT_SIGNAL_AWAKE) {
        kt_loop_loan_end(f->fs->loop, &f->loan);
        kt_flow_hold_drop(f);
        kt_flow_defer(f, KT_WORK_FLUSH);
    }
    if ((signals & KT_SIGNAL_REFUSE) && f->phase != KT_PHASE_CLOSED)
        kt_flow_refusal(f);
    kt_flow_release(f);
}
