/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/ssl_trust.h"

#include "shim/caller.h"
#include "shim/engine.h"
#include "shim/fdtab.h"
#include "shim/fork.h"
#include "shim/guard.h"
#include "shim/plan.h"
#include "shim/ssl_account.h"
#include "shim/ssl_life.h"
#include "shim/ssl_watch.h"
#include "shim/tap_sockets.h"
#include "shim/tls_peer.h"
#include "shim/trace.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Values of OpenSSL's headers, the same in 1.1 and 3. */
#define SET_VERIFY_CERT_STORE 106
#define STORE_IS_SHARED 1
#define NAMETYPE_HOST 0
#define LIB_SSL 20
#define HANDSHAKE_FAILURE 229
#define BIO_CONNECTS 0x50c /* BIO_TYPE_CONNECT: connects when first written to */

struct peer {
    enum kt_tls_path path;
    struct kt_diverted d; /* KT_PATH_DIVERTED, KT_PATH_WATCHED */
    char host[256];       /* the intercepted host; "" = none of ours */
    bool connects;        /* on its own, and has not yet */
    bool nameless;        /* nothing tells yet whose it is, or where it goes */
};

__thread const struct kt_ssl_nameless *kt_ssl_nameless
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* The intercepted address that the peer's certificate must be for: for addresses no server name is sent. */
static void look_at_address(const struct kt_ssl_api *api, SSL *ssl, char host[256])
{
    struct kt_host known;
    uint8_t ip[16] = {[10] = 0xff, [11] = 0xff};
    bool can = api->SSL_get0_param && api->X509_VERIFY_PARAM_get1_ip_asc && api->CRYPTO_free;
    if (!can || !kt_plan_has_literals())
        return;
    char *text = api->X509_VERIFY_PARAM_get1_ip_asc(api->SSL_get0_param(ssl));
    bool is_ip = text && (inet_pton(AF_INET, text, ip + 12) == 1 || inet_pton(AF_INET6, text, ip) == 1);
    if (is_ip && kt_plan_literal(ip, &known) && strlen(known.name) < 256)
        memcpy(host, known.name, strlen(known.name) + 1);
    if (text)
        api->CRYPTO_free(text, "", 0);
}

static bool will_connect(const struct kt_ssl_api *api, SSL *ssl)
{
    const void *bio = api->SSL_get_rbio && api->BIO_method_type ? api->SSL_get_rbio(ssl) : NULL;
    return bio && api->BIO_method_type(bio) == BIO_CONNECTS;
}

static void look_at_peer(const struct kt_ssl_api *api, SSL *ssl, struct peer *p)
{
    int fd = api->SSL_get_rfd(ssl);
    const char *sni = api->SSL_get_servername(ssl, NAMETYPE_HOST);
    p->path = kt_tls_path_of(fd >= 0 ? fd : api->SSL_get_wfd(ssl), &p->d);
    kt_tls_host(sni, p->path, &p->d, p->host);
    if (p->path == KT_PATH_UNKNOWN && !sni)
        look_at_address(api, ssl, p->host);
    p->connects = p->path == KT_PATH_UNKNOWN && will_connect(api, ssl);
    p->nameless = p->connects || (p->path == KT_PATH_UNKNOWN && !sni && !p->host[0]);
}

static bool add_ca(const struct kt_ssl_api *api, void *store, const uint8_t *der, size_t len)
{
    void *cert = api->d2i_X509(NULL, &der, (long)len);
    bool added = cert && api->X509_STORE_add_cert(store, cert) == 1;
    if (cert)
        api->X509_free(cert);
    return added;
}

/* Another thread of the parent may have been inside of the store at the fork, and its lock be held for ever:
 * a child makes its own, where OpenSSL can be used. */
static void leave_to_parent(struct kt_ssl_api *a)
{
    if (kt_fork_from_threads() && atomic_load(&a->maker) != getpid() && kt_engine_usable())
        atomic_store(&a->store, NULL);
}

/* Made once per libssl. A process that outlives its CA gets a new one from the engine, at another address; it
 * joins the old one. */
static void *store_of(const struct kt_ssl_api *api, const struct kt_engine_abi *engine)
{
    struct kt_ssl_api *a = (struct kt_ssl_api *)(uintptr_t)api;
    const uint8_t *der = NULL;
    int saved = kt_guard_enter();
    size_t len = engine->ca_der(&der);
    kt_guard_leave(saved);
    leave_to_parent(a);
    void *store = atomic_load(&a->store);
    if (store && (len == 0 || atomic_load(&a->ca) == der || add_ca(api, store, der, len))) {
        if (len > 0)
            atomic_store(&a->ca, der);
        return store;
    }
    void *fresh = len > 0 && !store ? api->X509_STORE_new() : NULL;
    if (!fresh)
        return NULL;
    if (!add_ca(api, fresh, der, len) || !atomic_compare_exchange_strong(&a->store, &store, fresh)) {
        api->X509_STORE_free(fresh);
        return store;
    }
    atomic_store(&a->ca, der);
    atomic_store(&a->maker, getpid());
    return fresh;
}

static void give_trust(const struct kt_ssl_api *api, SSL *ssl, const char *host)
{
    const struct kt_engine_abi *engine = kt_engine_get();
    /* Without one (a child by _Fork) the supervisor has the connection, with the CA of the parent. */
    void *store = engine ? store_of(api, engine) : atomic_load(&((struct kt_ssl_api *)(uintptr_t)api)->store);
    if (store && api->SSL_ctrl(ssl, SET_VERIFY_CERT_STORE, STORE_IS_SHARED, store) > 0) {
        KT_TRACE_SHIM("ssl %p: trusts our CA for %s", (void *)ssl, host);
        return;
    }
    KT_TRACE_SHIM("ssl %p: our CA could not be given for %s", (void *)ssl, host);
    if (!engine)
        return;
    int saved = kt_guard_enter();
    engine->report(KT_ABI_TRUST_FAILED, host, "the verify store of this SSL cannot be set");
    kt_guard_leave(saved);
}

bool kt_ssl_unseen(struct kt_ssl_entry *e, const char *detail)
{
    bool allow = kt_plan_fail_allows();
    bool again = e->reported;
    e->reported = true;
    e->state = allow ? KT_SSL_TLS : KT_SSL_REFUSED;
    if (again)
        return allow;
    KT_TRACE_SHIM("ssl %p: unseen connection to %s (%s)", e->ssl, e->host, detail);
    kt_tls_report_unseen(e->host, detail, allow);
    return allow;
}

/* Before its ClientHello, which counts once. */
static bool let_go(const struct kt_ssl_api *api, SSL *ssl, struct kt_ssl_entry *e, const char *detail)
{
    bool allow = kt_ssl_unseen(e, detail);
    if (allow)
        kt_ssl_watch_hello(api, ssl);
    return allow;
}

static void tap(const struct kt_ssl_api *api, SSL *ssl, struct kt_ssl_entry *e)
{
    e->state = KT_SSL_TAPPED;
    e->account = e->account ? e->account : kt_ssl_account_new();
    kt_ssl_watch_hello(api, ssl);
    KT_TRACE_SHIM("ssl %p: to %s:%u is tapped", e->ssl, e->host, e->port);
}

/* An entry of an earlier SSL at the same address tells nothing, unless it is this one, asked again. */
static struct kt_ssl_entry *entry_for(SSL *ssl, const char *host)
{
    struct kt_ssl_entry *e = kt_ssl_table_get(ssl);
    if (e && e->reported && strcmp(e->host, host) == 0)
        return e;
    e = kt_ssl_table_put(ssl);
    if (e)
        memcpy(e->host, host, strlen(host) + 1);
    return e;
}

static enum kt_ssl_verdict judge(const struct kt_ssl_api *api, SSL *ssl, const struct peer *p)
{
    struct kt_ssl_entry *e = entry_for(ssl, p->host);
    if (!e)
        return kt_plan_fail_allows() ? KT_SSL_PASS : KT_SSL_REFUSE;
    kt_ssl_life_follow(api);
    if (!kt_tls_ours(p->path, p->host) && kt_tls_tapped(p->path, &p->d, &e->port)) {
        tap(api, ssl, e);
        return KT_SSL_PASS;
    }
    if (!kt_tls_ours(p->path, p->host))
        return let_go(api, ssl, e, kt_tls_unseen_detail(p->path)) ? KT_SSL_PASS : KT_SSL_REFUSE;
    e->state = KT_SSL_TRUSTED;
    e->by_random = p->path == KT_PATH_UNKNOWN;
    give_trust(api, ssl, p->host);
    return KT_SSL_PASS;
}

static enum kt_ssl_verdict look_and_judge(const struct kt_ssl_api *api, SSL *ssl)
{
    struct peer p;
    look_at_peer(api, ssl, &p);
    if (p.host[0] && !p.nameless)
        return judge(api, ssl, &p);
    kt_ssl_table_drop(ssl); /* of an SSL that was freed out of our sight */
    return p.nameless && (p.connects || kt_fdtab_used()) ? KT_SSL_NAMELESS : KT_SSL_PASS;
}

void kt_ssl_met_socket(int fd)
{
    const struct kt_ssl_nameless *at = kt_ssl_nameless;
    int saved = errno;
    struct peer p;
    kt_ssl_nameless = NULL;
    if (!KT_SEALED(at))
        return;
    const struct kt_ssl_nameless n = *at;
    int own = n.api->SSL_get_wfd(n.ssl);
    p.path = kt_tls_path_of(fd, &p.d);
    if (own >= 0 ? own != fd : p.path == KT_PATH_UNKNOWN) { /* a log, a handler's pipe */
        kt_ssl_nameless = at;
        errno = saved;
        return;
    }
    kt_tls_host(n.api->SSL_get_servername(n.ssl, NAMETYPE_HOST), p.path, &p.d, p.host);
    if (p.host[0] && judge(n.api, n.ssl, &p) == KT_SSL_REFUSE)
        kt_tap_socket_refuse(fd);
    errno = saved;
}

enum kt_ssl_verdict kt_ssl_before_handshake(const struct kt_ssl_api *api, SSL *ssl, bool is_connect)
{
    if (!api || !api->complete || !ssl || !api->SSL_in_before(ssl))
        return KT_SSL_PASS;
    /* An SSL of a general method counts as a server until somebody says connect. */
    if (!is_connect && api->SSL_is_server(ssl))
        return KT_SSL_PASS;
    int saved = errno;
    enum kt_ssl_verdict v = look_and_judge(api, ssl);
    errno = v == KT_SSL_REFUSE ? ECONNREFUSED : saved;
    if (v == KT_SSL_REFUSE)
        kt_ssl_say_refused(api, ssl);
    return v;
}

bool kt_ssl_shake_nameless(const struct kt_ssl_api *api, SSL *ssl, int *rc)
{
    struct kt_ssl_nameless this = {api, ssl, KT_SEAL(&this)};
    const struct kt_ssl_nameless *outer = kt_ssl_nameless;
    kt_ssl_nameless = &this;
    *rc = api->SSL_do_handshake(ssl);
    kt_ssl_nameless = outer;
    if (*rc <= 0)
        kt_ssl_after_failure(api, ssl);
    return *rc > 0;
}

void kt_ssl_say_refused(const struct kt_ssl_api *api, SSL *ssl)
{
    int saved = errno;
    if (api->SSL_get_rfd(ssl) < 0 && api->ERR_new && api->ERR_set_error) {
        api->ERR_new();
        api->ERR_set_error(LIB_SSL, HANDSHAKE_FAILURE, "refused by ktwrap");
    } else if (api->SSL_get_rfd(ssl) < 0 && api->ERR_put_error) {
        api->ERR_put_error(LIB_SSL, 0, HANDSHAKE_FAILURE, "", 0);
    }
    errno = saved;
}

bool kt_ssl_find_flow(const struct kt_ssl_api *api, SSL *ssl, uint8_t random[32], struct kt_abi_flow **flow)
{
    const struct kt_engine_abi *engine = kt_engine_here();
    if (flow)
        *flow = NULL;
    if (!engine || api->SSL_get_client_random(ssl, random, 32) != 32)
        return false;
    int saved = kt_guard_enter();
    struct kt_abi_flow *found = engine->flow_by_random(random);
    if (found && flow)
        *flow = found;
    else if (found)
        engine->flow_release(found);
    kt_guard_leave(saved);
    return found != NULL;
}

void kt_ssl_after_failure(const struct kt_ssl_api *api, SSL *ssl)
{
    int saved = errno;
    uint8_t random[32];
    struct kt_ssl_entry *e = api && api->complete ? kt_ssl_table_get(ssl) : NULL;
    /* Our store was asked about a certificate that is not ours: the wrong peer, where only the client random
     * can tell. */
    if (e && e->state == KT_SSL_TRUSTED && e->by_random && !e->reported &&
        api->SSL_get_verify_result(ssl) != 0 && !kt_ssl_find_flow(api, ssl, random, NULL))
        kt_ssl_unseen(e, "TLS with a peer that is not ours, over memory");
    errno = saved;
}
