/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one call: start, pause, time limits, cancel, end. */
#include "interceptor/upstream/kt_upstream_private.h"

#include "policyengine/base/kt_log.h"

#include <stdlib.h>
#include <string.h>

const char *kt_call_outcome_name(enum kt_call_outcome o)
{
    static const char *const names[] = {"ok",        "timeout",   "connection_error",
                                        "tls_error", "too_large", "aborted"};
    return (size_t)o < KT_COUNT(names) ? names[o] : "unknown";
}

const char *kt_call_head_get(const struct kt_call_head *h, const char *name)
{
    for (size_t i = 0; i < h->count; i++)
        if (kt_span_ieq(kt_span(h->headers[i].name, strlen(h->headers[i].name)), name))
            return h->headers[i].value;
    return NULL;
}

enum kt_call_outcome kt_call_classify(CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return KT_CALL_OK;
    case CURLE_OPERATION_TIMEDOUT:
        return KT_CALL_TIMEOUT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_ENGINE_INITFAILED:
        return KT_CALL_TLS;
    case CURLE_OUT_OF_MEMORY:
    case CURLE_WRITE_ERROR:
    case CURLE_ABORTED_BY_CALLBACK:
    case CURLE_BAD_FUNCTION_ARGUMENT:
    case CURLE_FAILED_INIT:
        return KT_CALL_ABORTED;
    default:
        return KT_CALL_CONNECTION;
    }
}

/* ---- memory ---- */

static void unlink_call(struct kt_call *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else if (c->u->calls == c)
        c->u->calls = c->next;
    if (c->next)
        c->next->prev = c->prev;
    c->prev = c->next = NULL;
}

/* For a transfer that is not done: an HTTP/2 connection would be kept, and libcurl's RST_STREAM would wait in
 * it for the next call while the provider goes on generating. */
static void close_behind(struct kt_call *c)
{
    if (c->easy)
        curl_easy_setopt(c->easy, CURLOPT_FORBID_REUSE, 1L);
}

static void take_out(struct kt_call *c)
{
    struct kt_upstream *u = c->u;
    kt_loop_timer_set(u->loop, &c->watchdog, 0);
    kt_loop_timer_set(u->loop, &c->resume_timer, 0);
    close_behind(c);
    if (c->easy && c->state != KT_CS_QUEUED)
        curl_multi_remove_handle(u->multi, c->easy);
    if (u->unsure)
        kt_up_check_sockets(u);
    unlink_call(c);
}

static void free_call(struct kt_call *c)
{
    struct kt_upstream *u = c->u;
    kt_up_forget_call(c);
    if (c->handle)
        kt_up_handle_give(u, c->handle, c->in_order);
    kt_call_wipe_headers(c);
    kt_call_gzip_free(c);
    kt_buf_free(&c->head);
    free(c);
}

void kt_call_drop(struct kt_call *c)
{
    take_out(c);
    free_call(c);
}

void kt_call_finish(struct kt_call *c, enum kt_call_outcome outcome, const char *detail)
{
    if (c->overflow) { /* libcurl only knows that we refused it */
        outcome = KT_CALL_TOO_LARGE;
        detail = "the answer's head is too large";
    }
    if (outcome == KT_CALL_OK &&
        !c->head_done) { /* libcurl takes the end of a connection for that of a head */
        outcome = KT_CALL_CONNECTION;
        detail = "the connection ended within the head of the answer";
    }
    const char *fault = c->damaged || outcome == KT_CALL_OK ? kt_call_gzip_fault(c) : NULL;
    if (fault) {
        outcome = KT_CALL_CONNECTION;
        detail = fault;
    }
    if ((c->overflow || fault) && c->handle)
        c->handle->error[0] = '\0'; /* that our callback refused the bytes */
    KT_TRACE(UPSTREAM, "call %p ends: %s %s (%s)", (void *)c, kt_call_outcome_name(outcome), detail,
             kt_call_library_says(c));
    c->in_order = outcome == KT_CALL_OK;
    take_out(c);
    if (!c->released)
        c->handler.on_done(c->handler.arg, outcome, detail);
    free_call(c);
}

/* ---- time limits ---- */

void kt_call_arm_watchdog(struct kt_call *c)
{
    int64_t ms = c->head_done ? c->idle_ms : c->first_byte_ms;
    uint64_t due = ms > 0 && !c->paused ? c->activity_ns + (uint64_t)ms * KT_NS_PER_MS : 0;
    kt_loop_timer_set(c->u->loop, &c->watchdog, due);
}

/* Activity moves activity_ns only; the timer is corrected when it fires, so that a chunk costs no timer
 * operation. */
static void on_watchdog(void *arg)
{
    struct kt_call *c = arg;
    if (c->released) {
        kt_call_drop(c);
        return;
    }
    int64_t ms = c->head_done ? c->idle_ms : c->first_byte_ms;
    if (c->paused || ms <= 0 || c->activity_ns + (uint64_t)ms * KT_NS_PER_MS > kt_now_mono_ns()) {
        kt_call_arm_watchdog(c);
        return;
    }
    char detail[96];
    snprintf(detail, sizeof detail, "no %s within %lld ms", c->head_done ? "further data" : "answer",
             (long long)ms);
    kt_call_finish(c, KT_CALL_TIMEOUT, detail);
}

/* ---- pause ---- */

static void on_resume(void *arg)
{
    struct kt_call *c = arg;
    struct kt_upstream *u = c->u;
    if (c->paused || c->state != KT_CS_RUNNING)
        return;
    kt_up_enter(u);
    curl_easy_pause(c->easy, CURLPAUSE_CONT);
    kt_up_leave(u);
}

void kt_call_pause(struct kt_call *c)
{
    c->paused = true;
}

void kt_call_resume(struct kt_call *c)
{
    if (!c->paused || c->u->dead)
        return;
    c->paused = false;
    c->activity_ns = kt_now_mono_ns();
    kt_call_arm_watchdog(c);
    kt_loop_timer_set(c->u->loop, &c->resume_timer, c->activity_ns);
}

/* ---- start and end ---- */

kt_result kt_upstream_call(struct kt_upstream *u, const struct kt_call_request *request,
                           const struct kt_call_handler *handler, struct kt_call **out)
{
    *out = NULL;
    KT_GUARD(kt_up_begin(u));
    struct kt_call *c = calloc(1, sizeof *c);
    KT_ENSURE(c, KT_ERR_MEMORY);
    *c = (struct kt_call){
        .u = u, .handler = *handler, .state = KT_CS_QUEUED, .head = KT_BUF_INIT(KT_UP_MAX_HEAD)};
    c->first_byte_ms = request->first_byte_ms;
    c->idle_ms = request->idle_ms;
    c->body_len = request->body.len;
    c->once = strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0;
    c->watchdog = (struct kt_timer){.fn = on_watchdog, .arg = c};
    c->resume_timer = (struct kt_timer){.fn = on_resume, .arg = c};
    c->handle = kt_up_handle_take(u, request);
    kt_result r = c->handle ? kt_call_configure(c, request) : kt_err(KT_ERR_MEMORY);
    if (kt_is_ok(r) && !u->busy) {
        c->state = KT_CS_RUNNING;
        r = curl_multi_add_handle(u->multi, c->easy) == CURLM_OK ? kt_ok() : kt_err(KT_ERR_INTERNAL);
    }
    if (!kt_is_ok(r)) {
        free_call(c);
        return r;
    }
    c->next = u->calls;
    if (u->calls)
        u->calls->prev = c;
    u->calls = c;
    c->activity_ns = kt_now_mono_ns();
    kt_call_arm_watchdog(c);
    *out = c;
    return kt_ok();
}

void kt_call_cancel(struct kt_call *c)
{
    struct kt_upstream *u = c->u;
    if (u->dead)
        return;
    KT_TRACE(UPSTREAM, "call %p cancelled", (void *)c);
    c->released = true; /* no slot from here on */
    close_behind(c);    /* where libcurl ends it before we do */
    if (u->busy)
        c->state = KT_CS_DOOMED;
    else
        kt_call_drop(c);
}

void kt_call_release(struct kt_call *c)
{
    curl_off_t sent = 0;
    if (c->u->dead)
        return;
    curl_easy_getinfo(c->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    if ((uint64_t)sent < c->body_len || c->state != KT_CS_RUNNING) {
        kt_call_cancel(c);
        return;
    }
    kt_call_resume(c);
    c->released = true;
    kt_loop_timer_set(c->u->loop, &c->watchdog, kt_now_mono_ns() + KT_UP_DRAIN_NS);
}
