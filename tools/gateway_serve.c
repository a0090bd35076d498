/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/gateway_serve.h"

#include "interceptor/gateway/kt_gateway.h"
#include "policyengine/base/kt_log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 1000 /* between two looks at the config's files */
#define DRAIN_MS 20
#define NEVER_NS (UINT64_MAX / 4) /* the event threads never read the config: this thread does */

/* Also called by the event threads. */
static void show_warning(const char *line)
{
    fprintf(stderr, "kt gateway: %s\n", line);
}

/* Wipes what the list of processes shows as well as it can be: only our copies. */
static void forget_tokens(struct gateway_args *a)
{
    for (size_t i = 0; i < a->tokens.count; i++)
        kt_wipe(a->tokens.items[i], strlen(a->tokens.items[i]));
    unsetenv("KT_GATEWAY_TOKEN"); /* commands that print keys do not get it */
}

static bool write_port(const char *path, unsigned port)
{
    char temporary[4096];
    int n = snprintf(temporary, sizeof temporary, "%s.%d", path, (int)getpid());
    FILE *f = n > 0 && (size_t)n < sizeof temporary ? fopen(temporary, "we") : NULL;
    if (!f)
        return false;
    bool ok = fprintf(f, "%u\n", port) > 0;
    ok = fclose(f) == 0 && ok && rename(temporary, path) == 0;
    if (!ok)
        unlink(temporary);
    return ok;
}

/* A gateway that cannot serve one call does not start; later, a bad file leaves the old config in force. */
static int check_config(const struct kt_command *c, struct kt_engine *e)
{
    int status = KT_EXIT_OK;
    struct kt_runtime *rt = kt_engine_runtime(e);
    if (!rt->config)
        status = KT_EXIT_USAGE; /* the engine has told what is wrong */
    else if (rt->mode == KT_MODE_OBSERVE)
        status = kt_usage_error(c, "mode: observe needs a wrapped program, which says where its call goes; a "
                                   "gateway enforces (set mode: enforce)");
    else if (!rt->config->pack.enabled)
        status = kt_usage_error(c, "the policy config is switched off (pack.enabled: false), and a gateway "
                                   "knows no origin that calls could go on to");
    else if (!rt->config->has_providers)
        status =
            kt_usage_error(c, "the policy config has no providers.targets: a gateway would not know where "
                              "to send a call");
    for (size_t i = 0; status == KT_EXIT_OK && i < rt->config->providers.target_count; i++) {
        const struct kt_target *t = &rt->config->providers.targets[i];
        struct kt_error err = {KT_OK, ""};
        char *secret = NULL;
        if (!t->secret_key_ref.command && kt_secret_resolve(t, &secret, &err).code != KT_OK)
            fprintf(stderr, "kt gateway: target '%s' is not available: %s\n", t->id, err.text);
        kt_free_secret(secret);
    }
    kt_runtime_unref(rt);
    return status;
}

static void warn_openness(const struct gateway_args *a, const struct kt_gateway *g)
{
    if (kt_gateway_is_local(g))
        return;
    fprintf(stderr, "kt gateway: warning: %s can be reached from other machines%s%s\n", kt_gateway_url(g),
            a->tokens.count ? "" : ", and without --api-token-file anybody there can spend your keys",
            a->tls_cert ? "" : "; without --tls-cert prompts and tokens travel in clear");
}

static void reload(struct kt_engine *e, struct kt_gateway *g)
{
    struct kt_error err = {KT_OK, ""};
    kt_engine_reload(e, true);
    if (kt_gateway_reload(g, &err).code != KT_OK)
        fprintf(stderr, "kt gateway: the certificate stays as it was: %s\n", err.text);
}

/* Tells a change of the config once. */
static void tell_config(struct kt_engine *e, char last[KT_SHA256_HEX])
{
    struct kt_runtime *rt = kt_engine_runtime(e);
    if (rt->config && strcmp(rt->config->sha256, last) != 0) {
        if (*last)
            fprintf(stderr, "kt gateway: config %s %s is in force\n", rt->config->pack.name,
                    rt->config->pack.version ? rt->config->pack.version : "");
        snprintf(last, KT_SHA256_HEX, "%s", rt->config->sha256);
    }
    kt_runtime_unref(rt);
}

static int wait_signal(const sigset_t *set, unsigned ms)
{
    const struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    int sig = sigtimedwait(set, NULL, &ts);
    return sig > 0 ? sig : 0;
}

static void drain(const struct gateway_args *a, struct kt_gateway *g, const sigset_t *set)
{
    uint64_t until = kt_now_mono_ns() + a->drain_seconds * 1000000000ull;
    kt_gateway_drain(g);
    unsigned n = kt_gateway_in_flight(g);
    if (n)
        fprintf(stderr, "kt gateway: stopping; %u calls under way have %u seconds\n", n, a->drain_seconds);
    while (kt_gateway_in_flight(g) > 0 && kt_now_mono_ns() < until) {
        int sig = wait_signal(set, DRAIN_MS);
        if (sig == SIGTERM || sig == SIGINT)
            break;
    }
    n = kt_gateway_in_flight(g);
    if (n)
        fprintf(stderr, "kt gateway: %u calls were broken off\n", n);
}

static void serve(const struct gateway_args *a, struct kt_engine *e, struct kt_gateway *g,
                  const sigset_t *set)
{
    char last[KT_SHA256_HEX] = "";
    tell_config(e, last);
    for (;;) {
        int sig = wait_signal(set, LOOK_MS);
        if (sig == SIGTERM || sig == SIGINT)
            break;
        if (sig == SIGHUP)
            reload(e, g);
        else
            kt_engine_reload(e, false);
        tell_config(e, last);
    }
    drain(a, g, set);
}

static int start(const struct kt_command *c, struct gateway_args *a, struct kt_engine *e, const sigset_t *set)
{
    struct kt_error err = {KT_OK, ""};
    struct kt_gateway *g = NULL;
    const struct kt_gateway_options o = {.listen = a->listen,
                                         .threads = a->threads,
                                         .max_concurrency = a->max_concurrency,
                                         .tokens = &a->tokens,
                                         .tls_cert = a->tls_cert,
                                         .tls_key = a->tls_key};
    if (kt_gateway_new(e, &o, &g, &err).code != KT_OK)
        return kt_usage_error(c, "%s", err.text);
    forget_tokens(a);
    warn_openness(a, g);
    int status = KT_EXIT_OK;
    printf("kt gateway: listening on %s\n", kt_gateway_url(g));
    fflush(stdout);
    if (a->port_file && !write_port(a->port_file, kt_gateway_port(g)))
        status = kt_usage_error(c, "cannot write %s: %s", a->port_file, strerror(errno));
    else
        serve(a, e, g, set);
    kt_gateway_free(g);
    return status;
}

/* Each client is an fd, and so is each connection to a target. */
static void raise_fd_limit(void)
{
    struct rlimit rl;
    if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < rl.rlim_max) {
        rl.rlim_cur = rl.rlim_max;
        setrlimit(RLIMIT_NOFILE, &rl);
    }
}

int gateway_serve(const struct kt_command *c, struct gateway_args *a)
{
    struct kt_error err = {KT_OK, ""};
    struct kt_engine *e = NULL;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaction(SIGPIPE, &ignore, NULL);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* inherited by every thread: they come to serve() alone */
    raise_fd_limit();
    kt_log_set_hook(show_warning);
    const char *state = a->state_dir ? a->state_dir : getenv("KT_STATE_DIR");
    const char *fail_mode = a->fail_mode ? a->fail_mode : getenv("KT_FAIL_MODE");
    const struct kt_engine_options o = {.config_paths = a->config_paths.data,
                                        .mode = getenv("KT_MODE"),
                                        .fail_mode = fail_mode,
                                        .state_dir = state,
                                        .trace = getenv("KT_TRACE"),
                                        .config_check_ns = NEVER_NS,
                                        .compiles = true};
    if (kt_engine_new(&o, &e, &err).code != KT_OK)
        return kt_usage_error(c, "%s", err.text);
    int status = check_config(c, e);
    if (status == KT_EXIT_OK)
        status = start(c, a, e, &set);
    kt_engine_free(e);
    return status;
}
