/* SPDX-License-Identifier: Apache-2.0 */
/* How long a door waits for its clients. A request that comes in one piece costs no timer operation: the
 * timer runs late and looks at the times. */
#include "interceptor/flow/kt_flow_private.h"

#include "policyengine/base/kt_log.h"

static bool in_request(const struct kt_flow *f)
{
    return atomic_load(&f->input) == KT_INPUT_OPEN && f->parser && !kt_http_idle(f->parser);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When the flow's patience ends, as things stand. */
static uint64_t due(const struct kt_flow *f, uint64_t now)
{
    const struct kt_flow_door *d = f->fs->o.door;
    if (f->request_ns && kt_http_in_head(f->parser))
        return f->request_ns + d->head_ns;
    if (f->request_ns)
        return earlier(f->request_ns + d->request_ns, f->moved_ns + d->piece_ns);
    if (kt_flow_backlog(f) > f->out_held)
        return f->moved_ns + d->stall_ns;
    if (atomic_load(&f->input) == KT_INPUT_OPEN)
        return f->moved_ns + d->idle_ns;
    return now + d->stall_ns; /* an exchange is under way: its own limits hold */
}

static void tick(void *flow)
{
    struct kt_flow *f = flow;
    uint64_t now = kt_now_mono_ns(), at = due(f, now);
    if (at > now) {
        kt_loop_timer_set(f->fs->loop, &f->timer, at);
        return;
    }
    KT_TRACE(FLOW, "%s: the client was too slow%s", f->host, f->request_ns ? " with its request" : "");
    kt_flow_close(f);
}

void kt_flow_clock_start(struct kt_flow *f)
{
    const struct kt_flow_door *d = f->fs->o.door;
    if (d) {
        f->timer.fn = tick;
        f->moved_ns = kt_now_mono_ns();
    }
    kt_loop_timer_set(f->fs->loop, &f->timer, d ? f->moved_ns + d->idle_ns : 0);
}

void kt_flow_clock_read(struct kt_flow *f)
{
    if (!f->fs->o.door || f->phase != KT_PHASE_OPEN)
        return;
    bool began = in_request(f);
    f->moved_ns = kt_now_mono_ns();
    if (!began) {
        f->request_ns = 0;
        return;
    }
    if (!f->request_ns)
        f->request_ns = f->moved_ns;
    kt_loop_timer_set(f->fs->loop, &f->timer, due(f, f->moved_ns));
}

void kt_flow_clock_stall(struct kt_flow *f)
{
    if (f->fs->o.door)
        kt_loop_timer_set(f->fs->loop, &f->timer, kt_now_mono_ns() + f->fs->o.door->stall_ns);
}
