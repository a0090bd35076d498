/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSE comments for a client that waits long for the next event: its own time limits, and those of what lies
 * between, see that somebody is there.
 *
 * In front of the first content a comment needs the head of a 200, and behind that head a failure can only be
 * an error event: stock clients retry a status, not an event. So that one comes late
 * (limits.first_keepalive_seconds). Retries and fallback go on behind it as before: only content binds us.
 */
#include "interceptor/exchange/kt_exchange_private.h"

#include "policyengine/base/kt_log.h"

#define KT_X_COMMENT ": keep-alive\n\n"
#define NS_PER_S 1000000000ull

static void on_timer(void *arg);

static void arm(struct kt_exchange *x, int64_t seconds, uint64_t from_ns)
{
    x->keepalive.fn = on_timer;
    x->keepalive.arg = x;
    kt_loop_timer_set(x->ctx->loop, &x->keepalive, from_ns + (uint64_t)seconds * NS_PER_S);
}

/* The origin's head is its own, and nobody but the origin may answer. */
static bool may_begin(const struct kt_exchange *x)
{
    return !x->head_sent && x->plan == KT_X_TARGETS && !kt_x_observe(x);
}

static void begin(struct kt_exchange *x)
{
    KT_TRACE(FLOW, "exchange %s: a 200 so that the client goes on waiting", x->id);
    struct kt_x_fields targets = x->fields; /* of an attempt under way */
    x->fields = (struct kt_x_fields){.text = KT_BUF_INIT(KT_X_MAX_HEAD)};
    kt_x_fields_add(&x->fields, "content-type", "text/event-stream; charset=utf-8");
    kt_x_fields_add(&x->fields, "cache-control", "no-cache");
    kt_x_fields_add(&x->fields, "x-kt-request-id", x->id);
    int status = x->status;
    kt_x_send_head(x, 200, -1);
    x->early = true;
    x->status = status;
    kt_x_fields_free(&x->fields);
    x->fields = targets;
}

static void on_timer(void *arg)
{
    struct kt_exchange *x = arg;
    const int64_t interval = x->rt->config->limits.keepalive_seconds;
    kt_x_enter(x);
    uint64_t now = kt_now_mono_ns();
    if (may_begin(x))
        begin(x);
    bool ours = x->early || (x->head_sent && x->mode == KT_X_STREAM);
    bool waits = now - x->sent_ns >= (uint64_t)interval * NS_PER_S || (x->early && !x->sent_ns);
    if (ours && waits && !x->over && x->sink.backlog(x->sink.flow) == 0)
        kt_x_send(x, KT_X_COMMENT, sizeof KT_X_COMMENT - 1);
    if (!x->over && interval > 0)
        arm(x, interval, waits || !x->sent_ns ? now : x->sent_ns);
    kt_x_leave(x);
}

void kt_x_keepalive_begin(struct kt_exchange *x)
{
    const struct kt_config *c = x->rt->config;
    if (c && x->parsed && x->chat.stream && c->limits.first_keepalive_seconds > 0)
        arm(x, c->limits.first_keepalive_seconds, kt_now_mono_ns());
}

void kt_x_keepalive_stream(struct kt_exchange *x)
{
    const struct kt_config *c = x->rt->config;
    if (c && c->limits.keepalive_seconds > 0)
        arm(x, c->limits.keepalive_seconds, kt_now_mono_ns());
}

void kt_x_keepalive_stop(struct kt_exchange *x)
{
    if (x->keepalive.due_ns)
        kt_loop_timer_set(x->ctx->loop, &x->keepalive, 0);
}
