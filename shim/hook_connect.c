/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/connect_mark.h"
#include "shim/dest.h"
#include "shim/divert.h"
#include "shim/fdtab.h"
#include "shim/first_words.h"
#include "shim/guard.h"
#include "shim/real.h"
#include "shim/tap.h"

#include <errno.h>

/* A socket of ours that goes elsewhere, or nowhere (AF_UNSPEC). */
static void forget_diversion(int fd)
{
    int saved = errno;
    kt_fdtab_forget(fd);
    errno = saved;
}

KT_HOOK int connect(int fd, const struct sockaddr *sa, socklen_t len)
{
    if (kt_guarded())
        return kt_connect_engine(fd, sa, len);
    if (kt_bypass() || !kt_dest_is_readable(sa, len))
        return KT_REAL(connect)(fd, sa, len);
    if (kt_divert_wants(fd, sa, len)) {
        int ours = kt_divert_connect(fd, sa, len);
        kt_first_words_ours(fd, ours);
        return ours;
    }
    int rc = kt_connect_through(fd, sa, len);
    if (kt_fdtab_used() && (rc == 0 || errno == EINPROGRESS))
        forget_diversion(fd);
    if (kt_tap_used())
        kt_tap_connected(fd, sa, len, rc);
    kt_first_words_await(fd, sa, len, rc);
    return rc;
}
