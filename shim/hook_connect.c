/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/connect_mark.h"
#include "shim/divert.h"
#include "shim/first_words.h"
#include "shim/guard.h"
#include "shim/real.h"
#include "shim/tap.h"
#include "shim/tap_sockets.h"

KT_HOOK int connect(int fd, const struct sockaddr *sa, socklen_t len)
{
    if (kt_guarded())
        return kt_connect_meant(fd, sa, len);
    if (kt_bypass())
        return KT_REAL(connect)(fd, sa, len);
    if (kt_tap_flag(fd) == KT_TAP_STRANGER)
        kt_tap_socket_closed(fd); /* of an earlier socket with this number */
    if (kt_divert_wants(fd, sa, len))
        return kt_divert_connect(fd, sa, len);
    int rc = kt_connect_through(fd, sa, len);
    if (kt_tap_used())
        kt_tap_connected(fd, sa, len, rc);
    kt_first_words_await(fd, sa, len, rc);
    return rc;
}
