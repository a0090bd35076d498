/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that end or become other programs: what is due is written first, and what others could not write
 * is written for them. */
#include "interceptor/engine/kt_engine_private.h"

#include "policyengine/base/kt_log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EXIT_MS 100
#define EXEC_MS 50 /* for the taps, and as much for the calls */

/* ---- this process ---- */

/* Loop thread. */
static void answer(void *engine)
{
    struct kt_engine *e = engine;
    struct kt_engine_leaving *l = &e->leaving;
    pthread_mutex_lock(&l->lock);
    unsigned turn = l->asked;
    bool back = l->back;
    pthread_mutex_unlock(&l->lock);
    if (back)
        kt_exchange_go_on_all(&e->ctx);
    else
        kt_exchange_interrupt_all(&e->ctx);
    pthread_mutex_lock(&l->lock);
    l->answered = turn;
    pthread_cond_broadcast(&l->done);
    pthread_mutex_unlock(&l->lock);
}

void kt_engine_leaving_init(struct kt_engine *e)
{
    struct kt_engine_leaving *l = &e->leaving;
    pthread_condattr_t monotonic;
    memset(l, 0, sizeof *l);
    l->job.fn = answer;
    l->job.arg = e;
    memset(&e->sweep, 0, sizeof e->sweep);
    e->sweep.fn = kt_engine_sweep;
    e->sweep.arg = e;
    memset(&e->close, 0, sizeof e->close);
    e->close.fn = kt_engine_close_all;
    e->close.arg = e;
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&l->done, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

void kt_engine_leaving_free(struct kt_engine *e)
{
    pthread_cond_destroy(&e->leaving.done);
    pthread_mutex_destroy(&e->leaving.lock);
}

static void ask(struct kt_engine *e, struct kt_loop *loop, bool back)
{
    struct kt_engine_leaving *l = &e->leaving;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += EXEC_MS * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&l->lock);
    unsigned turn = ++l->asked;
    l->back = back;
    bool posted = kt_is_ok(kt_loop_post_job(loop, &l->job));
    while (posted && (int)(l->answered - turn) < 0 &&
           pthread_cond_timedwait(&l->done, &l->lock, &until) != ETIMEDOUT)
        ;
    pthread_mutex_unlock(&l->lock);
}

static void before_exec(struct kt_engine *e, bool failed)
{
    kt_engine_enter(e);
    pthread_mutex_lock(&e->lock);
    bool runs = e->flows && !e->stopped;
    struct kt_taps *taps = runs && kt_taps_used(e->taps) ? e->taps : NULL;
    bool any = taps || (runs && kt_flows_count(e->flows) > 0);
    struct kt_loop *loop = e->loop;
    pthread_mutex_unlock(&e->lock);
    if (taps && !failed)
        kt_taps_flush(taps, EXEC_MS);
    if (any)
        ask(e, loop, failed);
    kt_engine_leave(e);
}

static void before_exit(struct kt_engine *e)
{
    kt_engine_enter(e);
    pthread_mutex_lock(&e->lock);
    bool any = e->flows && !e->stopped && (kt_taps_used(e->taps) || kt_flows_count(e->flows) > 0);
    pthread_mutex_unlock(&e->lock);
    kt_engine_leave(e);
    if (any && !kt_engine_end(e, EXIT_MS))
        kt_warn("the process ended before its calls were worked off; an event may be missing");
}

static void take_back(struct kt_engine *e)
{
    struct kt_engine_leaving *l = &e->leaving;
    kt_engine_enter(e);
    pthread_mutex_lock(&l->lock);
    while (l->given_count > 0)
        kt_mark_clear(&l->given[--l->given_count]);
    pthread_mutex_unlock(&l->lock);
    kt_engine_leave(e);
}

void kt_engine_settle(struct kt_engine *e, enum kt_abi_leave how)
{
    if (how == KT_ABI_EXEC_FAILED)
        take_back(e);
    if (how == KT_ABI_EXIT)
        before_exit(e);
    else
        before_exec(e, how == KT_ABI_EXEC_FAILED);
}

/* ---- others ---- */

/* In front of the origin; no host has them. */
#define UNSEEN_MARK '!'
#define GIVEN_MARK '>'

void kt_engine_note_unseen(struct kt_engine *e, const char *host, uint16_t port)
{
    char name[300];
    snprintf(name, sizeof name, "%c%s", UNSEEN_MARK, host);
    /* Never cleared: it is found when this process is dead. */
    (void)kt_mark_set(e->ctx.state, &e->ctx.runs, name, port, kt_now_real_ns() / 1000000u);
}

bool kt_engine_give(struct kt_engine *e, const char *host)
{
    struct kt_engine_leaving *l = &e->leaving;
    char name[300];
    snprintf(name, sizeof name, "%c%s", GIVEN_MARK, host);
    pthread_mutex_lock(&l->lock);
    bool room = l->given_count < KT_ENGINE_GIVEN;
    struct kt_mark m = {NULL, 0};
    if (room)
        m = kt_mark_set(e->ctx.state, &e->ctx.runs, name, 0, kt_now_real_ns() / 1000000u);
    if (m.place)
        l->given[l->given_count++] = m;
    pthread_mutex_unlock(&l->lock);
    return m.place != NULL;
}

struct cut {
    struct kt_engine *e;
    const char *run;
    size_t count;
};

static const char *message_of(char mark)
{
    switch (mark) {
    case UNSEEN_MARK:
        return "a child by _Fork() or clone() made calls, where the engine cannot work; they followed "
               "fail_mode";
    case GIVEN_MARK:
        return KT_ENGINE_GIVEN_TEXT;
    default:
        return "the process became another program or was killed in the middle of this call; what was said "
               "is not known";
    }
}

static void report_cut(void *arg, const struct kt_left_mark *left)
{
    struct cut *c = arg;
    struct kt_event ev;
    char mark = left->origin[0];
    bool unseen = mark == UNSEEN_MARK;
    const char *origin = left->origin + (unseen || mark == GIVEN_MARK);
    memset(&ev, 0, sizeof ev);
    ev.timestamp_ns = left->began_ms * 1000000u;
    ev.event_type = unseen ? "unseen" : "interrupted";
    ev.verdict = "error";
    ev.reason_code = unseen ? "not_captured" : "cut_off";
    ev.message = message_of(mark);
    ev.origin = *origin ? origin : NULL;
    ev.app.pid = left->pid;
    ev.app.uid = (unsigned)getuid();
    ev.app.run = c->run;
    c->count++;
    kt_engine_write_event(c->e, &ev);
}

static size_t collect(struct kt_engine *e, struct kt_state *s, const char *run, size_t *alive)
{
    struct cut c = {e, run, 0};
    *alive = kt_marks_collect(s, kt_run_key(run), report_cut, &c);
    return c.count;
}

size_t kt_engine_report_cut(struct kt_engine *e, const char *run, size_t *alive)
{
    return collect(e, kt_engine_state(e), run, alive);
}

void kt_engine_sweep(void *engine)
{
    struct kt_engine *e = engine;
    size_t alive;
    size_t cut = collect(e, e->ctx.state, NULL, &alive);
    if (cut)
        KT_TRACE(AUDIT, "%zu calls that dead processes left have their events now", cut);
}
