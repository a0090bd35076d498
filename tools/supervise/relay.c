/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/supervise/private.h"

struct answer relay_connect(struct kt_supervise *s, const struct seccomp_notif *n, int fd,
                            const struct target_dest *d)
{
    (void)s;
    (void)n;
    (void)fd;
    (void)d;
    return (struct answer){ANSWER_CONTINUE, 0};
}
