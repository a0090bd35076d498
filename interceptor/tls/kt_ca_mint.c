/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/tls/kt_ca_mint.h"
#include "interceptor/tls/kt_ca.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#define CLOCK_SKEW_SECONDS 3600
#define MAX_CN 64 /* ub-common-name */

void kt_cleanup_x509(X509 **cert)
{
    X509_free(*cert);
}

void kt_cleanup_pkey(EVP_PKEY **key)
{
    EVP_PKEY_free(*key); /* clears the private number */
}

EVP_PKEY *kt_mint_key(void)
{
    return EVP_EC_gen("P-256");
}

static kt_result set_serial(X509 *cert)
{
    unsigned char bytes[16];
    KT_GUARD(kt_random(bytes, sizeof bytes));
    bytes[0] |= 0x40; /* never zero, never short */
    BIGNUM *n = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool fine = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));
    BN_free(n);
    KT_ENSURE(fine, KT_ERR_CRYPTO);
    return kt_ok();
}

/* Takes `value` (NULL: the allocation before failed). `free_value` matches its type. */
static bool add_ext(X509 *cert, int nid, void *value, bool critical, void (*free_value)(void *))
{
    bool fine = value && X509_add1_ext_i2d(cert, nid, value, critical, X509V3_ADD_APPEND) == 1;
    free_value(value);
    return fine;
}

static void free_basic(void *v)
{
    BASIC_CONSTRAINTS_free(v);
}

static void free_string(void *v)
{
    ASN1_STRING_free(v);
}

static void free_akid(void *v)
{
    AUTHORITY_KEYID_free(v);
}

static void free_names(void *v)
{
    GENERAL_NAMES_free(v);
}

static void free_eku(void *v)
{
    EXTENDED_KEY_USAGE_free(v);
}

static void free_constraints(void *v)
{
    NAME_CONSTRAINTS_free(v);
}

static bool add_basic(X509 *cert, bool ca)
{
    BASIC_CONSTRAINTS *bc = BASIC_CONSTRAINTS_new();
    if (bc && ca) {
        bc->ca = 0xff; /* DER TRUE */
        bc->pathlen = ASN1_INTEGER_new();
        if (!bc->pathlen || !ASN1_INTEGER_set(bc->pathlen, 0)) {
            BASIC_CONSTRAINTS_free(bc);
            return false;
        }
    }
    return add_ext(cert, NID_basic_constraints, bc, true, free_basic);
}

static bool add_key_usage(X509 *cert, int bit)
{
    ASN1_BIT_STRING *ku = ASN1_BIT_STRING_new();
    if (ku && !ASN1_BIT_STRING_set_bit(ku, bit, 1)) {
        ASN1_BIT_STRING_free(ku);
        return false;
    }
    return add_ext(cert, NID_key_usage, ku, true, free_string);
}

/* RFC 7093 method 1: the leftmost 160 bits of the public key's SHA-256. */
static ASN1_OCTET_STRING *key_id(X509 *of)
{
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();
    if (id && (!X509_pubkey_digest(of, EVP_sha256(), md, &n) || !ASN1_OCTET_STRING_set(id, md, 20))) {
        ASN1_OCTET_STRING_free(id);
        return NULL;
    }
    return id;
}

static bool add_key_ids(X509 *cert, X509 *issuer)
{
    AUTHORITY_KEYID *akid = AUTHORITY_KEYID_new();
    if (akid)
        akid->keyid = key_id(issuer);
    if (!akid || !akid->keyid) {
        AUTHORITY_KEYID_free(akid);
        return false;
    }
    bool fine = add_ext(cert, NID_authority_key_identifier, akid, false, free_akid);
    return fine && add_ext(cert, NID_subject_key_identifier, key_id(cert), false, free_string);
}

static bool push_subtree(STACK_OF(GENERAL_SUBTREE) * *list, GENERAL_NAME *base)
{
    GENERAL_SUBTREE *tree = base ? GENERAL_SUBTREE_new() : NULL;
    if (tree) {
        GENERAL_NAME_free(tree->base);
        tree->base = base;
        if (!*list)
            *list = sk_GENERAL_SUBTREE_new_null();
        if (*list && sk_GENERAL_SUBTREE_push(*list, tree))
            return true;
        GENERAL_SUBTREE_free(tree);
        return false;
    }
    GENERAL_NAME_free(base);
    return false;
}

/* 0.0.0.0/0 and ::/0: without them a constraint on DNS names would leave every address free. */
static bool exclude_all_addresses(NAME_CONSTRAINTS *nc)
{
    static const unsigned char zero[32];
    for (int n = 8; n <= 32; n += 24) {
        GENERAL_NAME *g = GENERAL_NAME_new();
        ASN1_OCTET_STRING *s = ASN1_OCTET_STRING_new();
        if (!g || !s || !ASN1_OCTET_STRING_set(s, zero, n)) {
            GENERAL_NAME_free(g);
            ASN1_OCTET_STRING_free(s);
            return false;
        }
        GENERAL_NAME_set0_value(g, GEN_IPADD, s);
        if (!push_subtree(&nc->excludedSubtrees, g))
            return false;
    }
    return true;
}

static kt_result fill_constraints(NAME_CONSTRAINTS *nc, const struct kt_strings *hosts, struct kt_error *err)
{
    struct kt_ca_name name;
    bool any_dns = false, any_ip = false;
    for (size_t i = 0; i < hosts->count; i++) {
        if (!kt_is_ok(kt_ca_name_parse(hosts->items[i], &name)))
            return kt_fail(err, KT_ERR_USAGE,
                           "'%.200s' is neither a DNS name nor an IP address; write international names in "
                           "their xn-- form",
                           hosts->items[i]);
        any_dns |= name.ip_len == 0;
        any_ip |= name.ip_len != 0;
        KT_ENSURE(push_subtree(&nc->permittedSubtrees, kt_ca_name_general(&name, true)), KT_ERR_MEMORY);
    }
    if (!any_dns) { /* no permitted DNS name at all would mean: any DNS name. This one never exists (RFC
                       6761). */
        KT_GUARD(kt_ca_name_parse("ktwrap.invalid", &name));
        KT_ENSURE(push_subtree(&nc->permittedSubtrees, kt_ca_name_general(&name, true)), KT_ERR_MEMORY);
    }
    KT_ENSURE(any_ip || exclude_all_addresses(nc), KT_ERR_MEMORY);
    return kt_ok();
}

static kt_result add_constraints(X509 *cert, const struct kt_strings *hosts, struct kt_error *err)
{
    NAME_CONSTRAINTS *nc = NAME_CONSTRAINTS_new();
    KT_ENSURE(nc, KT_ERR_MEMORY);
    kt_result r = fill_constraints(nc, hosts, err);
    if (!kt_is_ok(r)) {
        NAME_CONSTRAINTS_free(nc);
        return r;
    }
    KT_ENSURE(add_ext(cert, NID_name_constraints, nc, true, free_constraints), KT_ERR_CRYPTO);
    return kt_ok();
}

static bool set_subject(X509 *cert, const char *cn)
{
    X509_NAME *subject = X509_get_subject_name(cert);
    return X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC, (const unsigned char *)"ktwrap", -1, -1,
                                      0) == 1 &&
           X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0) == 1;
}

/* new: version 3, serial, subject and key. */
static kt_result begin(const char *cn, EVP_PKEY *key, X509 **out)
{
    KT_CLEANUP(kt_cleanup_x509) X509 *cert = X509_new();
    KT_ENSURE(cert, KT_ERR_MEMORY);
    KT_GUARD(set_serial(cert));
    KT_ENSURE(X509_set_version(cert, X509_VERSION_3) && set_subject(cert, cn) && X509_set_pubkey(cert, key),
              KT_ERR_CRYPTO);
    *out = KT_TAKE(cert);
    return kt_ok();
}

kt_result kt_mint_ca(const struct kt_strings *hosts, EVP_PKEY *key, X509 **out, struct kt_error *err)
{
    unsigned char id[4];
    char cn[MAX_CN];
    KT_GUARD(kt_random(id, sizeof id));
    /* Several of our CAs may lie in one trust store: some stacks look issuers up by subject only. */
    snprintf(cn, sizeof cn, "ktwrap local CA %02x%02x%02x%02x", id[0], id[1], id[2], id[3]);
    KT_CLEANUP(kt_cleanup_x509) X509 *cert = NULL;
    KT_GUARD(begin(cn, key, &cert));
    KT_ENSURE(X509_set_issuer_name(cert, X509_get_subject_name(cert)) &&
                  X509_gmtime_adj(X509_getm_notBefore(cert), -CLOCK_SKEW_SECONDS) &&
                  X509_gmtime_adj(X509_getm_notAfter(cert), KT_CA_VALID_SECONDS),
              KT_ERR_CRYPTO);
    KT_ENSURE(add_basic(cert, true) && add_key_usage(cert, 5), KT_ERR_CRYPTO); /* bit 5: keyCertSign */
    KT_GUARD(add_constraints(cert, hosts, err));
    KT_ENSURE(add_key_ids(cert, cert) && X509_sign(cert, key, EVP_sha256()), KT_ERR_CRYPTO);
    *out = KT_TAKE(cert);
    return kt_ok();
}

static bool add_san(X509 *cert, const struct kt_ca_name *name)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *g = kt_ca_name_general(name, false);
    if (!names || !g || !sk_GENERAL_NAME_push(names, g)) {
        GENERAL_NAME_free(g);
        GENERAL_NAMES_free(names);
        return false;
    }
    return add_ext(cert, NID_subject_alt_name, names, false, free_names);
}

static bool add_server_auth(X509 *cert)
{
    EXTENDED_KEY_USAGE *eku = EXTENDED_KEY_USAGE_new();
    if (eku && !sk_ASN1_OBJECT_push(eku, OBJ_nid2obj(NID_server_auth))) {
        EXTENDED_KEY_USAGE_free(eku);
        return false;
    }
    return add_ext(cert, NID_ext_key_usage, eku, false, free_eku);
}

/* The very check that a client makes, so that no leaf is served which each client would refuse. */
static kt_result check_permitted(X509 *ca, X509 *leaf)
{
    NAME_CONSTRAINTS *nc = X509_get_ext_d2i(ca, NID_name_constraints, NULL, NULL);
    KT_ENSURE(nc, KT_ERR_CRYPTO);
    X509_check_purpose(leaf, -1, 0); /* fills the cached alternative names that the check reads */
    int rc = NAME_CONSTRAINTS_check(leaf, nc);
    NAME_CONSTRAINTS_free(nc);
    KT_ENSURE(rc == X509_V_OK, KT_ERR_USAGE);
    return kt_ok();
}

kt_result kt_mint_leaf(X509 *ca, EVP_PKEY *ca_key, EVP_PKEY *leaf_key, const struct kt_ca_name *name,
                       X509 **out)
{
    KT_ENSURE(!name->wildcard, KT_ERR_USAGE);
    /* An address in CN would be read as a DNS name, and fail the constraints, where no DNS name is in the
     * SAN. */
    bool as_cn = name->ip_len == 0 && strlen(name->text) <= MAX_CN;
    KT_CLEANUP(kt_cleanup_x509) X509 *cert = NULL;
    KT_GUARD(begin(as_cn ? name->text : "ktwrap leaf", leaf_key, &cert));
    KT_ENSURE(X509_set_issuer_name(cert, X509_get_subject_name(ca)) &&
                  X509_set1_notBefore(cert, X509_get0_notBefore(ca)) &&
                  X509_set1_notAfter(cert, X509_get0_notAfter(ca)),
              KT_ERR_CRYPTO);
    KT_ENSURE(add_basic(cert, false) && add_key_usage(cert, 0) && add_server_auth(cert) &&
                  add_san(cert, name) && add_key_ids(cert, ca),
              KT_ERR_CRYPTO); /* bit 0: digitalSignature */
    KT_ENSURE(X509_sign(cert, ca_key, EVP_sha256()), KT_ERR_CRYPTO);
    KT_GUARD(check_permitted(ca, cert));
    *out = KT_TAKE(cert);
    return kt_ok();
}
