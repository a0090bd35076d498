/* SPDX-License-Identifier: Apache-2.0 */
/* Events that are no exchange's: what the shim or a flow saw, and configs that cannot be used. */
#include "interceptor/engine/kt_engine_private.h"

#include "interceptor/abi/kt_plan_format.h"
#include "policyengine/base/kt_log.h"

#include <stdio.h>
#include <string.h>

#define THROTTLE_NS 60000000000ull

/* That so many like the last event of the host were left out. */
static void tell_more(struct kt_engine *e, const char *host, unsigned more)
{
    char text[96];
    snprintf(text, sizeof text, "%u more like the last of this host, within a minute of it", more);
    struct kt_event ev;
    memset(&ev, 0, sizeof ev);
    ev.event_type = "unseen";
    ev.verdict = "block";
    ev.reason_code = "not_captured";
    ev.origin = host;
    ev.message = text;
    kt_engine_write_event(e, &ev);
}

/* True where this kind of event for this host was not written within the last minute; `more`: how many were
 * left out till now. Forgets the oldest where too many differ, and says how many of it were left out. */
static bool due(struct kt_engine *e, const char *type, const char *host, unsigned *more)
{
    struct kt_engine_throttle forgotten = {0};
    uint64_t now = kt_now_mono_ns(),
             key = kt_fnv1a(kt_fnv1a(KT_FNV_SEED, type, strlen(type) + 1), host, strlen(host));
    size_t slot = 0;
    pthread_mutex_lock(&e->lock);
    for (size_t i = 0; i < KT_ENGINE_THROTTLE; i++) {
        if (e->throttle[i].key == key) {
            slot = i;
            break;
        }
        if (e->throttle[i].until_ns < e->throttle[slot].until_ns)
            slot = i;
    }
    struct kt_engine_throttle *t = &e->throttle[slot];
    bool yes = t->key != key || now >= t->until_ns;
    *more = yes && t->key == key ? t->more : 0;
    if (t->key != key)
        forgotten = *t;
    t->more = yes || strcmp(type, "refused") != 0 ? 0 : t->more + 1;
    if (yes) {
        t->key = key;
        t->until_ns = now + THROTTLE_NS;
        snprintf(t->host, sizeof t->host, "%s", host);
    }
    pthread_mutex_unlock(&e->lock);
    if (forgotten.more)
        tell_more(e, forgotten.host, forgotten.more);
    return yes;
}

/* audit-logger decides whether events are chained to each other and how long they stay; only a run of the
 * chain can tell. */
static void keep(const struct kt_runtime *rt, struct kt_event *ev)
{
    struct kt_chain_run *run = NULL;
    if (!rt->chain || kt_chain_run_new(rt->chain, KT_PHASE_REQUEST, true, NULL, &run).code != KT_OK)
        return;
    bool done = kt_chain_run_end(run) != KT_STEP_ERROR;
    struct kt_outcome o = kt_chain_run_outcome(run);
    ev->immutable = done && o.immutable;
    ev->retention_days = done ? o.retention_days : 0;
    kt_chain_run_free(run);
}

void kt_engine_write_event(struct kt_engine *e, struct kt_event *ev)
{
    struct kt_error err = {KT_OK, ""};
    struct kt_runtime *rt = e->runtimes ? kt_runtimes_peek(e->runtimes) : NULL;
    if (rt) {
        ev->mode = rt->mode == KT_MODE_OBSERVE ? "observe" : "enforce";
        keep(rt, ev);
    }
    if (rt && rt->config) {
        ev->config.name = rt->config->pack.name;
        ev->config.version = rt->config->pack.version;
        ev->config.sha256 = rt->config->sha256;
    }
    ev->cost_usd = -1;
    if (!ev->timestamp_ns) {
        ev->timestamp_ns = kt_now_real_ns();
        kt_event_fill_app(ev);
    }
    if (!e->ctx.audit)
        kt_fail(&err, KT_ERR_IO, "%s", e->ctx.audit_error);
    else if (kt_event_new_id(ev->id).code == KT_OK)
        (void)!kt_is_ok(kt_audit_append(e->ctx.audit, ev, &err));
    if (err.code != KT_OK) {
        kt_warn("an audit event (%s) was lost: %s", ev->event_type, err.text);
        kt_state_event_lost(kt_engine_state(e));
    }
    kt_runtime_unref(rt);
}

static void format_origin(char *out, size_t size, const char *host, uint16_t port)
{
    bool v6 = strchr(host, ':') != NULL;
    if (port)
        snprintf(out, size, v6 ? "[%s]:%u" : "%s:%u", host, port);
    else
        snprintf(out, size, "%s", host);
}

/* Of a request that was refused before it became an exchange. */
static const char *refusal(int status)
{
    switch (status) {
    case 413:
        return "request_too_large";
    case 426:
        return "websocket_not_supported";
    case 503:
        return "engine_out_of_memory";
    default:
        return "invalid_http_request";
    }
}

void kt_engine_event(void *engine, const char *event_type, const char *host, uint16_t port, int status,
                     const char *message)
{
    struct kt_engine *e = engine;
    char origin[300];
    unsigned more;
    bool distrusts = strcmp(event_type, "client_distrusts") == 0;
    if (distrusts && !due(e, event_type, host, &more))
        return;
    format_origin(origin, sizeof origin, host, port);
    struct kt_event ev;
    memset(&ev, 0, sizeof ev);
    ev.event_type = event_type;
    bool refused = strcmp(event_type, "request_refused") == 0;
    ev.verdict = refused && status == 426 ? "block" : "error";
    ev.reason_code = refused ? refusal(status) : event_type;
    ev.origin = origin;
    ev.status = status;
    ev.message = message;
    kt_engine_write_event(e, &ev);
    if (distrusts)
        kt_warn("%s: %s", origin, message);
}

void kt_engine_report_more(struct kt_engine *e)
{
    for (size_t i = 0; i < KT_ENGINE_THROTTLE; i++) {
        struct kt_engine_throttle *t = &e->throttle[i];
        char host[sizeof t->host];
        pthread_mutex_lock(&e->lock);
        unsigned more = t->more;
        t->more = 0;
        memcpy(host, t->host, sizeof host);
        pthread_mutex_unlock(&e->lock);
        if (more)
            tell_more(e, host, more);
    }
}

void kt_engine_report(struct kt_engine *e, enum kt_abi_event what, const char *host, const char *detail)
{
    kt_engine_report_of(e, NULL, what, host, detail);
}

void kt_engine_report_of(struct kt_engine *e, const struct kt_event_program *program, enum kt_abi_event what,
                         const char *host, const char *detail)
{
    bool refused = what == KT_ABI_REFUSED;
    unsigned more = 0;
    char counted[400];
    kt_engine_enter(e);
    if (refused && !due(e, "refused", host, &more)) { /* programs try again and again */
        kt_engine_leave(e);
        return;
    }
    if (more) {
        snprintf(counted, sizeof counted, "%s; %u more since the last event", detail, more);
        detail = counted;
    }
    if (what == KT_ABI_GIVEN && kt_engine_give(e, host)) {
        kt_engine_leave(e);
        return;
    }
    struct kt_event ev;
    memset(&ev, 0, sizeof ev);
    bool cut = what == KT_ABI_CUT || what == KT_ABI_GIVEN, unseen = what != KT_ABI_TRUST_FAILED && !cut;
    ev.timestamp_ns = kt_now_real_ns();
    kt_event_fill_app(&ev);
    kt_event_fill_program(&ev, program);
    ev.event_type = cut ? "interrupted" : unseen ? "unseen" : "trust_failed";
    ev.verdict = !unseen ? "error" : what == KT_ABI_PASSED ? "allow" : "block";
    ev.reason_code = cut ? "cut_off" : unseen ? "not_captured" : "trust_failed";
    ev.origin = host;
    ev.message = detail;
    kt_engine_write_event(e, &ev);
    kt_engine_leave(e);
}

/* Also called while the engine is being made: no runtime is current then. */
void kt_engine_config_trouble(void *engine, const char *text)
{
    struct kt_engine *e = engine;
    struct kt_event ev;
    memset(&ev, 0, sizeof ev);
    ev.event_type = "config_error";
    ev.verdict = "error";
    ev.reason_code = "config_unusable";
    ev.message = text;
    kt_engine_write_event(e, &ev);
    kt_warn("the policy config cannot be used: %s", text);
}
