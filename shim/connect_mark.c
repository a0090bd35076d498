/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/connect_mark.h"

#include "interceptor/abi/kt_connect_mark.h"
#include "shim/env.h"
#include "shim/real.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

_Static_assert(sizeof KT_CONNECT_MARK == KT_CONNECT_MARK_LEN + 1, "the mark's length");
_Static_assert(sizeof KT_CONNECT_MARK_ENGINE == KT_CONNECT_MARK_LEN + 1, "the mark's length");

/* Longer ones, and other families, are nothing that the supervisor takes over. */
static bool can_carry(const struct sockaddr *sa, socklen_t len)
{
    if (!sa || len < sizeof(struct sockaddr_in) || len > sizeof(struct sockaddr_in6))
        return false;
    return sa->sa_family == AF_INET || sa->sa_family == AF_INET6;
}

static int connect_with(const char *mark, int fd, const struct sockaddr *sa, socklen_t len)
{
    union {
        struct sockaddr sa;
        char room[sizeof(struct sockaddr_in6) + KT_CONNECT_MARK_LEN];
    } marked;
    if (!kt_env_get("KT_SUPERVISED") || !can_carry(sa, len))
        return KT_REAL(connect)(fd, sa, len);
    memcpy(marked.room, sa, len);
    memcpy(marked.room + len, mark, KT_CONNECT_MARK_LEN);
    return KT_REAL(connect)(fd, &marked.sa, len + KT_CONNECT_MARK_LEN);
}

int kt_connect_meant(int fd, const struct sockaddr *sa, socklen_t len)
{
    return connect_with(KT_CONNECT_MARK, fd, sa, len);
}

int kt_connect_engine(int fd, const struct sockaddr *sa, socklen_t len)
{
    return connect_with(KT_CONNECT_MARK_ENGINE, fd, sa, len);
}
