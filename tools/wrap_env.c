/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/wrap_env.h"

#include "policyengine/base/kt_log.h"
#include "tools/kt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENV_MAX (256u << 10)

static kt_result set(const char *name, const char *value)
{
    return setenv(name, value, 1) == 0 ? kt_ok() : kt_err(KT_ERR_MEMORY);
}

/* Ours goes first and the program's own entries stay; a second `kt wrap` adds nothing. */
static kt_result set_preload(const char *libkt)
{
    const char *old = getenv("LD_PRELOAD");
    if (!old || !*old)
        return set("LD_PRELOAD", libkt);
    if (strstr(old, libkt))
        return kt_ok();
    KT_CLEANUP(kt_buf_free) struct kt_buf b = KT_BUF_INIT(ENV_MAX);
    KT_GUARD(kt_buf_printf(&b, "%s:%s", libkt, old));
    return set("LD_PRELOAD", b.data);
}

static bool proxy_configured(void)
{
    static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY",
                                        "HTTP_PROXY", "all_proxy",   "ALL_PROXY"};
    for (size_t i = 0; i < KT_COUNT(names); i++) {
        const char *v = getenv(names[i]);
        if (v && *v)
            return true;
    }
    return false;
}

static kt_result add_no_proxy(const char *name, const struct kt_config *c)
{
    const char *old = getenv(name);
    KT_CLEANUP(kt_buf_free) struct kt_buf b = KT_BUF_INIT(ENV_MAX);
    if (old && *old)
        KT_GUARD(kt_buf_puts(&b, old));
    for (size_t i = 0; i < c->intercept.hosts.count; i++) {
        const char *host = c->intercept.hosts.items[i];
        /* "*.suffix" is written ".suffix" in NO_PROXY. */
        if (host[0] == '*')
            host++;
        KT_GUARD(kt_buf_printf(&b, "%s%s", b.len ? "," : "", host));
    }
    return set(name, b.data ? b.data : "");
}

/* A program that talks through a proxy would hide its calls in CONNECT tunnels: intercepted hosts go direct,
 * to us; what the user had set stays in force for our own upstream calls. */
static kt_result set_proxy_exceptions(const struct kt_config *c)
{
    if (!proxy_configured())
        return kt_ok();
    const char *old = getenv("no_proxy");
    if (!old || !*old) /* as libcurl reads them */
        old = getenv("NO_PROXY");
    if (!getenv("KT_UPSTREAM_NO_PROXY"))
        KT_GUARD(set("KT_UPSTREAM_NO_PROXY", old ? old : ""));
    KT_GUARD(add_no_proxy("no_proxy", c));
    return add_no_proxy("NO_PROXY", c);
}

/* Never REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE: they would override what the program says itself
 * (session.verify). */
static kt_result set_trust(const struct kt_wrap_env *w)
{
    KT_GUARD(set("NODE_EXTRA_CA_CERTS", w->plan->extra_pem));
    if (!getenv("DENO_CERT"))
        KT_GUARD(set("DENO_CERT", w->plan->ca_pem));
    if (kt_program_trust(w->program) != KT_TRUST_OWN_STACK) /* Java's is the shim's (java_trust.h) */
        return kt_ok();
    /* The bundle was made from the user's own value; our upstream calls keep that one, without our CA. */
    const char *own = getenv("SSL_CERT_FILE");
    if (!getenv("KT_UPSTREAM_CA_FILE"))
        KT_GUARD(set("KT_UPSTREAM_CA_FILE", own ? own : ""));
    return set("SSL_CERT_FILE", w->plan->bundle_pem);
}

static bool can_be_made(const char *path)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (access(path, W_OK) == 0)
        return true;
    if (errno != ENOENT)
        return false;
    if (!slash || slash == path)
        return access(slash ? "/" : ".", W_OK | X_OK) == 0;
    snprintf(dir, sizeof dir, "%.*s", (int)(slash - path), path);
    return access(dir, W_OK | X_OK) == 0;
}

void kt_wrap_check_trace(void)
{
    const char *trace = kt_option_or_env(NULL, "KT_TRACE");
    if (!trace)
        return;
    struct kt_span unknown = kt_trace_unknown(trace);
    const char *place = strchr(trace, ':');
    if (unknown.len)
        fprintf(stderr, "kt wrap: KT_TRACE: no component '%.*s': see 'kt --help'\n", (int)unknown.len,
                unknown.data);
    if (place && strncmp(place, ":fd:", 4) != 0 && !can_be_made(place + 1))
        fprintf(stderr, "kt wrap: KT_TRACE: %s: %s\n", place + 1, strerror(errno));
}

kt_result kt_wrap_setenv(const struct kt_wrap_env *w)
{
    KT_GUARD(set_preload(w->libkt));
    if (w->config_paths[0])
        KT_GUARD(set("KT_POLICY_CONFIG", w->config_paths));
    else
        unsetenv("KT_POLICY_CONFIG");
    KT_GUARD(set("KT_STATE_DIR", w->state_dir));
    if (w->mode)
        KT_GUARD(set("KT_MODE", w->mode));
    if (w->fail_mode)
        KT_GUARD(set("KT_FAIL_MODE", w->fail_mode));
    KT_GUARD(set("KT_PLAN", w->plan->path));
    bool inside = kt_option_or_env(NULL, "KT_RUN") && kt_option_or_env(NULL, "KT_RUN_STATE");
    if (w->run && !inside) /* else the outermost run's stays, which must hear of other folders */
        KT_GUARD(set("KT_RUN_STATE", w->state_dir));
    if (w->run)
        KT_GUARD(set("KT_RUN", w->run));
    /* What is only read along may keep its proxy: TLS says the host. */
    bool observe = w->mode ? strcmp(w->mode, "observe") == 0 : w->config->mode == KT_MODE_OBSERVE;
    if (!observe || kt_program_trust(w->program) != KT_TRUST_SHARED_OPENSSL)
        KT_GUARD(set_proxy_exceptions(w->config));
    return set_trust(w);
}
