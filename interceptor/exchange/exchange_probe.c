/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/exchange/kt_prober.h"

#include "interceptor/exchange/kt_exchange_private.h"
#include "policyengine/base/kt_log.h"

#include <stdlib.h>

#define LOOK_AGAIN_MS 60000 /* where nothing wants to be probed: the config may have changed */
#define LEASE_GRACE_MS 2000
#define KEYS_AGAIN_MS 1000

struct probe {
    struct kt_prober *prober;
    struct kt_call *call;
    struct kt_tstate *state;
    uint64_t key;
    struct probe *next;
};

struct kt_prober {
    struct kt_engine_ctx *ctx;
    struct kt_timer timer;
    struct probe *running;
};

bool kt_probe_status_ok(int status)
{
    return status >= 200 && status < 500 && status != 401 && status != 403 && status != 408;
}

/* The call is over, or released. */
static void finish(struct probe *p, bool ok, int status)
{
    struct probe **at = &p->prober->running;
    while (*at && *at != p)
        at = &(*at)->next;
    if (*at)
        *at = p->next;
    kt_probe_set(p->state, ok, status, kt_state_now_ms());
    free(p);
}

static void on_head(void *arg, const struct kt_call_head *head)
{
    struct probe *p = arg;
    kt_call_release(p->call); /* the list itself is read away */
    finish(p, kt_probe_status_ok(head->status), head->status);
}

static void on_data(void *arg, const char *data, size_t len)
{
    (void)arg, (void)data, (void)len;
}

static void on_done(void *arg, enum kt_call_outcome outcome, const char *detail)
{
    KT_TRACE(ROUTE, "probe: %s (%s)", kt_call_outcome_name(outcome), detail ? detail : "");
    finish(arg, false, 0);
}

static kt_result launch(struct probe *p, const struct kt_target *t, const char *key, int64_t total_ms)
{
    KT_CLEANUP(kt_x_outgoing_free) struct kt_x_outgoing out;
    kt_x_outgoing_init(&out);
    KT_GUARD(kt_x_outgoing_target(&out, t, "/models", key, false));
    struct kt_call_request q = {
        .method = "GET", .ca_file = t->tls.ca_file, .connect_ms = total_ms, .total_ms = total_ms};
    kt_x_outgoing_fill(&out, &q);
    struct kt_call_handler h = {on_head, on_data, on_done, p};
    return kt_upstream_call(p->prober->ctx->upstream, &q, &h, &p->call);
}

/* Without a key there is nothing to learn: the target is skipped for that already. */
static void start(struct kt_prober *prober, const struct kt_target *t, struct kt_tstate *state, uint64_t id,
                  int64_t timeout_ms)
{
    char *key = NULL;
    struct probe *p = calloc(1, sizeof *p);
    if (p && kt_is_ok(kt_secret_resolve(t, &key, NULL))) {
        *p = (struct probe){.prober = prober, .state = state, .key = id, .next = prober->running};
        prober->running = p;
        if (!kt_is_ok(launch(p, t, key, timeout_ms)))
            finish(p, false, 0);
    } else {
        free(p);
    }
    kt_free_secret(key);
}

static bool is_running(const struct kt_prober *prober, uint64_t id)
{
    for (const struct probe *p = prober->running; p; p = p->next)
        if (p->key == id)
            return true;
    return false;
}

/* Milliseconds until this target has to be looked at again. */
static int64_t look_at(struct kt_prober *prober, const struct kt_target *t, const struct kt_probe_rules *r,
                       uint64_t now_ms)
{
    const int64_t interval_ms = r->interval_ms;
    const int64_t lease_ms = interval_ms + r->timeout_ms + LEASE_GRACE_MS;
    uint64_t id = kt_target_key(t);
    struct kt_tstate *state = kt_state_target(prober->ctx->state, id, now_ms);
    struct kt_probe last = kt_probe_get(state, now_ms);
    if (last.known && last.age_ms < (uint64_t)interval_ms)
        return interval_ms - (int64_t)last.age_ms;
    if (state && !is_running(prober, id) && kt_lease_take(state, now_ms, lease_ms))
        start(prober, t, state, id, r->timeout_ms);
    return interval_ms;
}

static void tick(void *arg)
{
    struct kt_prober *prober = arg;
    struct kt_runtime *rt = prober->ctx->runtime(prober->ctx->owner);
    const struct kt_config *c = rt ? rt->config : NULL;
    int64_t next_ms = LOOK_AGAIN_MS;
    uint64_t now_ms = kt_state_now_ms();
    kt_state_check(prober->ctx->state, now_ms);
    bool wanted = c && c->has_providers && c->pack.enabled && rt->mode == KT_MODE_ENFORCE;
    if (wanted && kt_secrets_pending(c)) { /* a key is on its way: nobody waits for it here */
        wanted = false;
        next_ms = KEYS_AGAIN_MS;
    }
    for (size_t i = 0; wanted && i < c->providers.target_count; i++) {
        const struct kt_target *t = &c->providers.targets[i];
        struct kt_probe_rules r = kt_probe_rules_of(c, t);
        int64_t ms = r.enabled ? look_at(prober, t, &r, now_ms) : next_ms;
        next_ms = ms < next_ms ? ms : next_ms;
    }
    kt_runtime_unref(rt);
    uint64_t pause_ns = (uint64_t)(next_ms > 10 ? next_ms : 10) * 1000000u;
    kt_loop_timer_set(prober->ctx->loop, &prober->timer, kt_now_mono_ns() + pause_ns);
}

kt_result kt_prober_new(struct kt_engine_ctx *ctx, struct kt_prober **out)
{
    *out = calloc(1, sizeof **out);
    KT_ENSURE(*out, KT_ERR_MEMORY);
    (*out)->ctx = ctx;
    (*out)->timer.fn = tick;
    (*out)->timer.arg = *out;
    kt_loop_timer_set(ctx->loop, &(*out)->timer, kt_now_mono_ns() + KT_PROBER_FIRST_MS * 1000000ull);
    return kt_ok();
}

void kt_prober_free(struct kt_prober *p)
{
    if (!p)
        return;
    while (p->running) {
        struct probe *next = p->running->next;
        kt_call_cancel(p->running->call);
        kt_lease_drop(p->running->state);
        free(p->running);
        p->running = next;
    }
    kt_loop_timer_set(p->ctx->loop, &p->timer, 0);
    free(p);
}
