/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/ssl_watch.h"

#include "shim/ssl_account.h"
#include "shim/tls_peer.h"
#include "shim/trace.h"

#include <errno.h>

static struct kt_ssl_entry *tapped(const struct kt_ssl_api *api, SSL *ssl)
{
    struct kt_ssl_entry *e = api && api->complete && ssl ? kt_ssl_table_get(ssl) : NULL;
    bool can = e && e->account && e->state == KT_SSL_TAPPED && api->SSL_get_wbio && api->BIO_number_written;
    return can ? e : NULL;
}

static void went_past(const struct kt_ssl_entry *e)
{
    if (atomic_exchange(&e->account->reported, true))
        return;
    KT_TRACE_SHIM("ssl %p: to %s, plaintext went past every hook", e->ssl, e->host);
    kt_tls_report_unseen(e->host, kt_tls_past_hooks, true);
}

void kt_ssl_watch_before_call(const struct kt_ssl_api *api, SSL *ssl)
{
    if (!kt_ssl_table_used())
        return;
    int saved = errno;
    struct kt_ssl_entry *e = tapped(api, ssl);
    void *bio = e ? api->SSL_get_wbio(ssl) : NULL;
    if (bio) {
        uint64_t written = api->BIO_number_written(bio);
        bool same = e->wbio == bio && written >= e->written;
        if (same && written - e->written > KT_ACCOUNT_SLACK)
            went_past(e);
        e->wbio = bio;
        e->written = written;
    }
    errno = saved;
}

void kt_ssl_watch_behind_call(const struct kt_ssl_api *api, SSL *ssl)
{
    if (!kt_ssl_table_used())
        return;
    int saved = errno;
    if (kt_ssl_table_telling())
        kt_ssl_table_told(ssl);
    struct kt_ssl_entry *e = tapped(api, ssl);
    void *bio = e ? api->SSL_get_wbio(ssl) : NULL;
    if (bio) {
        uint64_t written = api->BIO_number_written(bio), before = e->wbio == bio ? e->written : 0;
        atomic_fetch_add(&e->account->said, written >= before ? written - before : written);
        atomic_store(&e->account->counts, true);
        e->wbio = bio;
        e->written = written;
    }
    errno = saved;
}

static size_t random_of(const void *api, const void *ssl, uint8_t out[32])
{
    return ((const struct kt_ssl_api *)api)->SSL_get_client_random(ssl, out, 32);
}

void kt_ssl_watch_hello(const struct kt_ssl_api *api, SSL *ssl)
{
    kt_ssl_table_tells(ssl, &(struct kt_ssl_hello){.random_of = random_of, .api = api});
}
