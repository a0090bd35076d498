/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/shim/fake_engine.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

static X509 *ca;
static EVP_PKEY *ca_key;
static uint8_t *ca_bytes;
static int ca_len;

static int extend(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    int ok = e && X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
    return ok;
}

static X509 *certificate(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, long serial)
{
    X509 *x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                               -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer : x));
    if (!issuer) {
        extend(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
        extend(x, x, NID_key_usage, "critical,keyCertSign");
    } else {
        char san[300];
        snprintf(san, sizeof san, "%s:%s", strspn(name, "0123456789.") == strlen(name) ? "IP" : "DNS", name);
        extend(x, issuer, NID_subject_alt_name, san);
    }
    X509_sign(x, issuer_key ? issuer_key : key, EVP_sha256());
    return x;
}

static int write_pem(const char *dir)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/ca.key", dir);
    FILE *f = fopen(path, "w");
    if (!f)
        return -1;
    PEM_write_PrivateKey(f, ca_key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    snprintf(path, sizeof path, "%s/ca.pem", dir);
    if (!(f = fopen(path, "w")))
        return -1;
    PEM_write_X509(f, ca);
    fclose(f);
    return 0;
}

static int read_pem(const char *dir)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/ca.key", dir);
    FILE *f = fopen(path, "r");
    if (!f)
        return -1;
    ca_key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    fclose(f);
    snprintf(path, sizeof path, "%s/ca.pem", dir);
    if (!(f = fopen(path, "r")))
        return -1;
    ca = PEM_read_X509(f, NULL, NULL, NULL);
    fclose(f);
    return ca && ca_key ? 0 : -1;
}

int fake_ca_open(const char *dir)
{
    if (read_pem(dir) != 0) {
        ca_key = EVP_EC_gen("P-256");
        ca = certificate("shim test CA", ca_key, NULL, NULL, 1);
        if (write_pem(dir) != 0)
            return -1;
    }
    ca_len = i2d_X509(ca, &ca_bytes);
    return ca_len > 0 ? 0 : -1;
}

size_t fake_ca_der(const uint8_t **der)
{
    *der = ca_bytes;
    return (size_t)ca_len;
}

SSL_CTX *fake_ca_server(const char *name)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *leaf = certificate(name, key, ca, ca_key, 2 + (long)(time(NULL) % 100000));
    SSL_CTX_use_certificate(ctx, leaf);
    SSL_CTX_use_PrivateKey(ctx, key);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    X509_free(leaf);
    EVP_PKEY_free(key);
    return ctx;
}
