/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/engine/kt_engine_entry.h"

#include "interceptor/engine/kt_engine_private.h"
#include "interceptor/loop/kt_fds.h"
#include "policyengine/base/kt_environ.h"
#include "policyengine/base/kt_log.h"

#include <openssl/ssl.h>
#include <stdlib.h>

#define EXIT_STOP_MS 500

/* Written once, in start, before the shim calls anything else. */
static struct kt_engine *engine;

/* Nothing is freed: threads of the program may still be inside, and memory goes with the process anyway. */
static void at_exit(void)
{
    if (!kt_engine_stop(engine, EXIT_STOP_MS))
        kt_warn("the event thread did not end in time; an event may be missing");
}

/* Without a digest there is no event. */
static void say_mute(const struct kt_engine_options *o)
{
    struct kt_error err = {KT_OK, ""};
    struct kt_paths paths;
    const char *dir = o->state_dir && *o->state_dir ? o->state_dir : NULL;
    if (kt_paths_resolve(dir, &paths, &err).code == KT_OK)
        kt_log_open(paths.state_dir);
    kt_warn("%s",
            "OpenSSL is of no use in this process, as a thread of its parent was inside of it at the fork: "
            "its calls are not captured, and have no event");
}

int kt_entry_start(const struct kt_shim_host *host)
{
    struct kt_error err = {KT_OK, ""};
    if (engine)
        return 0;
    if (!host || host->version != KT_ABI_VERSION || host->size < sizeof *host)
        return -1;
    kt_fds_set_protector(host->own_fd);
    kt_audit_set_fds(&(struct kt_audit_fds){kt_own_fd, kt_disown_close, host->audit_fd});
    kt_environ_use(host->environ_lock, host->environ_unlock);
    if (host->env("KT_SUPERVISED"))
        kt_state_on_lost(kt_engine_tell_supervisor);
    struct kt_engine_options o = kt_engine_options_from(host);
    if (host->forked())
        o.openssl = kt_openssl_after_fork(host->guard_thread);
    if (o.openssl == KT_OPENSSL_STUCK && !kt_digest_after_fork(host->guard_thread)) {
        say_mute(&o);
        return -1;
    }
    /* First, so that its clean-up at exit runs after ours: handlers run in reverse order. */
    if (o.openssl == KT_OPENSSL_GOOD && OPENSSL_init_ssl(0, NULL) != 1)
        return -1;
    if (kt_engine_new(&o, &engine, &err).code != KT_OK) {
        kt_warn("%s", err.text);
        return -1;
    }
    atexit(at_exit);
    return 0;
}

int kt_entry_make_plan(char *path, size_t size)
{
    struct kt_error err = {KT_OK, ""};
    if (kt_engine_make_plan(engine, path, size, &err).code == KT_OK)
        return 0;
    kt_warn("no plan can be made: %s", err.text);
    return -1;
}

int kt_entry_usable(void)
{
    return kt_engine_usable(engine);
}

int kt_entry_adopt(int fd, const struct kt_abi_origin *origin)
{
    return kt_engine_adopt(engine, fd, origin->host, origin->port).code == KT_OK ? 0 : -1;
}

size_t kt_entry_ca_der(const uint8_t **der)
{
    struct kt_span s = kt_engine_ca_der(engine);
    *der = (const uint8_t *)s.data;
    return s.len;
}

struct kt_abi_flow *kt_entry_flow_by_random(const uint8_t random[32])
{
    return (struct kt_abi_flow *)kt_engine_flow_by_random(engine, random);
}

ssize_t kt_entry_flow_write(struct kt_abi_flow *flow, const void *data, size_t len)
{
    return kt_engine_flow_write(engine, (struct kt_flow *)flow, data, len);
}

int kt_entry_flow_wait(struct kt_abi_flow *flow, enum kt_abi_wait how, uint64_t taken, void *buf, size_t *len)
{
    static const enum kt_flow_wait same[] = {[KT_ABI_WAIT_BEGIN] = KT_FLOW_WAIT_BEGIN,
                                             [KT_ABI_WAIT_READY] = KT_FLOW_WAIT_READY,
                                             [KT_ABI_WAIT_END] = KT_FLOW_WAIT_END};
    return kt_engine_flow_wait(engine, (struct kt_flow *)flow, same[how], taken, buf, len);
}

void kt_entry_flow_release(struct kt_abi_flow *flow)
{
    kt_flow_release((struct kt_flow *)flow);
}

int kt_entry_handoff_enabled(void)
{
    return !kt_trace_switch("no-handoff");
}

int kt_entry_tap_enabled(void)
{
    return !kt_trace_switch("no-tap") && kt_engine_taps(engine);
}

uint64_t kt_entry_tap_open(const struct kt_abi_origin *origin, int tls)
{
    return kt_engine_tap_open(engine, origin->host, origin->port, tls);
}

void kt_entry_tap_data(uint64_t tap, enum kt_abi_dir dir, const void *data, size_t len)
{
    kt_engine_tap_data(engine, tap, dir == KT_ABI_OUT ? KT_TAP_OUT : KT_TAP_IN, data, len);
}

void kt_entry_tap_close(uint64_t tap)
{
    kt_engine_tap_close(engine, tap);
}

void kt_entry_settle(enum kt_abi_leave how)
{
    kt_engine_settle(engine, how);
}

void kt_entry_report(enum kt_abi_event what, const char *host, const char *detail)
{
    kt_engine_report(engine, what, host, detail);
}

void kt_entry_note_unseen(const char *host, uint16_t port)
{
    kt_engine_note_unseen(engine, host, port);
}

int kt_entry_shares_fds(void)
{
    return kt_engine_shares_fds(engine);
}

int kt_entry_split(void)
{
    return kt_engine_split(engine) ? 0 : -1;
}

int kt_entry_fork_prepare(void)
{
    return kt_engine_fork_prepare(engine) ? 0 : -1;
}

void kt_entry_fork_parent(void)
{
    kt_engine_fork_parent(engine);
}

void kt_entry_fork_child(void)
{
    kt_engine_fork_child(engine);
}
