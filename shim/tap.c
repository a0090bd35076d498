/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/tap.h"

#include "shim/caller.h"
#include "shim/dest.h"
#include "shim/engine.h"
#include "shim/fdtab.h"
#include "shim/guard.h"
#include "shim/lock.h"
#include "shim/plan.h"
#include "shim/real.h"
#include "shim/tap_sockets.h"
#include "shim/tls_libraries.h"
#include "shim/trace.h"

#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define NAMES_MAX 512

/* Addresses of intercepted hosts, as the resolver gave them; the oldest gives way. */
static struct {
    uint8_t ip[16];
    const char *host; /* borrowed for ever; NULL = free */
} names[NAMES_MAX];
static unsigned next_name;
static atomic_bool used;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void kt_tap_lock(void)
{
    kt_tap_sockets_lock();
    kt_lock(&lock);
}

void kt_tap_unlock(void)
{
    kt_unlock(&lock);
    kt_tap_sockets_unlock();
}

bool kt_tap_used(void)
{
    return atomic_load_explicit(&used, memory_order_relaxed);
}

bool kt_tap_on(void)
{
    if (!kt_plan_observes())
        return false;
    const struct kt_engine_abi *engine = kt_engine_usable();
    int saved = kt_guard_enter();
    bool on = engine && engine->tap_enabled();
    kt_guard_leave(saved);
    return on;
}

/* ---- can it be read? ---- */

/* Node and others carry an OpenSSL of their own, which calls itself without asking the loader. */
static bool has_private_tls(void)
{
    const void *fn = kt_real_dlsym(RTLD_DEFAULT, "SSL_write");
    return fn && !kt_is_hook(fn);
}

bool kt_tap_can(const char *service)
{
    if (service && (strcmp(service, "80") == 0 || strcmp(service, "http") == 0))
        return true;
    int saved = errno;
    bool can = !has_private_tls() && kt_tls_libraries_of_program();
    errno = saved;
    return can;
}

bool kt_tap_can_reach(uint16_t port)
{
    return port != 443 || kt_tap_can(NULL);
}

/* ---- who is behind an address ---- */

static void learn(const char *host, const uint8_t ip[16])
{
    unsigned at = NAMES_MAX;
    for (unsigned i = 0; i < NAMES_MAX && at == NAMES_MAX; i++)
        if (names[i].host && memcmp(names[i].ip, ip, 16) == 0)
            at = i;
    if (at == NAMES_MAX && !host)
        return;
    if (at == NAMES_MAX)
        at = next_name++ % NAMES_MAX;
    memcpy(names[at].ip, ip, 16);
    names[at].host = host;
    if (host)
        atomic_store(&used, true);
}

static const char *host_of(const uint8_t ip[16])
{
    const char *host = NULL;
    kt_lock(&lock);
    for (unsigned i = 0; i < NAMES_MAX && !host; i++)
        if (names[i].host && memcmp(names[i].ip, ip, 16) == 0)
            host = names[i].host;
    kt_unlock(&lock);
    return host;
}

void kt_tap_learn_list(const char *host, const struct addrinfo *list)
{
    if (!host && !kt_tap_used())
        return;
    kt_lock(&lock);
    for (; list; list = list->ai_next) {
        struct kt_dest d;
        if (kt_dest_parse(list->ai_addr, list->ai_addrlen, &d))
            learn(host, d.ip);
    }
    kt_unlock(&lock);
}

void kt_tap_learn_host(const char *host, const struct hostent *h)
{
    if (!host && !kt_tap_used())
        return;
    kt_lock(&lock);
    for (char **a = h->h_addr_list; a && *a; a++) {
        uint8_t ip[16] = {[10] = 0xff, [11] = 0xff};
        if (h->h_addrtype == AF_INET && h->h_length == 4)
            memcpy(ip + 12, *a, 4);
        else if (h->h_addrtype == AF_INET6 && h->h_length == 16)
            memcpy(ip, *a, 16);
        else
            continue;
        learn(host, ip);
    }
    kt_unlock(&lock);
}

void kt_tap_connected(int fd, const struct sockaddr *sa, socklen_t len, int rc)
{
    struct kt_dest d;
    struct kt_host literal;
    int saved = errno;
    if (rc != 0 && saved != EINPROGRESS && saved != EINTR)
        return;
    if (kt_dest_parse(sa, len, &d) && kt_dest_is_stream(fd)) {
        const char *host = kt_plan_literal(d.ip, &literal) ? literal.name : host_of(d.ip);
        struct kt_diverted w = {.origin = host, .port = d.port, .watched = true};
        if (host && kt_fdtab_add(fd, &w)) {
            atomic_store(&used, true);
            kt_tap_socket_add(fd, host, d.port);
            KT_TRACE_SHIM("fd %d to %s:%u is watched", fd, host, d.port);
        }
    }
    errno = saved;
}

/* ---- the engine's side ---- */

uint64_t kt_tap_open(const char *host, uint16_t port, bool tls)
{
    const struct kt_engine_abi *engine = kt_engine_here(); /* kt_tap_on has seen to it */
    const struct kt_abi_origin origin = {host, port, -1};
    int saved = kt_guard_enter();
    uint64_t tap = engine ? engine->tap_open(&origin, tls) : 0;
    kt_guard_leave(saved);
    return tap;
}

void kt_tap_copy(uint64_t tap, enum kt_abi_dir dir, const void *data, size_t len)
{
    const struct kt_engine_abi *engine = kt_engine_here();
    if (!tap || !engine)
        return;
    int saved = kt_guard_enter();
    engine->tap_data(tap, dir, data, len);
    kt_guard_leave(saved);
}

void kt_tap_close(uint64_t tap)
{
    const struct kt_engine_abi *engine = kt_engine_here();
    if (!tap || !engine)
        return;
    int saved = kt_guard_enter();
    engine->tap_close(tap);
    kt_guard_leave(saved);
}

bool kt_tap_settle(enum kt_abi_leave how)
{
    const struct kt_engine_abi *engine = kt_engine_here();
    bool any = kt_tap_used() || kt_fdtab_used();
    if (!engine || !any)
        return false;
    int saved = kt_guard_enter();
    engine->settle(how);
    kt_guard_leave(saved);
    return true;
}
