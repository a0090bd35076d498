/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The hooked functions of OpenSSL, as its headers declare them: no header of a library is included here. */
#include "shim/guard.h"
#include "shim/ssl_api.h"
#include "shim/ssl_table.h"
#include "shim/ssl_watch.h"

int SSL_connect(SSL *ssl);
int SSL_do_handshake(SSL *ssl);
int SSL_read(SSL *ssl, void *buf, int num);
int SSL_read_ex(SSL *ssl, void *buf, size_t num, size_t *got);
int SSL_peek(SSL *ssl, void *buf, int num);
int SSL_peek_ex(SSL *ssl, void *buf, size_t num, size_t *got);
int SSL_write(SSL *ssl, const void *buf, int num);
int SSL_write_ex(SSL *ssl, const void *buf, size_t num, size_t *done);
int SSL_write_ex2(SSL *ssl, const void *buf, size_t num, uint64_t flags, size_t *done);
int SSL_write_early_data(SSL *ssl, const void *buf, size_t num, size_t *done);
int SSL_shutdown(SSL *ssl);
void SSL_free(SSL *ssl);
int SSL_clear(SSL *ssl);

/* The function that the caller of this hook meant. */
#define KT_SSL_REAL(name) kt_ssl_resolve(KT_SSL_ID_##name, __builtin_return_address(0))
/* What went through a tapped SSL, where the call succeeded. */
static inline void kt_ssl_copied(SSL *ssl, enum kt_abi_dir dir, const void *data, size_t len)
{
    if (len > 0 && !kt_bypass())
        kt_ssl_table_copy(ssl, dir, data, len);
}

/* Around the real function. */
static inline void kt_ssl_call_begins(const struct kt_ssl_target *t, SSL *ssl)
{
    if (!kt_bypass())
        kt_ssl_watch_before_call(t->api, ssl);
}

static inline void kt_ssl_call_is_over(const struct kt_ssl_target *t, SSL *ssl)
{
    if (!kt_bypass())
        kt_ssl_watch_behind_call(t->api, ssl);
}

#define KT_SSL_CALL(target, name) ((__typeof__(&name))(target).fn)
