/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 without OpenSSL's global locks. EVP_sha256() looks the algorithm up at each use, under rwlocks that
 * fork does not free in the child: a child forked while any thread of the program initializes OpenSSL or
 * loads an algorithm would wait for ever in it. A digest that was fetched before needs none of them.
 */
#include "policyengine/base/kt_base.h"

#include <openssl/evp.h>
#include <stdatomic.h>

static _Atomic(EVP_MD *) fetched; /* for the life of the process */

void kt_sha256_prepare(void)
{
    unsigned char md[EVP_MAX_MD_SIZE];
    if (atomic_load(&fetched))
        return;
    EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA256", NULL), *none = NULL;
    /* Used once: what OpenSSL sets up at the first use is then behind us too. */
    bool usable = sha256 && EVP_Digest("", 0, md, NULL, sha256, NULL) == 1;
    if (!usable || !atomic_compare_exchange_strong(&fetched, &none, sha256))
        EVP_MD_free(sha256);
}

kt_result kt_sha256_hex(const void *data, size_t len, char out[KT_SHA256_HEX])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    const EVP_MD *ready = atomic_load(&fetched);
    KT_ENSURE(EVP_Digest(data, len, md, &n, ready ? ready : EVP_sha256(), NULL) == 1 && n == 32,
              KT_ERR_CRYPTO);
    for (unsigned int i = 0; i < n; i++) {
        out[2 * i] = hex[md[i] >> 4];
        out[2 * i + 1] = hex[md[i] & 15];
    }
    out[2 * n] = '\0';
    return kt_ok();
}
