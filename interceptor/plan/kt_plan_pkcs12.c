/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/plan/kt_plan.h"
#include "interceptor/plan/kt_plan_trust.h"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <stdio.h>
#include <string.h>

/*
 * The bags are written by hand: OpenSSL 3 would decode the public key of each of the system's 150 roots,
 * which takes 100 ms, and the bytes of a certificate are all that is wanted.
 */

#define MAX_CERTIFICATES 4096
#define MAX_CERTIFICATE_BYTES (64u << 10)

enum {
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
    DER_EXPLICIT_0 = 0xa0,
    DER_OCTETS = 0x04,
    DER_BITS = 0x03,
    DER_BMP = 0x1e
};

#define OID_CERT_BAG "\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x03" /* 1.2.840.113549.1.12.10.1.3 */
#define OID_X509 "\x06\x0a\x2a\x86\x48\x86\xf7\x0d\x01\x09\x16\x01"         /* 1.2.840.113549.1.9.22.1 */
#define OID_FRIENDLY "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x14"         /* 1.2.840.113549.1.9.20 */
/* trustedKeyUsage { anyExtendedKeyUsage }: without it Java does not take a certificate without a key for a
 * trusted one. */
#define ATTRIBUTE_TRUSTED                                                                                    \
    "\x30\x16\x06\x0c\x60\x86\x48\x01\x86\xf9\x66\xad\xca\x7b\x01\x01\x31\x06\x06\x04\x55\x1d\x25\x00"

#define LITERAL(s) kt_span((s), sizeof(s) - 1)

static kt_result put(struct kt_buf *out, struct kt_span bytes)
{
    return kt_buf_append(out, bytes.data, bytes.len);
}

static kt_result put_tlv(struct kt_buf *out, unsigned char tag, struct kt_span content)
{
    unsigned char head[6] = {tag};
    size_t n = 1, digits = 0;
    if (content.len < 0x80) {
        head[n++] = (unsigned char)content.len;
    } else {
        for (size_t left = content.len; left; left >>= 8)
            digits++;
        head[n++] = (unsigned char)(0x80 | digits);
        for (size_t i = digits; i-- > 0;)
            head[n++] = (unsigned char)(content.len >> (8 * i));
    }
    KT_GUARD(kt_buf_append(out, head, n));
    return put(out, content);
}

/* `b` becomes tag(prefix + content of b). */
static kt_result wrap(struct kt_buf *b, unsigned char tag, struct kt_span prefix)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf inner = KT_BUF_INIT(2 * MAX_CERTIFICATE_BYTES);
    KT_GUARD(put(&inner, prefix));
    KT_GUARD(put(&inner, kt_buf_span(b)));
    kt_buf_clear(b);
    return put_tlv(b, tag, kt_buf_span(&inner));
}

/* Java keeps one entry per alias. */
static kt_result put_attributes(struct kt_buf *bag, unsigned number)
{
    char alias[16], wide[2 * sizeof alias];
    int n = snprintf(alias, sizeof alias, "ca-%04u", number);
    for (int i = 0; i < n; i++) {
        wide[2 * i] = 0;
        wide[2 * i + 1] = alias[i];
    }
    KT_CLEANUP(kt_buf_free) struct kt_buf a = KT_BUF_INIT(256);
    KT_GUARD(put_tlv(&a, DER_BMP, kt_span(wide, 2 * (size_t)n)));
    KT_GUARD(wrap(&a, DER_SET, kt_span("", 0)));
    KT_GUARD(wrap(&a, DER_SEQUENCE, LITERAL(OID_FRIENDLY)));
    KT_GUARD(wrap(&a, DER_SET, LITERAL(ATTRIBUTE_TRUSTED)));
    return put(bag, kt_buf_span(&a));
}

static kt_result put_bag(struct kt_buf *out, struct kt_span cert, unsigned number)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf b = KT_BUF_INIT(2 * MAX_CERTIFICATE_BYTES);
    KT_GUARD(put_tlv(&b, DER_OCTETS, cert));
    KT_GUARD(wrap(&b, DER_EXPLICIT_0, kt_span("", 0)));
    KT_GUARD(wrap(&b, DER_SEQUENCE, LITERAL(OID_X509)));
    KT_GUARD(wrap(&b, DER_EXPLICIT_0, kt_span("", 0)));
    KT_GUARD(put_attributes(&b, number));
    KT_GUARD(wrap(&b, DER_SEQUENCE, LITERAL(OID_CERT_BAG)));
    return put(out, kt_buf_span(&b));
}

/* Splits one element off `rest`; false where none of that tag stands there. */
static bool next_element(struct kt_span *rest, unsigned char tag, struct kt_span *whole,
                         struct kt_span *content)
{
    const unsigned char *p = (const unsigned char *)rest->data, *start = p;
    long len = 0;
    int number = 0, class = 0;
    if (rest->len == 0 || *p != tag || (ASN1_get_object(&p, &len, &number, &class, (long)rest->len) & 0x81))
        return false; /* 0x80: broken; 0x01: of indefinite length, which is not DER */
    size_t n = (size_t)(p - start) + (size_t)len;
    *content = kt_span((const char *)p, (size_t)len);
    *whole = kt_span(rest->data, n);
    *rest = kt_span(rest->data + n, rest->len - n);
    return true;
}

/* Java gives up on the whole store where one certificate is none: what has not the outline of one stays out.
 * Behind a TRUSTED CERTIFICATE stand OpenSSL's own data, which are cut off. */
static bool find_certificate(struct kt_span der, struct kt_span *cert)
{
    struct kt_span inner, part, content;
    return next_element(&der, DER_SEQUENCE, cert, &inner) &&
           next_element(&inner, DER_SEQUENCE, &part, &content) &&
           next_element(&inner, DER_SEQUENCE, &part, &content) &&
           next_element(&inner, DER_BITS, &part, &content) && inner.len == 0 &&
           cert->len <= MAX_CERTIFICATE_BYTES;
}

static kt_result put_bags(struct kt_buf *out, BIO *bio)
{
    unsigned number = 0;
    while (number < MAX_CERTIFICATES) {
        char *name = NULL, *header = NULL;
        unsigned char *data = NULL;
        long len = 0;
        struct kt_span cert;
        if (PEM_read_bio(bio, &name, &header, &data, &len) != 1) {
            if (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
                return kt_ok(); /* the end */
            continue;           /* a damaged block */
        }
        kt_result r = kt_ok();
        if (find_certificate(kt_span((const char *)data, (size_t)len), &cert))
            r = put_bag(out, cert, number++);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(data);
        KT_GUARD(r);
    }
    return kt_ok();
}

/* new: SafeContents as an unencrypted part of a store. NULL on failure. */
static PKCS7 *make_part(struct kt_span bags)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf contents = KT_BUF_INIT(bags.len + 16);
    PKCS7 *part = PKCS7_new();
    if (part && kt_is_ok(put_tlv(&contents, DER_SEQUENCE, bags)) &&
        PKCS7_set_type(part, NID_pkcs7_data) == 1 &&
        ASN1_OCTET_STRING_set(part->d.data, (unsigned char *)contents.data, (int)contents.len) == 1)
        return part;
    PKCS7_free(part);
    return NULL;
}

static PKCS12 *pack(struct kt_span bags)
{
    PKCS12 *p12 = NULL;
    STACK_OF(PKCS7) *parts = sk_PKCS7_new_null();
    PKCS7 *part = parts ? make_part(bags) : NULL;
    if (part && sk_PKCS7_push(parts, part) > 0) {
        part = NULL;
        p12 = PKCS12_add_safes(parts, 0);
    }
    PKCS7_free(part);
    sk_PKCS7_pop_free(parts, PKCS7_free);
    /* The password is public, so iterations would buy nothing; SHA-1 is what Java 8 can read. */
    if (p12 && PKCS12_set_mac(p12, KT_TRUSTSTORE_PASSWORD, -1, NULL, 0, 1, EVP_sha1()) != 1) {
        PKCS12_free(p12);
        return NULL;
    }
    return p12;
}

static void errors_end(const int *mark)
{
    (void)mark; /* the queue is the thread's, and the thread may be the program's */
    ERR_pop_to_mark();
}

kt_result kt_trust_pkcs12(struct kt_span pem, struct kt_buf *out)
{
    KT_ENSURE(pem.len <= 2 * KT_TRUST_MAX_BYTES, KT_ERR_LIMIT);
    __attribute__((unused)) KT_CLEANUP(errors_end) int mark = ERR_set_mark();
    KT_CLEANUP(kt_buf_free) struct kt_buf bags = KT_BUF_INIT(2 * KT_TRUST_MAX_BYTES);
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    KT_ENSURE(bio, KT_ERR_MEMORY);
    kt_result r = put_bags(&bags, bio);
    BIO_free(bio);
    KT_GUARD(r);
    unsigned char *der = NULL;
    PKCS12 *p12 = pack(kt_buf_span(&bags));
    int n = p12 ? i2d_PKCS12(p12, &der) : -1;
    PKCS12_free(p12);
    r = n > 0 ? kt_buf_append(out, der, (size_t)n) : kt_err(KT_ERR_CRYPTO);
    OPENSSL_free(der);
    return r;
}
