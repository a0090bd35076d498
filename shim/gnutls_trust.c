/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/gnutls_trust.h"

#include "shim/caller.h"
#include "shim/engine.h"
#include "shim/gnutls_credentials.h"
#include "shim/guard.h"
#include "shim/plan.h"
#include "shim/ssl_account.h"
#include "shim/ssl_api.h"
#include "shim/ssl_table.h"
#include "shim/tls_peer.h"
#include "shim/trace.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define FD_MAX                                                                                               \
    (1u << 20) /* a transport pointer below is an fd, above the address of the program's own structure */

static const char *const names[KT_GNUTLS_COUNT] = {
#define KT_GNUTLS_FN(id, name) #name,
    KT_GNUTLS_HOOKS(KT_GNUTLS_FN)
#undef KT_GNUTLS_FN
};

/* One record is enough: two GnuTLS in one process have not been seen, and the second then goes without trust.
 */
static struct kt_gnutls_api api;
static _Atomic(int) api_state; /* 0 unread, 1 being read, 2 there */

static const void *describe(void *fn)
{
    int none = 0;
    if (atomic_load(&api_state) == 2)
        return &api;
    if (!atomic_compare_exchange_strong(&api_state, &none, 1))
        return NULL;
    *(void **)&api.gnutls_transport_get_ptr = kt_symbol_near(fn, "gnutls_transport_get_ptr");
    *(void **)&api.gnutls_credentials_get = kt_symbol_near(fn, "gnutls_credentials_get");
    *(void **)&api.gnutls_credentials_set = kt_symbol_near(fn, "gnutls_credentials_set");
    *(void **)&api.gnutls_certificate_allocate_credentials =
        kt_symbol_near(fn, "gnutls_certificate_allocate_credentials");
    *(void **)&api.gnutls_certificate_free_credentials =
        kt_symbol_near(fn, "gnutls_certificate_free_credentials");
    *(void **)&api.gnutls_certificate_set_verify_function =
        kt_symbol_near(fn, "gnutls_certificate_set_verify_function");
    *(void **)&api.gnutls_certificate_set_x509_trust_mem =
        kt_symbol_near(fn, "gnutls_certificate_set_x509_trust_mem");
    *(void **)&api.gnutls_session_get_random = kt_symbol_near(fn, "gnutls_session_get_random");
    api.complete = api.gnutls_session_get_random && api.gnutls_transport_get_ptr &&
                   api.gnutls_credentials_get && api.gnutls_credentials_set &&
                   api.gnutls_certificate_allocate_credentials && api.gnutls_certificate_free_credentials &&
                   api.gnutls_certificate_set_verify_function && api.gnutls_certificate_set_x509_trust_mem;
    atomic_store(&api_state, 2);
    return &api;
}

struct kt_gnutls_target kt_gnutls_resolve(enum kt_gnutls_id id, const void *return_address)
{
    struct kt_found f = kt_caller_resolve(KT_SSL_COUNT + id, names[id], return_address, describe);
    return (struct kt_gnutls_target){f.fn, atomic_load(&api_state) == 2 ? &api : NULL};
}

void kt_gnutls_named(gnutls_session_t session, const char *name, size_t len)
{
    char sni[256], host[256];
    const struct kt_diverted none = {0};
    int saved = errno;
    if (session && name && len > 0 && len < sizeof sni) {
        memcpy(sni, name, len);
        sni[len] = '\0';
        kt_tls_host(sni, KT_PATH_UNKNOWN, &none, host);
        struct kt_ssl_entry *e = host[0] ? kt_ssl_table_get(session) : NULL;
        void *credentials = e ? e->credentials : NULL;
        e = host[0] ? kt_ssl_table_put(session) : NULL;
        if (e) {
            memcpy(e->host, host, strlen(host) + 1);
            e->credentials = credentials;
        }
    }
    errno = saved;
}

static void give_trust(const struct kt_gnutls_api *g, gnutls_session_t session, struct kt_ssl_entry *e)
{
    const struct kt_engine_abi *engine = kt_engine_get();
    const uint8_t *der = NULL;
    if (!engine)
        return;
    int saved = kt_guard_enter();
    size_t len = engine->ca_der(&der);
    void *ours = kt_gnutls_own_credentials(g, session, der, len);
    if (ours && e->credentials)
        g->gnutls_certificate_free_credentials(e->credentials);
    if (ours)
        e->credentials = ours;
    else
        engine->report(KT_ABI_TRUST_FAILED, e->host, "this GnuTLS session cannot be given our CA");
    kt_guard_leave(saved);
    KT_TRACE_SHIM("gnutls %p: %s our CA for %s", (void *)session, ours ? "trusts" : "could not be given",
                  e->host);
}

void *kt_gnutls_ended(gnutls_session_t session)
{
    const struct kt_ssl_entry *e = kt_ssl_table_get(session);
    void *credentials = e ? e->credentials : NULL;
    kt_ssl_table_drop(session);
    return credentials;
}

static size_t random_of(const void *g, const void *session, uint8_t out[32])
{
    struct kt_gnutls_datum client = {NULL, 0}, server = {NULL, 0};
    ((const struct kt_gnutls_api *)g)
        ->gnutls_session_get_random((gnutls_session_t)(uintptr_t)session, &client, &server);
    if (!client.data || client.size != 32)
        return 0;
    memcpy(out, client.data, 32);
    return 32;
}

/* Its handshake goes past us with our knowledge. */
static void watch_hello(const struct kt_gnutls_api *g, gnutls_session_t session)
{
    kt_ssl_table_tells(session, &(struct kt_ssl_hello){.random_of = random_of, .api = g});
}

static bool unseen(const struct kt_gnutls_api *g, gnutls_session_t session, struct kt_ssl_entry *e,
                   enum kt_tls_path path)
{
    bool allow = kt_plan_fail_allows();
    if (!e->reported)
        kt_tls_report_unseen(e->host, kt_tls_unseen_detail(path), allow);
    if (!e->reported && allow)
        watch_hello(g, session);
    e->reported = true;
    return allow;
}

static bool judge(const struct kt_gnutls_api *g, gnutls_session_t session)
{
    struct kt_ssl_entry *e = kt_ssl_table_get(session);
    if (e && (e->state == KT_SSL_TLS || e->state == KT_SSL_TAPPED))
        return true; /* a handshake that goes on, or begins again */
    uintptr_t transport = (uintptr_t)g->gnutls_transport_get_ptr(session);
    struct kt_diverted d;
    enum kt_tls_path path = kt_tls_path_of(transport < FD_MAX ? (int)transport : -1, &d);
    char host[256];
    kt_tls_host(NULL, path, &d, host);
    if (e)
        memcpy(host, e->host, sizeof host);
    if (!host[0])
        return true;
    if (!e && !(e = kt_ssl_table_put(session)))
        return kt_plan_fail_allows();
    memcpy(e->host, host, sizeof host);
    if (!kt_tls_ours(path, host) && kt_tls_tapped(path, &d, &e->port)) {
        e->state = KT_SSL_TAPPED;
        e->account = e->account ? e->account : kt_ssl_account_new();
        watch_hello(g, session);
        KT_TRACE_SHIM("gnutls %p: to %s:%u is tapped", (void *)session, host, e->port);
        return true;
    }
    if (!kt_tls_ours(path, host))
        return unseen(g, session, e, path);
    e->state = KT_SSL_TLS;
    give_trust(g, session, e);
    return true;
}

bool kt_gnutls_before_handshake(const struct kt_gnutls_api *g, gnutls_session_t session)
{
    if (!g || !g->complete || !session)
        return true;
    int saved = errno;
    bool pass = judge(g, session);
    errno = pass ? saved : ECONNREFUSED;
    return pass;
}
