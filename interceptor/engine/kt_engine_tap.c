/* SPDX-License-Identifier: Apache-2.0 */
/* The tap lane's way into the engine. */
#include "interceptor/engine/kt_engine_private.h"

#include "policyengine/base/kt_log.h"

#include <stdatomic.h>
#include <stdio.h>

bool kt_engine_taps(struct kt_engine *e)
{
    kt_engine_enter(e);
    struct kt_runtime *rt = kt_runtimes_get(e->runtimes);
    bool yes = rt->mode == KT_MODE_OBSERVE; /* without a config or a log too: nothing may be altered */
    kt_runtime_unref(rt);
    kt_engine_leave(e);
    return yes;
}

/* NULL = none. Valid while the caller is inside. */
static struct kt_taps *taps_of(struct kt_engine *e)
{
    pthread_mutex_lock(&e->lock);
    struct kt_taps *taps = e->stopped ? NULL : e->taps;
    pthread_mutex_unlock(&e->lock);
    return taps;
}

uint64_t kt_engine_tap_open(struct kt_engine *e, const char *host, uint16_t port, bool tls)
{
    kt_engine_enter(e);
    pthread_mutex_lock(&e->lock);
    kt_result r = kt_engine_start(e);
    pthread_mutex_unlock(&e->lock);
    struct kt_taps *taps = r.code == KT_OK ? taps_of(e) : NULL;
    uint64_t id = taps ? kt_tap_open(taps, host, port, tls) : 0;
    if (r.code != KT_OK) {
        char why[160];
        snprintf(why, sizeof why, "a connection to port %u is not looked at: %s", port, kt_code_name(r.code));
        kt_warn("%s: %s", host, why);
        kt_engine_report(e, KT_ABI_PASSED, host, why);
    }
    kt_engine_leave(e);
    return id;
}

/* By a handler of exit, say, on a connection of before. */
static void report_late(struct kt_engine *e)
{
    static atomic_flag told = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&told))
        kt_engine_report(e, KT_ABI_PASSED, "unknown", "a call that began behind the end of the engine");
}

void kt_engine_tap_data(struct kt_engine *e, uint64_t tap, enum kt_tap_dir dir, const void *data, size_t len)
{
    kt_engine_enter(e);
    struct kt_taps *taps = taps_of(e);
    if (taps)
        kt_tap_data(taps, tap, dir, data, len);
    else if (dir == KT_TAP_OUT)
        report_late(e);
    kt_engine_leave(e);
}

void kt_engine_tap_close(struct kt_engine *e, uint64_t tap)
{
    kt_engine_enter(e);
    struct kt_taps *taps = taps_of(e);
    if (taps)
        kt_tap_close(taps, tap);
    kt_engine_leave(e);
}
