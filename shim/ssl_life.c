/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/ssl_life.h"

#include "shim/guard.h"
#include "shim/ssl_table.h"

#include <errno.h>

#define INDEX_OF_SSL 0 /* CRYPTO_EX_INDEX_SSL, in OpenSSL 1.1 and 3 */

enum { UNKNOWN, FOLLOWED, NOT_FOLLOWED };

/* The engine's own SSLs end here, too, where it shares the library; it may hold its locks then. */
static void ended(void *ssl, void *ptr, void *data, int index, long argl, void *argp)
{
    (void)ptr, (void)data, (void)index, (void)argl, (void)argp;
    if (kt_bypass())
        return;
    int saved = errno;
    kt_ssl_table_drop(ssl);
    errno = saved;
}

void kt_ssl_life_follow(const struct kt_ssl_api *api)
{
    struct kt_ssl_api *a = (struct kt_ssl_api *)(uintptr_t)api;
    int unknown = UNKNOWN;
    /* Others that have both names (BoringSSL, LibreSSL) have other classes of indices. */
    bool can = a->CRYPTO_get_ex_new_index && a->BIO_number_written && !a->SSL_get_ex_new_index;
    if (atomic_load(&a->life) != UNKNOWN ||
        !atomic_compare_exchange_strong(&a->life, &unknown, NOT_FOLLOWED) || !can)
        return;
    if (a->CRYPTO_get_ex_new_index(INDEX_OF_SSL, 0, NULL, NULL, NULL, ended) >= 0)
        atomic_store(&a->life, FOLLOWED);
}

bool kt_ssl_life_is_followed(const struct kt_ssl_api *api)
{
    return api && atomic_load(&((struct kt_ssl_api *)(uintptr_t)api)->life) == FOLLOWED;
}
