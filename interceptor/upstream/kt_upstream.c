/* SPDX-License-Identifier: Apache-2.0 */
/* The multi handle: its birth at the first request, its turns on the loop, its end. */
#include "interceptor/upstream/kt_upstream_private.h"

#include "interceptor/loop/kt_fds.h"
#include "policyengine/base/kt_log.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

/* A folder of hashed certificates lets OpenSSL read the one root that it needs; the bundle file costs a parse
 * of all of them at the first connection, more than everything else that we do for a first call. */
static bool is_hashed(const char *path)
{
    DIR *dir = path ? opendir(path) : NULL;
    if (!dir)
        return false;
    bool found = false;
    for (const struct dirent *e; !found && (e = readdir(dir));)
        found = strlen(e->d_name) == 10 && strcmp(e->d_name + 8, ".0") == 0;
    closedir(dir);
    return found;
}

static kt_result copy_env(const char *name, char **out)
{
    const char *value = getenv(name);
    if (!value)
        return kt_ok();
    *out = strdup(value);
    return *out ? kt_ok() : kt_err(KT_ERR_MEMORY);
}

/* The first of these names that is set; to libcurl an empty one is not. */
static kt_result copy_first(const char *const *names, char **out)
{
    for (; !*out && *names; names++) {
        const char *value = getenv(*names);
        if (value && *value)
            KT_GUARD(copy_env(*names, out));
    }
    return kt_ok();
}

/* The environment is read here, on the thread that starts the engine, and not by the loop thread while the
 * program may be in setenv. KT_UPSTREAM_CA_FILE and KT_UPSTREAM_NO_PROXY are what SSL_CERT_FILE and
 * no_proxy were before kt wrap put its own there; empty = they were not set. */
static kt_result read_environment(struct kt_upstream *u)
{
    /* As libcurl does it; HTTP_PROXY is no such name, because web servers let clients set it. */
    static const char *const http[] = {"http_proxy", "all_proxy", "ALL_PROXY", NULL};
    static const char *const https[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL};
    static const char *const none[] = {"no_proxy", "NO_PROXY", NULL};
    KT_GUARD(copy_first(http, &u->http_proxy));
    KT_GUARD(copy_first(https, &u->https_proxy));
    KT_GUARD(copy_env("KT_UPSTREAM_NO_PROXY", &u->no_proxy));
    KT_GUARD(copy_first(none, &u->no_proxy));
    KT_GUARD(copy_env("KT_UPSTREAM_CA_FILE", &u->ca_file));
    if (!u->ca_file)
        KT_GUARD(copy_env("SSL_CERT_FILE", &u->ca_file));
    if (u->ca_file && !*u->ca_file) {
        free(u->ca_file);
        u->ca_file = NULL;
    }
    return kt_ok();
}

kt_result kt_upstream_new(struct kt_loop *loop, struct kt_upstream **out)
{
    *out = NULL;
    struct kt_upstream *u = calloc(1, sizeof *u);
    if (!u)
        return kt_err(KT_ERR_MEMORY);
    u->loop = loop;
    kt_result r = read_environment(u);
    if (!kt_is_ok(r)) {
        kt_upstream_free(u);
        return r;
    }
    *out = u;
    return kt_ok();
}

/* ---- turns ---- */

void kt_up_enter(struct kt_upstream *u)
{
    u->busy = true;
    u->no_fd = false;
}

static void sweep(struct kt_upstream *u)
{
    for (struct kt_call *c = u->calls, *next; c; c = next) {
        next = c->next;
        if (c->state == KT_CS_DOOMED)
            kt_call_drop(c);
    }
}

/* A failure ends the call, and its slot may change the list: start over then. */
static void start_queued(struct kt_upstream *u)
{
    for (struct kt_call *c = u->calls; c;) {
        if (c->state != KT_CS_QUEUED) {
            c = c->next;
            continue;
        }
        c->state = KT_CS_RUNNING;
        if (curl_multi_add_handle(u->multi, c->easy) == CURLM_OK) {
            c = c->next;
            continue;
        }
        kt_call_finish(c, KT_CALL_ABORTED, "libcurl refused the request");
        c = u->calls;
    }
}

static void report_done(struct kt_upstream *u)
{
    int left = 0;
    for (CURLMsg *m; (m = curl_multi_info_read(u->multi, &left));) {
        if (m->msg != CURLMSG_DONE)
            continue;
        struct kt_up_handle *h = NULL;
        CURLcode code = m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&h);
        struct kt_call *c = h->call;
        if (code == CURLE_COULDNT_CONNECT && u->no_fd) { /* says nothing about the target */
            kt_call_finish(c, KT_CALL_ABORTED,
                           "the process has no file descriptor left, raise RLIMIT_NOFILE");
            continue;
        }
        if (c->cut_off) {
            kt_call_finish(c, KT_CALL_CONNECTION, "the connection ended without an answer");
            continue;
        }
        kt_call_note_code(c, code);
        kt_call_finish(c, kt_call_classify(code), kt_call_words(code));
    }
}

void kt_up_leave(struct kt_upstream *u)
{
    u->busy = false;
    sweep(u);
    start_queued(u);
    report_done(u);
    if (u->unsure)
        kt_up_check_sockets(u);
}

static void on_timer(void *arg)
{
    struct kt_upstream *u = arg;
    int running = 0;
    kt_up_enter(u);
    curl_multi_socket_action(u->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    kt_up_leave(u);
}

static int on_timeout_wanted(CURLM *multi, long ms, void *arg)
{
    (void)multi;
    struct kt_upstream *u = arg;
    uint64_t due = ms < 0 ? 0 : kt_now_mono_ns() + (uint64_t)ms * KT_NS_PER_MS;
    kt_loop_timer_set(u->loop, &u->timer, due);
    return 0;
}

kt_result kt_up_begin(struct kt_upstream *u)
{
    KT_ENSURE(!u->dead, KT_ERR_STATE);
    if (u->multi)
        return kt_ok();
    KT_ENSURE(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK, KT_ERR_INTERNAL);
    kt_fds_raise_theirs(true);
    u->multi = curl_multi_init();
    kt_fds_raise_theirs(false);
    if (!u->multi) {
        curl_global_cleanup();
        return kt_err(KT_ERR_MEMORY);
    }
    const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);
    if (v->age >= CURLVERSION_SEVENTH && is_hashed(v->capath))
        u->ca_path = v->capath;
    u->timer.fn = on_timer;
    u->timer.arg = u;
    curl_multi_setopt(u->multi, CURLMOPT_TIMERFUNCTION, on_timeout_wanted);
    curl_multi_setopt(u->multi, CURLMOPT_TIMERDATA, u);
    curl_multi_setopt(u->multi, CURLMOPT_MAXCONNECTS, KT_UP_IDLE_CONNECTIONS);
    /* One call at a time on an HTTP/2 connection: on a shared one a call cannot be cancelled at once (see
     * close_behind), and a slow reader's window would be everybody's. */
    curl_multi_setopt(u->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    kt_up_install_sockets(u);
    return kt_ok();
}

/* ---- end ---- */

void kt_upstream_free(struct kt_upstream *u)
{
    if (!u || u->dead)
        return;
    while (u->calls)
        kt_call_drop(u->calls);
    while (u->idle_count)
        kt_up_handle_free(u->idle[--u->idle_count]);
    if (u->multi) {
        curl_multi_cleanup(u->multi);
        kt_up_forget_sockets(u);
        kt_loop_timer_set(u->loop, &u->timer, 0);
        curl_global_cleanup();
    }
    free(u->http_proxy);
    free(u->https_proxy);
    free(u->no_proxy);
    free(u->ca_file);
    free(u);
}

void kt_upstream_abandon(struct kt_upstream *u)
{
    if (!u)
        return;
    u->dead = true;
    for (struct kt_call *c = u->calls; c; c = c->next)
        kt_call_wipe_headers(c);
}

uint64_t kt_upstream_fork_ns(const struct kt_upstream *u)
{
    return atomic_load(&u->fork_ns);
}

size_t kt_upstream_sockets(const struct kt_upstream *u)
{
    return u->sockets;
}
