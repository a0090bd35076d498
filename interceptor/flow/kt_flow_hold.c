/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer that comes while its request is still being written goes into the next read's buffer, instead of
 * through TLS and the kernel to the same thread. In between nothing stands in the connection, so this is for
 * programs only that read behind a write without asking the connection first, in a read that sleeps and in
 * the thread that wrote. A read tells whether it sleeps; whether the program asked before it, the first tries
 * tell. Where no read comes within some milliseconds the bytes leave over the connection, as if they had been
 * late, and that is remembered.
 */
#include "interceptor/flow/kt_flow_private.h"

#include "interceptor/loop/kt_fds.h"

#include <sys/timerfd.h>
#include <unistd.h>

#define PATIENCE_NS 4000000u
#define MISSES_MAX 8      /* of a flow; then it is left alone */
#define HOLD_BYTES 16384u /* no read takes more */
/* What all flows may lose by tries: three in a row, and one more for each 64 reads that came. */
#define TRIES (3 * A_TRY)
#define A_TRY 64

/* A timer of the loop's own would wake the loop's thread each time, only to sleep for less long. This one is
 * not stopped where the read comes, either: that costs more than to find nothing. */
static bool set_clock(struct kt_flows *fs)
{
    const struct itimerspec in = {.it_value.tv_nsec = PATIENCE_NS};
    fs->ticks = fs->ticks || timerfd_settime(fs->hold_watch.fd, 0, &in, NULL) == 0;
    return fs->ticks;
}

static void missed(struct kt_flow *f)
{
    f->sure = false;
    f->misses++;
    f->fs->lost += A_TRY;
    kt_flow_hold_drop(f);
    kt_flow_defer(f, KT_WORK_FLUSH);
}

static void on_clock(void *flows, uint32_t events)
{
    struct kt_flows *fs = flows;
    uint64_t now = kt_now_mono_ns(), ticks;
    (void)events;
    if (read(fs->hold_watch.fd, &ticks, sizeof ticks) != (ssize_t)sizeof ticks)
        return;
    fs->ticks = false;
    for (struct kt_flow *f = fs->first; f && fs->held > 0; f = f->next)
        if (atomic_load(&f->held) && now - f->held_ns >= PATIENCE_NS)
            missed(f);
    if (fs->held > 0 && !set_clock(fs))
        for (struct kt_flow *f = fs->first; f; f = f->next)
            if (atomic_load(&f->held))
                missed(f);
}

static bool start_clock(struct kt_flows *fs)
{
    if (!fs->hold_watch.fn) {
        int fd = kt_own_fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
        if (fd < 0)
            return false;
        fs->hold_watch = (struct kt_loop_watch){.fd = fd, .fn = on_clock, .arg = fs};
        if (!kt_is_ok(kt_loop_watch_set(fs->loop, &fs->hold_watch, EPOLLIN))) {
            kt_disown_close(fd);
            fs->hold_watch.fn = NULL;
            return false;
        }
    }
    return set_clock(fs);
}

void kt_flow_hold_close(struct kt_flows *fs)
{
    if (!fs->hold_watch.fn)
        return;
    kt_loop_watch_drop(fs->loop, &fs->hold_watch);
    kt_disown_close(fs->hold_watch.fd);
    fs->hold_watch.fn = NULL;
    fs->ticks = false;
}

void kt_flow_hold_learn(struct kt_flow *f)
{
    if (atomic_load(&f->writer) == (unsigned long)pthread_self())
        atomic_store(&f->reads, true);
}

void kt_flow_hold_begin(struct kt_flow *f)
{
    bool tries = f->fs->lost < TRIES && f->misses < MISSES_MAX;
    if (f->phase == KT_PHASE_OPEN && atomic_load(&f->reads) && (f->sure || tries))
        f->holds = true;
}

void kt_flow_hold_settle(struct kt_flow *f)
{
    if (!f->holds || atomic_load(&f->held))
        return;
    bool some = f->phase == KT_PHASE_OPEN && !f->failed && kt_flow_backlog(f) > f->out_held;
    if (some && start_clock(f->fs)) {
        f->held_ns = kt_now_mono_ns();
        f->fs->held++;
        atomic_store(&f->held, true);
        return;
    }
    f->holds = false;
    if (some)
        kt_flow_defer(f, KT_WORK_FLUSH);
}

void kt_flow_hold_took(struct kt_flow *f)
{
    f->sure = f->misses < MISSES_MAX;
    if (f->fs->lost > 0)
        f->fs->lost--;
}

bool kt_flow_hold_on(struct kt_flow *f)
{
    if (f->holds && kt_flow_backlog(f) > HOLD_BYTES)
        kt_flow_hold_drop(f);
    return f->holds;
}

void kt_flow_hold_drop(struct kt_flow *f)
{
    f->holds = false;
    if (atomic_exchange(&f->held, false))
        f->fs->held--;
}
