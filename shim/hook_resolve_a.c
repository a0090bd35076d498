/* SPDX-License-Identifier: Apache-2.0 */
/* getaddrinfo_a: the C library asks its own getaddrinfo, behind our hook and in threads of its own. An
 * intercepted name is asked for by its synthetic address instead: the program's notification, its waiting and
 * its freeing stay the C library's. */
#include "shim/guard.h"
#include "shim/real.h"
#include "shim/resolve.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define LITERALS 512u

/* A text that outlives the request, which may end at any time. Each address once; NULL = no place left. */
static const char *for_ever(const char *literal)
{
    static _Atomic(const char *) known[LITERALS];
    for (size_t i = 0; i < LITERALS; i++) {
        const char *there = atomic_load(&known[i]);
        char *mine = there ? NULL : strdup(literal);
        if (!there && (!mine || atomic_compare_exchange_strong(&known[i], &there, mine)))
            return mine;
        free(mine);
        if (strcmp(there, literal) == 0)
            return there;
    }
    return NULL;
}

/* False: the name is ours and cannot be answered. */
static bool replace(struct gaicb *q)
{
    const struct addrinfo *hints = q->ar_request;
    struct kt_resolved r;
    if (!q->ar_name || (hints && hints->ai_flags & AI_NUMERICHOST))
        return true;
    enum kt_resolve what =
        kt_resolve_name(q->ar_name, q->ar_service, hints ? hints->ai_family : AF_UNSPEC, &r);
    if (what == KT_RESOLVE_REAL || what == KT_RESOLVE_WATCH)
        return true;
    const char *literal = what == KT_RESOLVE_SYNTHETIC ? for_ever(r.literal) : NULL;
    if (literal)
        q->ar_name = literal;
    return literal != NULL;
}

KT_HOOK int getaddrinfo_a(int mode, struct gaicb *list[restrict], int count, struct sigevent *restrict event)
{
    int saved = errno;
    for (int i = 0; i < count && list && !kt_bypass(); i++)
        if (list[i] && !replace(list[i]))
            return EAI_FAIL;
    errno = saved;
    __typeof__(&getaddrinfo_a) real = KT_REAL(getaddrinfo_a);
    if (real)
        return real(mode, list, count, event);
    errno = ENOSYS; /* a libc that keeps it in libanl, which is not loaded */
    return EAI_SYSTEM;
}
