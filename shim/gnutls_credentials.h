/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Credentials of ours for one GnuTLS session: they trust our CA and nothing else. The program's own may be in
 * use by other threads at this moment, and GnuTLS lets nobody add to them then. */
#include "shim/gnutls_api.h"

/* The program gave its credentials a function of its own that verifies (NULL = none any more). Keeps errno.
 */
void kt_gnutls_note_verify(const void *cred, kt_gnutls_verify_fn fn);

/* Makes credentials with this CA (DER), and the verify function of those that the session has now, and gives
 * them to the session. New; free them behind gnutls_deinit. NULL: the session keeps what it had. */
void *kt_gnutls_own_credentials(const struct kt_gnutls_api *g, gnutls_session_t session, const uint8_t *der,
                                size_t len);
