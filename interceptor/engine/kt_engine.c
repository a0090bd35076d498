/* SPDX-License-Identifier: Apache-2.0 */
/* Birth and end of an engine. */
#include "interceptor/engine/kt_engine_private.h"

#include "interceptor/exchange/kt_prober.h"
#include "interceptor/upstream/kt_upstream.h"
#include "policyengine/base/kt_log.h"
#include "policyengine/detect/kt_pattern_cache.h"

#include <stdlib.h>
#include <string.h>

#define CHECK_NS 1000000000ull
#define STOP_MS 5000

static const char *ask(const struct kt_shim_host *host, const char *name)
{
    return host && host->env ? host->env(name) : getenv(name);
}

struct kt_engine_options kt_engine_options_from(const struct kt_shim_host *host)
{
    return (struct kt_engine_options){.config_paths = ask(host, "KT_POLICY_CONFIG"),
                                      .mode = ask(host, "KT_MODE"),
                                      .fail_mode = ask(host, "KT_FAIL_MODE"),
                                      .state_dir = ask(host, "KT_STATE_DIR"),
                                      .plan = ask(host, "KT_PLAN"),
                                      .trace = ask(host, "KT_TRACE"),
                                      .run = ask(host, "KT_RUN"),
                                      .run_state = ask(host, "KT_RUN_STATE"),
                                      .guard_thread = host ? host->guard_thread : NULL,
                                      .forked = host ? host->forked : NULL};
}

static kt_result copy(const char *from, char **to)
{
    *to = from && *from ? strdup(from) : NULL;
    return *to || !from || !*from ? kt_ok() : kt_err(KT_ERR_MEMORY);
}

static struct kt_runtime *current_runtime(void *engine)
{
    const struct kt_engine *e = engine;
    return kt_runtimes_get(e->runtimes);
}

/* Before the config is loaded: it may have something to report. The size limit of the files is the config's,
 * so that the log is opened again where it says otherwise. */
static void open_audit(struct kt_engine *e, uint64_t max_file_bytes)
{
    struct kt_error err = {KT_OK, ""};
    kt_audit_free(e->ctx.audit);
    e->ctx.audit = NULL;
    if (kt_audit_open(e->paths.state_dir, max_file_bytes, &e->ctx.audit, &err).code == KT_OK)
        return;
    e->ctx.audit = NULL;
    memcpy(e->ctx.audit_error, err.text, sizeof e->ctx.audit_error);
    kt_warn("no audit log can be written: %s", err.text);
}

static kt_result load(struct kt_engine *e, const struct kt_engine_options *o, struct kt_error *err)
{
    KT_GUARD(copy(o->config_paths, &e->config_paths));
    KT_GUARD(copy(o->mode, &e->mode));
    KT_GUARD(copy(o->fail_mode, &e->fail_mode));
    KT_GUARD(copy(o->plan, &e->plan));
    KT_GUARD(kt_paths_resolve(o->state_dir && *o->state_dir ? o->state_dir : NULL, &e->paths, err));
    kt_log_open(e->paths.state_dir);
    kt_pattern_cache_open(e->paths.state_dir, o->compiles);
    kt_event_set_run(o->run);
    if (o->trace)
        kt_trace_open(o->trace, e->paths.state_dir);
    kt_engine_tell_outer(o, e->paths.state_dir);
    open_audit(e, 0);
    const struct kt_runtimes_options ro = {.config_paths = e->config_paths,
                                           .mode = e->mode,
                                           .fail_mode = e->fail_mode,
                                           .check_ns = o->config_check_ns ? o->config_check_ns : CHECK_NS,
                                           .trouble = kt_engine_config_trouble,
                                           .owner = e};
    KT_GUARD(kt_runtimes_new(&ro, &e->runtimes));
    struct kt_runtime *rt = kt_runtimes_peek(e->runtimes);
    if (rt->config && rt->config->audit.max_file_bytes > 0 && e->ctx.audit)
        open_audit(e, (uint64_t)rt->config->audit.max_file_bytes);
    kt_runtime_unref(rt);
    return kt_ok();
}

kt_result kt_engine_new(const struct kt_engine_options *o, struct kt_engine **out, struct kt_error *err)
{
    struct kt_engine *e = calloc(1, sizeof *e);
    KT_ENSURE(e, KT_ERR_MEMORY);
    kt_engine_gate_init(e);
    kt_engine_leaving_init(e);
    e->ctx.runs = kt_run_keys_of(o->run);
    pthread_mutex_init(&e->lock, NULL);
    e->guard_thread = o->guard_thread;
    e->forked = o->forked;
    e->openssl = o->openssl;
    e->ctx.owner = e;
    e->ctx.lane = o->lane ? o->lane : "divert";
    e->ctx.runtime = current_runtime;
    kt_result r = load(e, o, err);
    if (r.code != KT_OK) {
        kt_engine_free(e);
        return err && err->text[0]
                   ? r
                   : kt_fail(err, r.code, "the engine cannot start: %s", kt_code_name(r.code));
    }
    *out = e;
    return kt_ok();
}

static void free_leaks(struct kt_engine *e)
{
    while (e->leaks) {
        struct kt_engine_leak *next = e->leaks->next;
        free(e->leaks);
        e->leaks = next;
    }
}

void kt_engine_free(struct kt_engine *e)
{
    if (!e || !kt_engine_stop(e, STOP_MS))
        return;
    kt_prober_free(e->prober);
    kt_otlp_free(e->otlp);
    kt_upstream_free(e->ctx.upstream);
    kt_flows_free(e->flows);
    kt_taps_free(e->taps);
    kt_loop_free(e->loop);
    kt_runtimes_free(e->runtimes);
    kt_audit_free(e->ctx.audit);
    kt_state_free(e->ctx.state);
    kt_ca_free(e->ca);
    free_leaks(e);
    free(e->config_paths);
    free(e->mode);
    free(e->fail_mode);
    free(e->plan);
    kt_engine_leaving_free(e);
    pthread_mutex_destroy(&e->lock);
    pthread_rwlock_destroy(&e->gate);
    free(e);
}

struct kt_runtime *kt_engine_runtime(struct kt_engine *e)
{
    return kt_runtimes_get(e->runtimes);
}

struct kt_state *kt_engine_state(struct kt_engine *e)
{
    pthread_mutex_lock(&e->lock);
    if (!e->ctx.state && !kt_is_ok(kt_state_open(e->paths.state_dir, &e->ctx.state)))
        e->ctx.state = NULL;
    struct kt_state *s = e->ctx.state;
    pthread_mutex_unlock(&e->lock);
    return s;
}

kt_result kt_engine_share(struct kt_engine *e, struct kt_engine_ctx *out)
{
    pthread_mutex_lock(&e->lock);
    kt_result r = e->ctx.state ? kt_ok() : kt_state_open(e->paths.state_dir, &e->ctx.state);
    *out = e->ctx;
    pthread_mutex_unlock(&e->lock);
    out->loop = NULL;
    out->upstream = NULL;
    return r;
}

void kt_engine_reload(struct kt_engine *e, bool force)
{
    kt_runtimes_look(e->runtimes, force);
}
