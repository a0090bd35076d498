/* SPDX-License-Identifier: Apache-2.0 */
/* fds that a libcurl of the program's makes for the engine, in threads of the engine: up, out of the
 * program's way. */
#include "shim/guard.h"
#include "shim/own_fd.h"
#include "shim/real.h"

#include <sys/eventfd.h>
#include <sys/socket.h>

KT_HOOK int socketpair(int domain, int type, int protocol, int fds[2])
{
    int rc = KT_REAL(socketpair)(domain, type, protocol, fds);
    for (int i = 0; rc == 0 && kt_guarded() && i < 2; i++)
        fds[i] = kt_shim_fd_raise(fds[i]);
    return rc;
}

KT_HOOK int eventfd(unsigned value, int flags)
{
    int fd = KT_REAL(eventfd)(value, flags);
    return fd >= 0 && kt_guarded() ? kt_shim_fd_raise(fd) : fd;
}
