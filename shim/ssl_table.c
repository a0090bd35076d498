/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/ssl_table.h"

#include "shim/engine.h"
#include "shim/guard.h"
#include "shim/lock.h"
#include "shim/ssl_account.h"
#include "shim/tap.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUCKETS 256

static struct kt_ssl_entry *buckets[BUCKETS];
static atomic_uint count;
static atomic_uint telling;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Every read asks several times for the same SSL, and the lock costs two system calls. What this thread found
 * last holds while no entry came or went. */
static atomic_uint generation;
static __thread struct {
    const void *ssl;
    struct kt_ssl_entry *e;
    unsigned generation;
} newest __attribute__((tls_model("initial-exec")));

void kt_ssl_table_lock(void)
{
    kt_lock(&lock);
}

void kt_ssl_table_unlock(void)
{
    kt_unlock(&lock);
}

static struct kt_ssl_entry **place_of(const void *ssl)
{
    uint64_t h = (uint64_t)(uintptr_t)ssl * 0x9e3779b97f4a7c15ull;
    return &buckets[h >> 56];
}

/* Lock held: the link that points to the entry, or to NULL. */
static struct kt_ssl_entry **link_of(const void *ssl)
{
    struct kt_ssl_entry **l = place_of(ssl);
    while (*l && (*l)->ssl != ssl)
        l = &(*l)->next;
    return l;
}

static void release(struct kt_abi_flow *flow)
{
    const struct kt_engine_abi *engine = kt_engine_here();
    if (!flow || !engine)
        return;
    int saved = kt_guard_enter();
    engine->flow_release(flow);
    kt_guard_leave(saved);
}

bool kt_ssl_table_used(void)
{
    return atomic_load_explicit(&count, memory_order_relaxed) > 0;
}

struct kt_ssl_entry *kt_ssl_table_get(const void *ssl)
{
    if (!kt_ssl_table_used())
        return NULL;
    if (newest.ssl == ssl && newest.generation == atomic_load(&generation))
        return newest.e;
    kt_lock(&lock);
    struct kt_ssl_entry *e = *link_of(ssl);
    newest.ssl = ssl;
    newest.e = e;
    newest.generation = atomic_load(&generation);
    kt_unlock(&lock);
    return e;
}

/* Lock held. */
static void stop_telling(struct kt_ssl_entry *e)
{
    if (e->hello.teller)
        atomic_fetch_sub(&telling, 1);
    e->hello.teller = 0;
}

static void clear(struct kt_ssl_entry *e)
{
    const size_t links = offsetof(struct kt_ssl_entry, state); /* others walk over them just now */
    struct kt_abi_flow *flow = e->flow;
    struct kt_ssl_account *account = e->account;
    uint64_t tap = e->tap;
    kt_lock(&lock);
    stop_telling(e);
    memset((char *)e + links, 0, sizeof *e - links);
    kt_unlock(&lock);
    kt_ssl_account_unref(account);
    kt_tap_close(tap);
    release(flow);
}

struct kt_ssl_entry *kt_ssl_table_put(const void *ssl)
{
    struct kt_ssl_entry *e = kt_ssl_table_get(ssl);
    if (e) {
        clear(e);
        return e;
    }
    e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->ssl = ssl;
    kt_lock(&lock);
    struct kt_ssl_entry **l = place_of(ssl);
    e->next = *l;
    *l = e;
    atomic_fetch_add(&count, 1);
    atomic_fetch_add(&generation, 1);
    kt_unlock(&lock);
    return e;
}

void kt_ssl_table_copy(const void *ssl, enum kt_abi_dir dir, const void *data, size_t len)
{
    struct kt_ssl_entry *e = len > 0 ? kt_ssl_table_get(ssl) : NULL;
    if (e && dir == KT_ABI_IN)
        e->taken += len;
    if (!e || e->state != KT_SSL_TAPPED)
        return;
    if (!e->opened) {
        e->opened = true;
        e->tap = kt_tap_open(e->host, e->port, true);
    }
    if (e->account)
        atomic_fetch_add_explicit(&e->account->copies, 1, memory_order_relaxed);
    kt_tap_copy(e->tap, dir, data, len);
}

void kt_ssl_table_end_tap(const void *ssl)
{
    struct kt_ssl_entry *e = kt_ssl_table_get(ssl);
    if (!e || e->state != KT_SSL_TAPPED)
        return;
    kt_tap_close(e->tap);
    e->tap = 0;
}

bool kt_ssl_table_telling(void)
{
    return atomic_load_explicit(&telling, memory_order_relaxed) > 0;
}

void kt_ssl_table_tells(const void *ssl, const struct kt_ssl_hello *how)
{
    kt_lock(&lock);
    struct kt_ssl_entry *e = *link_of(ssl);
    if (e) {
        stop_telling(e);
        e->hello = *how;
        e->hello.teller = gettid();
        atomic_fetch_add(&telling, 1);
    }
    kt_unlock(&lock);
}

/* Lock held. Only where nobody else may be inside of that session. */
static void learn(struct kt_ssl_entry *e)
{
    struct kt_ssl_hello *h = &e->hello;
    static const uint8_t none[32];
    h->known = h->random_of(h->api, e->ssl, h->random) == sizeof h->random &&
               memcmp(h->random, none, sizeof none) != 0;
}

void kt_ssl_table_told(const void *ssl)
{
    kt_lock(&lock);
    struct kt_ssl_entry *e = *link_of(ssl);
    if (e && e->hello.teller == gettid()) {
        learn(e);
        stop_telling(e);
    }
    kt_unlock(&lock);
}

/* Lock held. */
static bool is_hello_of(struct kt_ssl_entry *e, const uint8_t random[32], pid_t self)
{
    struct kt_ssl_hello *h = &e->hello;
    if (h->teller == self)
        learn(e); /* its handshake made it a moment ago */
    return h->known && memcmp(h->random, random, sizeof h->random) == 0;
}

bool kt_ssl_table_claims(const uint8_t random[32], struct kt_ssl_account **account)
{
    struct kt_ssl_entry *found = NULL;
    pid_t self = gettid();
    kt_lock(&lock);
    for (int i = 0; i < BUCKETS && !found; i++)
        for (struct kt_ssl_entry *e = buckets[i]; e && !found; e = e->next)
            found = is_hello_of(e, random, self) ? e : NULL;
    if (account)
        *account = found && found->account ? kt_ssl_account_ref(found->account) : NULL;
    kt_unlock(&lock);
    return found != NULL;
}

void kt_ssl_table_drop(const void *ssl)
{
    if (atomic_load_explicit(&count, memory_order_relaxed) == 0)
        return;
    kt_lock(&lock);
    struct kt_ssl_entry **l = link_of(ssl), *e = *l;
    if (e) {
        *l = e->next;
        stop_telling(e);
        atomic_fetch_sub(&count, 1);
        atomic_fetch_add(&generation, 1);
    }
    kt_unlock(&lock);
    if (!e)
        return;
    kt_ssl_account_unref(e->account);
    kt_tap_close(e->tap);
    release(e->flow);
    free(e);
}

void kt_ssl_table_forked(void)
{
    for (int i = 0; i < BUCKETS; i++) {
        for (struct kt_ssl_entry *e = buckets[i]; e; e = e->next) {
            if (e->state == KT_SSL_HANDOFF)
                e->state = KT_SSL_TLS;
            stop_telling(e);
            e->flow = NULL; /* the parent's engine owns it */
            e->tap = 0;     /* and this, too: the child's own begins with what it says */
            e->opened = false;
        }
    }
}
