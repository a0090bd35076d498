/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl makes fds that it lets nobody see. The engine is loaded with RTLD_DEEPBIND, so that libraries which
 * come with it find these in front of the C library's; one that the program has brought finds those of the
 * shim. Not for others' threads: a program may come to use that same libcurl, and select() with its fds.
 */
#include "interceptor/loop/kt_fds.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SHOWN __attribute__((visibility("default")))

SHOWN int socketpair(int domain, int type, int protocol, int fds[2])
{
    int rc = (int)syscall(SYS_socketpair, domain, type, protocol, fds);
    for (int i = 0; rc == 0 && i < 2; i++)
        fds[i] = kt_fds_raise(fds[i]);
    return rc;
}

SHOWN int eventfd(unsigned value, int flags)
{
    int fd = (int)syscall(SYS_eventfd2, value, flags);
    return fd < 0 ? fd : kt_fds_raise(fd);
}
