/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside interceptor/tls: builds and signs the two kinds of certificate. */
#include "interceptor/tls/kt_ca_name.h"
#include "policyengine/base/kt_option.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

void kt_cleanup_x509(X509 **cert);
void kt_cleanup_pkey(EVP_PKEY **key);

/* new: a P-256 key. NULL on failure. */
EVP_PKEY *kt_mint_key(void);
/* new: the self-signed CA for `hosts`. */
kt_result kt_mint_ca(const struct kt_strings *hosts, EVP_PKEY *key, X509 **out, struct kt_error *err) KT_MUST;
/* new: a leaf of `ca` that lives exactly as long as it. KT_ERR_USAGE where the CA's nameConstraints do not
 * permit the name. */
kt_result kt_mint_leaf(X509 *ca, EVP_PKEY *ca_key, EVP_PKEY *leaf_key, const struct kt_ca_name *name,
                       X509 **out) KT_MUST;
