/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which GnuTLS session trusts our CA, and which is refused. GnuTLS keeps trust in credentials, which sessions
 * may share: our CA joins those of the session that talks to us, and its critical nameConstraints limit it to
 * the intercepted hosts. */
#include "shim/gnutls_api.h"

/* The program named the server. Keeps errno. */
void kt_gnutls_named(gnutls_session_t session, const char *name, size_t len);
/* False: refuse the handshake (fail_mode: block), errno is set. */
bool kt_gnutls_before_handshake(const struct kt_gnutls_api *api, gnutls_session_t session);
