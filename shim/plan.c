/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/plan.h"

#include "shim/config_text.h"
#include "shim/engine.h"
#include "shim/env.h"
#include "shim/fork.h"
#include "shim/guard.h"
#include "shim/lock.h"
#include "shim/names.h"
#include "shim/plan_file.h"
#include "shim/plan_path.h"
#include "shim/stack.h"
#include "shim/trace.h"

#include <pthread.h>
#include <string.h>

/* Static: pages that are never touched cost nothing, and pointers into it live for ever. */
static struct kt_plan_file own;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool ready, read_tried;

void kt_plan_lock(void)
{
    kt_lock(&lock);
}

void kt_plan_unlock(void)
{
    kt_unlock(&lock);
}

static bool read_one(void)
{
    char path[PATH_MAX];
    for (int i = 0; kt_plan_candidate(i, path, sizeof path); i++) {
        if (path[0] && kt_plan_file_load(&own, path)) {
            KT_TRACE_SHIM("plan %s, %u hosts", path, atomic_load(&own.plan.count));
            return true;
        }
    }
    return false;
}

static bool make_one(void)
{
    char path[PATH_MAX];
    const struct kt_engine_abi *engine = kt_engine_usable();
    if (!engine || engine->make_plan(path, sizeof path) != 0)
        return false;
    KT_TRACE_SHIM("plan %s was made", path);
    return kt_plan_file_load(&own, path);
}

static void built_in(void)
{
    const char *fail = kt_env_get("KT_FAIL_MODE"), *mode = kt_env_get("KT_MODE");
    kt_plan_file_builtin(&own, mode && strcmp(mode, "observe") == 0, fail && strcmp(fail, "allow") == 0);
    KT_TRACE_SHIM("no plan can be made: built-in hosts, mode %s, fail_mode %s",
                  own.plan.observe ? "observe" : "enforce", own.plan.fail_allow ? "allow" : "block");
}

struct search {
    enum kt_plan_want want;
    bool ok;
};

static void search(void *arg)
{
    struct search *s = arg;
    s->ok = atomic_load(&ready) || read_one();
    atomic_store(&read_tried, true);
    if (!s->ok && s->want == KT_PLAN_MAKE) {
        if (!make_one())
            built_in();
        s->ok = true;
    }
}

bool kt_plan_ready(enum kt_plan_want want)
{
    if (atomic_load_explicit(&ready, memory_order_acquire))
        return true;
    if (want == KT_PLAN_LOADED || (want == KT_PLAN_READ && atomic_load(&read_tried)))
        return false;
    kt_fork_register();
    int saved = kt_guard_enter();
    kt_lock(&lock);
    struct search s = {want, false};
    if (!kt_stack_call(search, &s) && want == KT_PLAN_MAKE) {
        built_in();
        s.ok = true;
    }
    if (s.ok)
        atomic_store_explicit(&ready, true, memory_order_release);
    kt_unlock(&lock);
    kt_guard_leave(saved);
    return s.ok;
}

bool kt_plan_ready_for_local(void)
{
    return kt_plan_ready(KT_PLAN_READ) || (kt_config_names_local() && kt_plan_ready(KT_PLAN_MAKE));
}

static void fill(const struct kt_plan_entry *e, struct kt_host *out)
{
    out->name = kt_plan_name(&own.plan, e);
    out->addr = e->addr;
    out->literal = kt_plan_is_literal(&own.plan, e);
}

static const struct kt_plan_entry *give(const char *name)
{
    int saved = kt_guard_enter();
    kt_lock(&lock);
    const struct kt_plan_entry *e = kt_plan_file_add(&own, name);
    kt_unlock(&lock);
    kt_guard_leave(saved);
    return e;
}

enum kt_host_kind kt_plan_host(const char *name, enum kt_plan_want want, bool give_address,
                               struct kt_host *out)
{
    char plain[KT_NAME_MAX];
    memset(out, 0, sizeof *out);
    if (!name || kt_name_is_address(name) || !kt_name_normalise(name, plain))
        return KT_HOST_OTHER;
    /* A local name may be intercepted (a model server on this machine), but alone it is no reason to make a
     * plan. */
    bool local = want == KT_PLAN_MAKE && !kt_name_is_remote(name);
    if (!(local ? kt_plan_ready_for_local() : kt_plan_ready(want)) || kt_plan_excludes(&own.plan, plain))
        return KT_HOST_OTHER;
    const struct kt_plan_entry *e = kt_plan_by_name(&own.plan, plain);
    if (!e) {
        if (!kt_plan_wild(&own.plan, plain))
            return KT_HOST_OTHER;
        if (give_address)
            e = give(plain);
    }
    if (e)
        fill(e, out);
    return KT_HOST_OURS;
}

bool kt_plan_synthetic(uint32_t addr, struct kt_host *out)
{
    if (!kt_plan_ready(KT_PLAN_MAKE))
        return false;
    const struct kt_plan_entry *e = kt_plan_by_addr(&own.plan, addr);
    if (!e) {
        int saved = kt_guard_enter();
        kt_lock(&lock);
        kt_plan_file_refresh(&own);
        kt_unlock(&lock);
        kt_guard_leave(saved);
        e = kt_plan_by_addr(&own.plan, addr);
    }
    if (e)
        fill(e, out);
    return e != NULL;
}

bool kt_plan_literal(const uint8_t ip[16], struct kt_host *out)
{
    const struct kt_plan_entry *e = kt_plan_ready(KT_PLAN_LOADED) ? kt_plan_by_ip(&own.plan, ip) : NULL;
    if (e)
        fill(e, out);
    return e != NULL;
}

bool kt_plan_has_literals(void)
{
    return kt_plan_ready(KT_PLAN_LOADED) && own.plan.literal_count > 0;
}

bool kt_plan_fail_allows(void)
{
    return kt_plan_ready(KT_PLAN_LOADED) && (own.plan.fail_allow || own.plan.observe);
}

bool kt_plan_observes(void)
{
    return kt_plan_ready(KT_PLAN_LOADED) && own.plan.observe;
}

const char *kt_plan_ca_path(void)
{
    return kt_plan_ready(KT_PLAN_LOADED) && own.plan.ca ? own.plan.text + own.plan.ca : NULL;
}
