/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 without OpenSSL's global locks. EVP_sha256() looks the algorithm up at each use, under rwlocks that
 * fork does not free in the child: a child forked while any thread of the program initializes OpenSSL or
 * loads an algorithm would wait for ever in its turn, and the log's lock with it. A digest that was fetched
 * before needs none of them.
 */
#include "policyengine/audit/audit_log.h"

#include <openssl/evp.h>
#include <stdatomic.h>

static _Atomic(EVP_MD *) fetched; /* for the life of the process */

void audit_hash_prepare(void)
{
    unsigned char md[EVP_MAX_MD_SIZE];
    EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    /* Used once: what OpenSSL sets up at the first use is then behind us too. */
    if (sha256 && EVP_Digest("", 0, md, NULL, sha256, NULL) == 1)
        atomic_store(&fetched, sha256);
    else
        EVP_MD_free(sha256);
}

kt_result audit_sha256_hex(const void *data, size_t len, char out[KT_SHA256_HEX])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    EVP_MD *sha256 = atomic_load(&fetched);
    if (!sha256)
        return kt_sha256_hex(data, len, out); /* a reader that never opened a log for writing */
    KT_ENSURE(EVP_Digest(data, len, md, &n, sha256, NULL) == 1 && n == 32, KT_ERR_CRYPTO);
    for (unsigned int i = 0; i < n; i++) {
        out[2 * i] = hex[md[i] >> 4];
        out[2 * i + 1] = hex[md[i] & 15];
    }
    out[2 * n] = '\0';
    return kt_ok();
}
