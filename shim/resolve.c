/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/resolve.h"

#include "shim/plan.h"
#include "shim/real.h"
#include "shim/tap.h"
#include "shim/trace.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum kt_resolve kt_resolve_name(const char *name, const char *service, int family, struct kt_resolved *out)
{
    struct kt_host host;
    if (kt_plan_host(name, KT_PLAN_MAKE, true, &host) != KT_HOST_OURS)
        return KT_RESOLVE_REAL;
    if (host.name && kt_tap_can(service) && kt_tap_on()) {
        out->name = host.name;
        return KT_RESOLVE_WATCH;
    }
    if (host.addr == 0) {
        KT_TRACE_SHIM("%s: no synthetic address is left", name);
        return kt_plan_fail_allows() ? KT_RESOLVE_REAL : KT_RESOLVE_REFUSE;
    }
    snprintf(out->literal, sizeof out->literal, "%s%u.%u.%u.%u", family == AF_INET6 ? "::ffff:" : "",
             host.addr >> 24, (host.addr >> 16) & 255, (host.addr >> 8) & 255, host.addr & 255);
    out->name = host.name;
    KT_TRACE_SHIM("%s is %s", name, out->literal);
    return KT_RESOLVE_SYNTHETIC;
}

/* The real one wrote the literal as canonical name; freeaddrinfo will free whatever stands there. */
static int put_canonical_name(struct addrinfo *list, const char *name)
{
    if (!list->ai_canonname)
        return 0;
    char *copy = strdup(name);
    if (!copy)
        return EAI_MEMORY;
    free(list->ai_canonname);
    list->ai_canonname = copy;
    return 0;
}

/* For those who ask for both families and take IPv6 alone of the answer (curl -6). freeaddrinfo frees each
 * element by itself. */
static void append_mapped(const char *literal, const char *service, const struct addrinfo *hints,
                          struct addrinfo *list)
{
    char mapped[INET6_ADDRSTRLEN];
    struct addrinfo six = *hints, *more = NULL;
    six.ai_family = AF_INET6;
    six.ai_flags &= ~AI_CANONNAME;
    snprintf(mapped, sizeof mapped, "::ffff:%s", literal);
    if (!list || KT_REAL(getaddrinfo)(mapped, service, &six, &more) != 0)
        return;
    while (list->ai_next)
        list = list->ai_next;
    list->ai_next = more;
}

int kt_resolve_addrinfo(const struct kt_resolved *r, const char *node, const char *service,
                        const struct addrinfo *hints, struct addrinfo **res)
{
    /* AI_ADDRCONFIG would refuse where loopback is the only interface, AI_IDN has nothing to convert in a
     * literal. */
    const int keep = AI_PASSIVE | AI_CANONNAME | AI_NUMERICSERV | AI_V4MAPPED | AI_ALL;
    struct addrinfo h;
    memset(&h, 0, sizeof h);
    if (hints)
        h = *hints;
    int flags = h.ai_flags;
    h.ai_flags = (flags & keep) | AI_NUMERICHOST;
    int rc = KT_REAL(getaddrinfo)(r->literal, service, &h, res);
    if (rc == 0 && hints && h.ai_family == AF_UNSPEC && !(flags & AI_ADDRCONFIG))
        append_mapped(r->literal, service, &h, *res);
    if (rc != 0 || !(flags & AI_CANONNAME) || !*res)
        return rc;
    rc = put_canonical_name(*res, node);
    if (rc != 0) {
        freeaddrinfo(*res);
        *res = NULL;
    }
    return rc;
}
