/* SPDX-License-Identifier: Apache-2.0 */
/* The loop that answers the notifications of a tree. */
#include "tools/supervise/private.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#define SYNC_WAKE_UP 1ul /* Linux 6.6: the caller runs on our processor next, which saves half the time */

void serve_answer(const struct kt_supervise *s, const struct seccomp_notif *n, struct answer a)
{
    struct seccomp_notif_resp r = {.id = n->id};
    if (a.kind == ANSWER_SENT)
        return;
    if (a.kind == ANSWER_CONTINUE)
        r.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    else
        r.error = -a.error;
    /* ENOENT: the process has gone meanwhile. Nothing else can be wrong with a well-formed answer. */
    while (ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SEND, &r) != 0 && errno == EINTR)
        ;
}

void *serve(void *supervise)
{
    struct kt_supervise *s = supervise;
    ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP);
    for (;;) {
        struct pollfd p = {s->listener, POLLIN, 0};
        if (poll(&p, 1, -1) < 0)
            continue; /* EINTR, or no memory just now */
        if (!(p.revents & POLLIN))
            return NULL; /* POLLHUP: nobody is left */
        struct seccomp_notif n;
        memset(&n, 0, sizeof n);
        if (ioctl(s->listener, SECCOMP_IOCTL_NOTIF_RECV, &n) == 0)
            serve_answer(s, &n, answer_call(s, &n));
    }
}
