/* SPDX-License-Identifier: Apache-2.0 */
/* A program that becomes another user may lose the right to write the audit log. */
#include "shim/audit_fds.h"
#include "shim/guard.h"
#include "shim/real.h"

#include <unistd.h>

static void before(void)
{
    if (!kt_bypass())
        kt_audit_fds_keep();
}

KT_HOOK int setuid(uid_t uid)
{
    before();
    return KT_REAL(setuid)(uid);
}

KT_HOOK int seteuid(uid_t uid)
{
    before();
    return KT_REAL(seteuid)(uid);
}

KT_HOOK int setreuid(uid_t real, uid_t effective)
{
    before();
    return KT_REAL(setreuid)(real, effective);
}

KT_HOOK int setresuid(uid_t real, uid_t effective, uid_t saved)
{
    before();
    return KT_REAL(setresuid)(real, effective, saved);
}
