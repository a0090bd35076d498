/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Handoff: what the program writes on a trusted SSL goes to the engine's flow in memory, in the caller's
 * thread. The answer still comes through TLS. */
#include "shim/ssl_api.h"

enum kt_ssl_write {
    KT_SSL_WRITE_REAL, /* call the real function */
    KT_SSL_WRITE_DONE, /* all of it was taken */
    KT_SSL_WRITE_FAIL  /* *failed is what SSL_write must return; errno is set where it says so */
};

/* What becomes of `len` bytes written to `ssl`; never a part of them. */
enum kt_ssl_write kt_ssl_write(const struct kt_ssl_api *api, SSL *ssl, const void *data, size_t len,
                               int *failed);
