/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The short-lived CA of a process tree and the leaves that it signs. ECDSA P-256, or RSA leaves. The CA
 * carries critical basicConstraints (CA, pathlen 0), critical keyUsage keyCertSign and critical
 * nameConstraints that permit the intercepted names only, and exclude all IP addresses unless one is
 * intercepted (RFC 5280 4.2.1.10). Leaves: SAN, serverAuth, SKI, AKI; they pass `openssl verify
 * -x509_strict`.
 */
#include "policyengine/base/kt_buf.h"
#include "policyengine/base/kt_option.h"

#include <openssl/ssl.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kt_ca;

enum kt_ca_kind {
    KT_CA_P256,
    KT_CA_RSA, /* 2048 bits, for clients that take nothing else; its key is made when first asked for (0.1 s)
                */
    KT_CA_KINDS
};

#define KT_CA_VALID_SECONDS (7 * 24 * 3600)
#define KT_CA_MAX_NAMES 256 /* leaves per CA */

/* new, in memory. `hosts`: names, "*.suffix", IP literals. KT_ERR_USAGE where one is none of these. */
kt_result kt_ca_new(const struct kt_strings *hosts, struct kt_ca **out, struct kt_error *err) KT_MUST;
/* new, from files that kt_ca_save wrote. KT_ERR_STATE where it has expired; KT_ERR_IO also where the key file
 * is a link, belongs to somebody else or others may read it. */
kt_result kt_ca_load(const char *cert_pem, const char *key_pem, struct kt_ca **out,
                     struct kt_error *err) KT_MUST;
/* Certificate 0644, key 0600, both created exclusively (O_EXCL|O_NOFOLLOW). Nothing is left behind on
 * failure. */
kt_result kt_ca_save(const struct kt_ca *ca, const char *cert_pem, const char *key_pem,
                     struct kt_error *err) KT_MUST;
void kt_ca_free(struct kt_ca *ca);
/* Borrowed. */
struct kt_span kt_ca_der(const struct kt_ca *ca);
/* Appends the certificate as PEM. */
kt_result kt_ca_pem(const struct kt_ca *ca, struct kt_buf *out) KT_MUST;
/* Seconds since the epoch; no leaf outlives it. A process that lives longer needs another CA. */
time_t kt_ca_expires(const struct kt_ca *ca);
/* A server SSL_CTX with a leaf of this kind for `name` (a DNS name or an IP literal), ALPN http/1.1 (no
 * answer to a client that offers others only), no tickets; cached, borrowed from the CA. Any thread.
 * KT_ERR_USAGE: not a name, or outside the constraints; KT_ERR_LIMIT: KT_CA_MAX_NAMES are in use. */
kt_result kt_ca_server_ctx_of(struct kt_ca *ca, const char *name, enum kt_ca_kind kind,
                              SSL_CTX **out) KT_MUST;
/* The same with KT_CA_P256. */
kt_result kt_ca_server_ctx(struct kt_ca *ca, const char *name, SSL_CTX **out) KT_MUST;

#ifdef __cplusplus
}
#endif
