/* SPDX-License-Identifier: Apache-2.0 */
/* tls.ca_file: a file without a certificate would only show as a target that no call reaches. What a
 * certificate says is OpenSSL's to judge; here it is told from what is none. */
#include "policyengine/config/kt_config_parts.h"
#include "policyengine/config/kt_files.h"
#include "policyengine/detect/kt_secret_base64.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CA_MAX = 16 << 20, CERTIFICATE_MAX = 1 << 20 };

/* Behind "-----BEGIN <name>-----" of the first certificate; NULL where there is none. */
static const char *body_of_first(const char *text)
{
    static const char *const names[] = {"-----BEGIN CERTIFICATE-----", "-----BEGIN TRUSTED CERTIFICATE-----",
                                        "-----BEGIN X509 CERTIFICATE-----"};
    const char *first = NULL;
    for (size_t i = 0; i < KT_COUNT(names); i++) {
        const char *at = strstr(text, names[i]);
        if (at && (!first || at < first))
            first = at + strlen(names[i]);
    }
    return first;
}

/* One DER sequence that is as long as it says; a trusted certificate has more behind it. */
static bool is_der(const unsigned char *d, size_t len)
{
    if (len < 4 || d[0] != 0x30)
        return false;
    size_t octets = d[1] & 0x7fu, size = d[1] & 0x80u ? 0 : d[1];
    if (!(d[1] & 0x80u))
        octets = 0;
    if (octets > 4 || octets + 2 > len)
        return false;
    for (size_t i = 0; i < octets; i++)
        size = size << 8 | d[2 + i];
    return size > 0 && 2 + octets + size <= len;
}

static kt_result check_body(const char *body, bool *good)
{
    const char *end = strstr(body, "-----END ");
    KT_CLEANUP(kt_buf_free) struct kt_buf letters = KT_BUF_INIT(CERTIFICATE_MAX);
    *good = false;
    for (const char *p = body; end && p < end; p++)
        if (!strchr(" \t\r\n", *p))
            KT_GUARD(kt_buf_append(&letters, p, 1));
    if (letters.len == 0)
        return kt_ok();
    KT_CLEANUP(kt_cleanup_free) char *der = malloc(letters.len);
    KT_ENSURE(der, KT_ERR_MEMORY);
    *good = is_der((unsigned char *)der, kt_secret_base64(letters.data, letters.len, der, letters.len));
    return kt_ok();
}

/* Static: what is wrong with a file that was read. NULL = nothing. */
static kt_result problem_of(const struct kt_buf *file, const char **problem)
{
    bool good = false;
    const char *text = file->len ? file->data : "", *body = body_of_first(text);
    *problem = NULL;
    if (strspn(text, " \t\r\n") == file->len)
        *problem = "is empty";
    else if (!body && strstr(text, "PRIVATE KEY-----"))
        *problem = "holds a private key and no certificate";
    else if (!body && (unsigned char)text[0] == 0x30 && memchr(text, 0, file->len))
        *problem = "is DER, not PEM";
    else if (!body)
        *problem = "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)";
    if (*problem)
        return kt_ok();
    kt_result r = check_body(body, &good);
    if (r.code != KT_ERR_LIMIT)
        KT_GUARD(r);
    *problem = good ? NULL : "begins with a certificate that is damaged or cut";
    return kt_ok();
}

static const char *way_out(const char *problem)
{
    if (strstr(problem, "DER"))
        return "openssl x509 -inform der -in FILE -out ca.pem";
    return "name the PEM file of the CA that signed the endpoint's certificate";
}

kt_result kt_ca_check(struct kt_ctx *c, const char *file, struct kt_at at)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf text = KT_BUF_INIT(CA_MAX);
    const char *problem = NULL;
    kt_result r = kt_file_read(file, &text);
    if (r.code == KT_ERR_MEMORY)
        return r;
    if (r.code == KT_ERR_LIMIT)
        return kt_complain(c, "E008", at, way_out(""), "%s is larger than 16 MiB", file);
    if (!kt_is_ok(r))
        return kt_complain(c, "E008", at, "a path from the folder of this config, or an absolute one",
                           "cannot read %s: %s", file,
                           errno == EINVAL ? "not a regular file" : strerror(errno));
    KT_GUARD(
        kt_buf_append(&text, "", 1)); /* strings end; a NUL of the file's own ends it early, as in OpenSSL */
    text.len--;
    KT_GUARD(problem_of(&text, &problem));
    return problem ? kt_complain(c, "E008", at, way_out(problem), "%s %s", file, problem) : kt_ok();
}
