/* SPDX-License-Identifier: Apache-2.0 */
/* Tap flows: the queue between the program's threads and the loop, and their life. */
#include "interceptor/tap/kt_tap_private.h"

#include "policyengine/base/kt_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PIECE_BYTES 4096u /* at least: small writes share one */

/* ---- the program's side ---- */

static struct kt_tap *find_locked(struct kt_taps *ts, uint64_t id)
{
    struct kt_tap *t = ts->flows;
    while (t && t->id != id)
        t = t->next;
    return t && !t->closed ? t : NULL;
}

uint64_t kt_tap_open(struct kt_taps *ts, const char *host, uint16_t port, bool tls)
{
    struct kt_tap *t = calloc(1, sizeof *t);
    char *copy = strdup(host);
    pthread_mutex_lock(&ts->lock);
    bool room = t && copy && ts->count < KT_TAP_FLOWS_MAX;
    if (room) {
        *t = (struct kt_tap){.ts = ts,
                             .next = ts->flows,
                             .id = ++ts->next_id,
                             .host = copy,
                             .port = port,
                             .tls = tls,
                             .opening = KT_BUF_INIT(64)};
        t->last = &t->first;
        ts->flows = t;
        ts->count++;
    }
    uint64_t id = room ? t->id : 0;
    pthread_mutex_unlock(&ts->lock);
    if (!room) {
        free(t);
        free(copy);
        kt_warn("a connection to %s is not looked at: no memory, or too many at a time", host);
    }
    return id;
}

static struct kt_tap_piece *piece_for(struct kt_tap *t, enum kt_tap_dir dir, size_t len)
{
    size_t room = len > PIECE_BYTES ? len : PIECE_BYTES;
    struct kt_tap_piece *p = malloc(sizeof *p + room);
    if (!p)
        return NULL;
    *p = (struct kt_tap_piece){.dir = dir, .room = room};
    *t->last = p;
    t->last = &p->next;
    t->newest = p;
    return p;
}

static bool queue_locked(struct kt_tap *t, enum kt_tap_dir dir, const void *data, size_t len)
{
    struct kt_taps *ts = t->ts;
    struct kt_tap_piece *p = t->first ? t->newest : NULL;
    if (ts->queued + len > KT_TAP_QUEUE_BYTES)
        return false;
    if (!p || p->dir != dir || p->room - p->len < len)
        p = piece_for(t, dir, len);
    if (!p)
        return false;
    memcpy(p->data + p->len, data, len);
    p->len += len;
    t->unsaid += dir == KT_TAP_OUT ? len : 0;
    ts->queued += len;
    return true;
}

static void wake(struct kt_taps *ts)
{
    if (!kt_is_ok(kt_loop_post_job(ts->o.ctx->loop, &ts->job)))
        KT_TRACE(FLOW, "tap: the loop has ended");
}

/* Lock held. A program may end by a bare system call before its request is looked at: then its mark is all
 * that is left of the call. The exchange has one of its own. */
static void mark_locked(struct kt_tap *t, enum kt_tap_dir dir)
{
    const struct kt_engine_ctx *ctx = t->ts->o.ctx;
    if (dir == KT_TAP_OUT && !t->mark.place)
        t->mark = kt_mark_set(ctx->state, &ctx->runs, t->host, t->port, kt_now_real_ns() / 1000000u);
}

void kt_tap_data(struct kt_taps *ts, uint64_t id, enum kt_tap_dir dir, const void *data, size_t len)
{
    if (!id || !len)
        return;
    pthread_mutex_lock(&ts->lock);
    struct kt_tap *t = find_locked(ts, id);
    if (t)
        mark_locked(t, dir);
    if (t && !t->full)
        t->full = !queue_locked(t, dir, data, len);
    pthread_mutex_unlock(&ts->lock);
    if (t)
        wake(ts);
}

void kt_tap_close(struct kt_taps *ts, uint64_t id)
{
    pthread_mutex_lock(&ts->lock);
    struct kt_tap *t = id ? find_locked(ts, id) : NULL;
    if (t)
        t->closed = true;
    pthread_mutex_unlock(&ts->lock);
    if (t)
        wake(ts);
}

void kt_taps_flush(struct kt_taps *ts, unsigned timeout_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&ts->lock);
    uint64_t turn = ++ts->asked;
    bool posted = kt_is_ok(kt_loop_post_job(ts->o.ctx->loop, &ts->job));
    while (posted && ts->done < turn && pthread_cond_timedwait(&ts->idle, &ts->lock, &until) != ETIMEDOUT)
        ;
    pthread_mutex_unlock(&ts->lock);
}

/* ---- the loop's side ---- */

void kt_tap_lose(struct kt_tap *t, const char *error, const char *detail)
{
    if (t->lost)
        return;
    t->lost = true;
    KT_TRACE(FLOW, "tap %llu to %s: lost: %s", (unsigned long long)t->id, t->host, detail);
    if (t->protocol)
        t->protocol->end(t, error, detail);
    t->ts->o.event(t->ts->o.owner, "unseen", t->host, t->port, 0, detail);
}

static bool begin(struct kt_tap *t, const struct kt_tap_protocol *p)
{
    if (p->begin(t)) {
        t->protocol = p;
        return true;
    }
    kt_tap_lose(t, "out_of_memory", "no memory to look at this connection");
    return false;
}

/* The client speaks first, and its first bytes tell the protocol. */
static size_t feed_opening(struct kt_tap *t, enum kt_tap_dir dir, const char *data, size_t len)
{
    static const char preface[] = KT_TAP_H2_PREFACE;
    const size_t whole = sizeof preface - 1;
    size_t have = t->opening.len, n = 0;
    if (dir == KT_TAP_IN) {
        /* An HTTP/2 server may send its settings at once. */
        if (begin(t, *data == 'H' ? &kt_tap_http1 : &kt_tap_http2))
            return t->protocol->feed(t, dir, data, len);
        return len;
    }
    while (n < len && have + n < whole && data[n] == preface[have + n])
        n++;
    if (have + n < whole && n == len) {
        if (!kt_is_ok(kt_buf_append(&t->opening, data, len)))
            kt_tap_lose(t, "out_of_memory", "no memory to look at this connection");
        return len;
    }
    bool h2 = have + n == whole;
    if (!begin(t, h2 ? &kt_tap_http2 : &kt_tap_http1))
        return len;
    if (have)
        t->protocol->feed(t, dir, t->opening.data, have);
    return t->protocol->feed(t, dir, data, len);
}

static size_t feed(struct kt_tap *t, enum kt_tap_dir dir, const char *data, size_t len)
{
    if (t->lost || t->opaque)
        return len;
    return t->protocol ? t->protocol->feed(t, dir, data, len) : feed_opening(t, dir, data, len);
}

/* Lock held. */
static void pop_locked(struct kt_tap *t)
{
    struct kt_tap_piece *p = t->first;
    t->ts->queued -= p->len;
    t->first = p->next;
    if (!t->first) {
        t->last = &t->first;
        t->newest = NULL;
    }
    free(p);
}

/* False where nothing waits, or what waits cannot be looked at yet. */
static bool work_piece(struct kt_tap *t)
{
    struct kt_taps *ts = t->ts;
    pthread_mutex_lock(&ts->lock);
    struct kt_tap_piece *p = t->first;
    size_t n = p ? p->len - p->used : 0;
    pthread_mutex_unlock(&ts->lock);
    if (!p)
        return false;
    size_t used = feed(t, p->dir, p->data + p->used, n);
    if (t->lost || t->opaque)
        used = n;
    pthread_mutex_lock(&ts->lock);
    p->used += used;
    t->unsaid -= p->dir == KT_TAP_OUT ? used : 0;
    if (t->unsaid == 0)
        kt_mark_clear(&t->mark);
    if (p->used == p->len)
        pop_locked(t);
    pthread_mutex_unlock(&ts->lock);
    return used == n;
}

static void end(struct kt_tap *t)
{
    if (t->ended)
        return;
    t->ended = true;
    if (t->protocol)
        t->protocol->end(t, NULL, NULL);
}

void kt_tap_work(struct kt_tap *t)
{
    if (t->working || t->ended)
        return;
    t->working = true;
    while (work_piece(t))
        ;
    pthread_mutex_lock(&t->ts->lock);
    bool empty = !t->first, closed = t->closed, full = t->full;
    pthread_mutex_unlock(&t->ts->lock);
    if (empty && full)
        kt_tap_lose(t, "truncated", "more was said on this connection than could be looked at in time");
    if (empty && closed)
        end(t);
    t->working = false;
}

static void destroy(struct kt_tap *t)
{
    while (t->first)
        pop_locked(t);
    kt_mark_clear(&t->mark);
    if (t->protocol)
        t->protocol->free(t);
    kt_buf_free(&t->opening);
    free(t->host);
    free(t);
}

/* Only this thread takes flows out of the list, so that a flow stays valid between two locks. */
static void reap(struct kt_taps *ts)
{
    struct kt_tap *dead = NULL;
    pthread_mutex_lock(&ts->lock);
    for (struct kt_tap **l = &ts->flows; *l;) {
        struct kt_tap *t = *l;
        if (!t->ended || t->calls) {
            l = &t->next;
            continue;
        }
        *l = t->next;
        ts->count--;
        t->next = dead;
        dead = t;
    }
    pthread_mutex_unlock(&ts->lock);
    for (struct kt_tap *next; dead; dead = next) {
        next = dead->next;
        destroy(dead);
    }
}

static void turn(void *taps)
{
    struct kt_taps *ts = taps;
    pthread_mutex_lock(&ts->lock);
    uint64_t asked = ts->asked;
    struct kt_tap *t = ts->flows;
    pthread_mutex_unlock(&ts->lock);
    for (; t; t = t->next) /* newer ones stand in front and come with the next turn */
        kt_tap_work(t);
    reap(ts);
    pthread_mutex_lock(&ts->lock);
    ts->done = asked;
    pthread_cond_broadcast(&ts->idle);
    pthread_mutex_unlock(&ts->lock);
}

/* ---- birth and end ---- */

kt_result kt_taps_new(const struct kt_tap_options *options, struct kt_taps **out)
{
    struct kt_taps *ts = calloc(1, sizeof *ts);
    KT_ENSURE(ts, KT_ERR_MEMORY);
    ts->o = *options;
    ts->first_id = ts->next_id = (uint64_t)getpid() << 32; /* never those of a parent */
    ts->job = (struct kt_loop_job){.fn = turn, .arg = ts};
    pthread_mutex_init(&ts->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&ts->idle, &monotonic);
    pthread_condattr_destroy(&monotonic);
    *out = ts;
    return kt_ok();
}

void kt_taps_end(struct kt_taps *ts)
{
    turn(ts);
    for (struct kt_tap *t = ts->flows; t; t = t->next) {
        end(t);
        kt_tap_calls_drop(t);
    }
    reap(ts);
}

void kt_taps_free(struct kt_taps *ts)
{
    if (!ts)
        return;
    for (struct kt_tap *t = ts->flows, *next; t; t = next) {
        next = t->next;
        destroy(t);
    }
    pthread_cond_destroy(&ts->idle);
    pthread_mutex_destroy(&ts->lock);
    free(ts);
}

void kt_taps_forget(struct kt_taps *ts)
{
    ts->flows = NULL;
    ts->count = 0;
}

bool kt_taps_used(struct kt_taps *ts)
{
    pthread_mutex_lock(&ts->lock);
    bool used = ts->next_id != ts->first_id;
    pthread_mutex_unlock(&ts->lock);
    return used;
}

size_t kt_taps_count(struct kt_taps *ts)
{
    pthread_mutex_lock(&ts->lock);
    size_t n = ts->count;
    pthread_mutex_unlock(&ts->lock);
    return n;
}
