/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's longer ways, on a stack that suffices: a program's thread may have as little as 16 KiB. */
#include "shim/engine.h"
#include "shim/own_fd.h"
#include "shim/real.h"
#include "shim/stack.h"
#include "shim/trace.h"

#include <unistd.h>

static const struct kt_engine_abi *real;

struct adopted {
    int fd, rc;
    const struct kt_abi_origin *origin;
};

static void adopt_now(void *arg)
{
    struct adopted *a = arg;
    a->rc = real->adopt(a->fd, a->origin);
}

static int adopt(int fd, const struct kt_abi_origin *origin)
{
    struct adopted a = {fd, -1, origin};
    if (!kt_stack_call(adopt_now, &a)) { /* it closes what it does not take */
        kt_shim_own_fd(fd, 0);
        KT_REAL(close)(fd);
    }
    return a.rc;
}

struct ca {
    const uint8_t **der;
    size_t len;
};

static void ca_now(void *arg)
{
    struct ca *c = arg;
    c->len = real->ca_der(c->der);
}

static size_t ca_der(const uint8_t **der)
{
    struct ca c = {der, 0};
    return kt_stack_call(ca_now, &c) ? c.len : 0;
}

struct opened {
    const struct kt_abi_origin *origin;
    int tls;
    uint64_t id;
};

static void open_now(void *arg)
{
    struct opened *o = arg;
    o->id = real->tap_open(o->origin, o->tls);
}

static uint64_t tap_open(const struct kt_abi_origin *origin, int tls)
{
    struct opened o = {origin, tls, 0};
    return kt_stack_call(open_now, &o) ? o.id : 0;
}

struct report {
    enum kt_abi_event what;
    const char *host, *detail;
};

static void report_now(void *arg)
{
    struct report *r = arg;
    real->report(r->what, r->host, r->detail);
}

static void report(enum kt_abi_event what, const char *host, const char *detail)
{
    struct report r = {what, host, detail};
    if (!kt_stack_call(report_now, &r))
        KT_TRACE_SHIM("no stack for an event about %s: %s", host, detail);
}

const struct kt_engine_abi *kt_engine_apart(const struct kt_engine_abi *abi)
{
    static struct kt_engine_abi own;
    real = abi;
    own = *abi;
    own.adopt = adopt;
    own.ca_der = ca_der;
    own.tap_open = tap_open;
    own.report = report;
    return &own;
}
