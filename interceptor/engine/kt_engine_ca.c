/* SPDX-License-Identifier: Apache-2.0 */
/* The CA of the process: that of its plan, so that a whole tree shares one; else one of its own, in memory.
 */
#include "interceptor/abi/kt_plan_key.h"
#include "interceptor/engine/kt_engine_private.h"

#include "policyengine/base/kt_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RENEW_SECONDS 60 /* a leaf that ends inside a handshake helps nobody */

static kt_result load_pair(const char *cert, struct kt_ca **out, struct kt_error *err)
{
    char key[4096];
    const char *slash = strrchr(cert, '/');
    KT_ENSURE(slash, KT_ERR_USAGE);
    int n = snprintf(key, sizeof key, "%.*s/ca.key", (int)(slash - cert), cert);
    KT_ENSURE(n > 0 && (size_t)n < sizeof key, KT_ERR_LIMIT);
    return kt_ca_load(cert, key, out, err);
}

static bool from_plan(const char *plan, struct kt_ca **out)
{
    char cert[4096];
    struct kt_error err = {KT_OK, ""};
    if (kt_plan_read_ca(plan, cert, sizeof cert).code != KT_OK)
        return false;
    if (load_pair(cert, out, &err).code == KT_OK) {
        KT_TRACE(TLS, "CA of plan %s", plan);
        return true;
    }
    kt_warn("the CA of plan %s cannot be used: %s", plan, err.text);
    return false;
}

/* The places where the shim looks, in its order. */
static bool from_plans(const struct kt_engine *e, struct kt_ca **out)
{
    char key[17], path[4096 + 32];
    if (e->plan && from_plan(e->plan, out))
        return true;
    kt_plan_key(e->config_paths, e->mode, e->fail_mode, key);
    snprintf(path, sizeof path, "%s/plan/%s", e->paths.state_dir, key);
    if (from_plan(path, out))
        return true;
    snprintf(path, sizeof path, "%s/%s", e->paths.runtime_dir, key);
    return from_plan(path, out);
}

static kt_result in_memory(struct kt_engine *e, struct kt_ca **out)
{
    struct kt_error err = {KT_OK, ""};
    struct kt_runtime *rt = kt_runtimes_peek(e->runtimes);
    struct kt_strings hosts = {(char **)(uintptr_t)kt_default_hosts, 0}; /* only read */
    while (kt_default_hosts[hosts.count])
        hosts.count++;
    kt_result r = kt_ca_new(rt->config ? &rt->config->intercept.hosts : &hosts, out, &err);
    kt_runtime_unref(rt);
    if (r.code != KT_OK)
        kt_warn("no CA can be made: %s", err.text);
    return r;
}

/* Lock held. Leaves and SSLs of the old one may still be in use. */
static void replace(struct kt_engine *e, struct kt_ca *fresh)
{
    if (e->ca)
        kt_engine_leak(e, e->ca, NULL, NULL);
    e->ca = fresh;
}

struct kt_ca *kt_engine_ca(struct kt_engine *e)
{
    pthread_mutex_lock(&e->lock);
    bool current =
        e->openssl == KT_OPENSSL_STUCK || (e->ca && kt_ca_expires(e->ca) > time(NULL) + RENEW_SECONDS);
    struct kt_ca *fresh = NULL;
    if (!current && (from_plans(e, &fresh) || in_memory(e, &fresh).code == KT_OK))
        replace(e, fresh);
    struct kt_ca *ca = e->ca;
    pthread_mutex_unlock(&e->lock);
    return ca;
}

struct kt_span kt_engine_ca_der(struct kt_engine *e)
{
    kt_engine_enter(e);
    const struct kt_ca *ca = kt_engine_ca(e);
    kt_engine_leave(e);
    return ca ? kt_ca_der(ca) : kt_span(NULL, 0);
}

kt_result kt_engine_make_plan(struct kt_engine *e, char *path, size_t size, struct kt_error *err)
{
    if (!kt_engine_usable(e))
        return kt_fail(err, KT_ERR_STATE, "OpenSSL cannot be used in this process");
    KT_CLEANUP(kt_cleanup_free)
    struct kt_plan_made *made = calloc(1, sizeof *made); /* big for a thread's stack */
    KT_ENSURE(made, KT_ERR_MEMORY);
    kt_engine_enter(e);
    struct kt_runtime *rt = kt_runtimes_get(e->runtimes);
    kt_result r =
        kt_plan_make(rt->config, e->config_paths, e->mode, e->fail_mode, &e->paths, false, made, err);
    kt_runtime_unref(rt);
    pthread_mutex_lock(&e->lock);
    struct kt_ca *fresh = NULL;
    if (r.code == KT_OK && !e->ca) /* one in use stays: the program's SSLs trust it */
        r = load_pair(made->ca_pem, &fresh, err);
    if (fresh)
        replace(e, fresh);
    pthread_mutex_unlock(&e->lock);
    if (r.code == KT_OK && strlen(made->path) >= size)
        r = kt_fail(err, KT_ERR_LIMIT, "the plan's path is too long");
    if (r.code == KT_OK)
        memcpy(path, made->path, strlen(made->path) + 1);
    kt_engine_leave(e);
    return r;
}
