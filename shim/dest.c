/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/dest.h"

#include "shim/readable.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

bool kt_dest_is_readable(const struct sockaddr *sa, socklen_t len)
{
    return kt_readable(sa, len < 128 ? len : 128);
}

bool kt_dest_parse(const struct sockaddr *sa, socklen_t len, struct kt_dest *d)
{
    if (!sa || len < sizeof(struct sockaddr_in))
        return false;
    memset(d, 0, sizeof *d);
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof in);
        d->ip[10] = d->ip[11] = 0xff;
        memcpy(d->ip + 12, &in.sin_addr, 4);
        d->port = ntohs(in.sin_port);
    } else if (sa->sa_family == AF_INET6 && len >= 24) { /* RFC 2133 had no scope id */
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, 24);
        memcpy(d->ip, &in6.sin6_addr, 16);
        d->port = ntohs(in6.sin6_port);
        if (!IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
            return true;
    } else {
        return false;
    }
    d->v4 = (uint32_t)d->ip[12] << 24 | (uint32_t)d->ip[13] << 16 | (uint32_t)d->ip[14] << 8 | d->ip[15];
    return true;
}

bool kt_dest_is_stream(int fd)
{
    int type = 0, saved = errno;
    socklen_t len = sizeof type;
    bool ok = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
    errno = saved;
    return ok;
}
