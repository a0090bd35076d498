/* SPDX-License-Identifier: Apache-2.0 */
/* GnuTLS: trust only; what it says and hears is captured on the connection. */
#include "shim/gnutls_trust.h"
#include "shim/guard.h"
#include "shim/ssl_table.h"

#define E_PUSH_ERROR (-53)      /* GNUTLS_E_PUSH_ERROR: the connection failed, see errno */
#define E_INVALID_REQUEST (-50) /* GNUTLS_E_INVALID_REQUEST */
#define REAL(id) kt_gnutls_resolve(id, __builtin_return_address(0))
#define CALL(target, name) ((__typeof__(&name))(target).fn)

KT_HOOK int gnutls_server_name_set(gnutls_session_t session, int type, const void *name, size_t len)
{
    struct kt_gnutls_target t = REAL(KT_GNUTLS_SERVER_NAME_SET);
    if (!kt_bypass())
        kt_gnutls_named(session, name, len);
    return t.fn ? CALL(t, gnutls_server_name_set)(session, type, name, len) : E_INVALID_REQUEST;
}

KT_HOOK int gnutls_handshake(gnutls_session_t session)
{
    struct kt_gnutls_target t = REAL(KT_GNUTLS_HANDSHAKE);
    if (!t.fn || (!kt_bypass() && !kt_gnutls_before_handshake(t.api, session)))
        return E_PUSH_ERROR;
    return CALL(t, gnutls_handshake)(session);
}

KT_HOOK void gnutls_deinit(gnutls_session_t session)
{
    struct kt_gnutls_target t = REAL(KT_GNUTLS_DEINIT);
    if (!kt_bypass())
        kt_ssl_table_drop(session);
    if (t.fn)
        CALL(t, gnutls_deinit)(session);
}
