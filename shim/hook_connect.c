/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/divert.h"
#include "shim/guard.h"
#include "shim/real.h"

KT_HOOK int connect(int fd, const struct sockaddr *sa, socklen_t len)
{
    if (kt_bypass() || !kt_divert_wants(fd, sa, len))
        return KT_REAL(connect)(fd, sa, len);
    return kt_divert_connect(fd, sa, len);
}
