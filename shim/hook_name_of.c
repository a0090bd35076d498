/* SPDX-License-Identifier: Apache-2.0 */
/* Names of synthetic addresses, from our own table: no resolver knows them, and none must be asked. */
#include "interceptor/abi/kt_plan_format.h"
#include "shim/dest.h"
#include "shim/guard.h"
#include "shim/plan.h"
#include "shim/real.h"
#include "shim/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* Whose address is it? NULL: none of ours. Keeps errno. */
static const char *name_of(uint32_t v4)
{
    struct kt_host host;
    if ((v4 & KT_SYNTH_MASK) != KT_SYNTH_NET || kt_bypass())
        return NULL;
    int saved = errno;
    const char *name = kt_plan_synthetic(v4, &host) ? host.name : NULL;
    errno = saved;
    return name;
}

KT_HOOK int getnameinfo(const struct sockaddr *restrict sa, socklen_t len, char *restrict host,
                        socklen_t host_size, char *restrict serv, socklen_t serv_size, int flags)
{
    struct kt_dest d;
    bool asks = host && host_size > 0 && !(flags & NI_NUMERICHOST);
    const char *name = asks && kt_dest_parse(sa, len, &d) ? name_of(d.v4) : NULL;
    if (!name)
        return KT_REAL(getnameinfo)(sa, len, host, host_size, serv, serv_size, flags);
    size_t size = strlen(name) + 1;
    if (size > host_size)
        return EAI_OVERFLOW;
    if (serv && serv_size > 0) {
        int rc = KT_REAL(getnameinfo)(sa, len, NULL, 0, serv, serv_size, flags & ~NI_NAMEREQD);
        if (rc != 0)
            return rc;
    }
    memcpy(host, name, size);
    return 0;
}

/* The address as gethostbyname2 takes it, and its name. NULL: none of ours. */
static const char *host_of(const void *addr, socklen_t len, int family, char literal[KT_LITERAL_MAX])
{
    const uint8_t *b = addr;
    bool v4 = family == AF_INET && len == 4 && addr;
    bool mapped =
        family == AF_INET6 && len == 16 && addr && IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)addr);
    if (!v4 && !mapped)
        return NULL;
    b += mapped ? 12 : 0;
    snprintf(literal, KT_LITERAL_MAX, "%s%u.%u.%u.%u", mapped ? "::ffff:" : "", b[0], b[1], b[2], b[3]);
    return name_of((uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3]);
}

/* The text of the plan lives for ever. */
static void put_name(struct hostent *h, const char *name)
{
    if (h)
        h->h_name = (char *)(uintptr_t)name;
}

KT_HOOK struct hostent *gethostbyaddr(const void *addr, socklen_t len, int family)
{
    char literal[KT_LITERAL_MAX];
    const char *name = host_of(addr, len, family, literal);
    if (!name)
        return KT_REAL(gethostbyaddr)(addr, len, family);
    struct hostent *h = KT_REAL(gethostbyname2)(literal, family);
    put_name(h, name);
    return h;
}

KT_HOOK int gethostbyaddr_r(const void *restrict addr, socklen_t len, int family,
                            struct hostent *restrict ret, char *restrict buf, size_t size,
                            struct hostent **restrict result, int *restrict h_errnop)
{
    char literal[KT_LITERAL_MAX];
    const char *name = host_of(addr, len, family, literal);
    if (!name)
        return KT_REAL(gethostbyaddr_r)(addr, len, family, ret, buf, size, result, h_errnop);
    int rc = KT_REAL(gethostbyname2_r)(literal, family, ret, buf, size, result, h_errnop);
    if (rc == 0)
        put_name(*result, name);
    return rc;
}
