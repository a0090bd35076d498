/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which GnuTLS session trusts our CA, and which is refused. GnuTLS keeps trust in credentials, which sessions
 * may share: the session that talks to us gets credentials of its own, with our CA alone. */
#include "shim/gnutls_api.h"

/* The program named the server. Keeps errno. */
void kt_gnutls_named(gnutls_session_t session, const char *name, size_t len);
/* The session is about to end: what must be freed behind gnutls_deinit, by the real
 * gnutls_certificate_free_credentials, or NULL. */
void *kt_gnutls_ended(gnutls_session_t session);
/* False: refuse the handshake (fail_mode: block), errno is set. */
bool kt_gnutls_before_handshake(const struct kt_gnutls_api *api, gnutls_session_t session);
