/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/divert.h"
#include "shim/guard.h"
#include "shim/real.h"
#include "shim/tap.h"

KT_HOOK int connect(int fd, const struct sockaddr *sa, socklen_t len)
{
    if (kt_bypass())
        return KT_REAL(connect)(fd, sa, len);
    if (kt_divert_wants(fd, sa, len))
        return kt_divert_connect(fd, sa, len);
    int rc = kt_connect_through(fd, sa, len);
    if (kt_tap_used())
        kt_tap_connected(fd, sa, len, rc);
    return rc;
}
