/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/divert.h"
#include "shim/fdtab.h"
#include "shim/guard.h"
#include "shim/readable.h"
#include "shim/real.h"

KT_HOOK int getpeername(int fd, struct sockaddr *restrict sa, socklen_t *restrict len)
{
    if (kt_bypass() || !kt_fdtab_used() || !kt_readable(len, sizeof *len))
        return KT_REAL(getpeername)(fd, sa, len);
    socklen_t size = *len;
    int rc = KT_REAL(getpeername)(fd, sa, len);
    if (rc == 0)
        kt_divert_fix_peer(fd, sa, size, len);
    return rc;
}
