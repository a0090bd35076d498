/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/plan/kt_plan_trust.h"
#include "interceptor/plan/kt_plan_file.h"
#include "policyengine/base/kt_log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BEGIN "-----BEGIN "
#define END "-----END "
#define DASHES "-----"

const char *kt_trust_roots(bool *chosen)
{
    static const char *const usual[] = {
        "/etc/ssl/certs/ca-certificates.crt",                /* Debian, Ubuntu, Arch, Gentoo */
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* Fedora, RHEL */
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem", /* SUSE */
        "/etc/ssl/cert.pem",      /* Alpine */
    };
    const char *set = getenv("SSL_CERT_FILE");
    *chosen = set && *set;
    if (*chosen)
        return set;
    for (size_t i = 0; i < KT_COUNT(usual); i++)
        if (access(usual[i], R_OK) == 0)
            return usual[i];
    return NULL;
}

const char *kt_trust_extra(void)
{
    const char *set = getenv("NODE_EXTRA_CA_CERTS");
    return set && *set ? set : NULL;
}

static const char *find(const char *from, const char *end, const char *what)
{
    return memmem(from, (size_t)(end - from), what, strlen(what));
}

/* Where the block that begins at `at` ends (behind its last dash); NULL where it does not end before the next
 * one begins. */
static const char *block_end(const char *at, const char *end, struct kt_span *label)
{
    const char *name = at + strlen(BEGIN);
    const char *dashes = find(name, (size_t)(end - name) > 64 ? name + 64 : end, DASHES);
    if (!dashes)
        return NULL;
    *label = kt_span(name, (size_t)(dashes - name));
    const char *body = dashes + strlen(DASHES);
    const char *next = find(body, end, BEGIN);
    const char *last = find(body, next ? next : end, END); /* never beyond: the whole stays linear */
    if (!last)
        return NULL;
    const char *tail = last + strlen(END);
    if ((size_t)(end - tail) < label->len + strlen(DASHES) || memcmp(tail, label->data, label->len) != 0 ||
        memcmp(tail + label->len, DASHES, strlen(DASHES)) != 0)
        return NULL;
    return tail + label->len + strlen(DASHES);
}

static bool is_certificate(struct kt_span label)
{
    return kt_span_eq(label, "CERTIFICATE") || kt_span_eq(label, "TRUSTED CERTIFICATE") ||
           kt_span_eq(label, "X509 CERTIFICATE");
}

kt_result kt_trust_filter(struct kt_span pem, struct kt_buf *out)
{
    const char *end = pem.data + pem.len;
    for (const char *at = find(pem.data, end, BEGIN); at; at = find(at, end, BEGIN)) {
        struct kt_span label = {0};
        const char *stop = block_end(at, end, &label);
        if (!stop) {
            at += strlen(BEGIN);
            continue;
        }
        if (is_certificate(label)) {
            KT_GUARD(kt_buf_append(out, at, (size_t)(stop - at)));
            KT_GUARD(kt_buf_append(out, "\n", 1));
        }
        at = stop;
    }
    return kt_ok();
}

kt_result kt_trust_append_file(const char *path, struct kt_buf *out)
{
    if (!path)
        return kt_ok();
    KT_CLEANUP(kt_buf_wipe_free)
    struct kt_buf text = KT_BUF_INIT(KT_TRUST_MAX_BYTES); /* it may hold a key as well */
    kt_result r = kt_plan_file_read(path, false, &text);
    if (r.code == KT_ERR_MEMORY)
        return r;
    if (!kt_is_ok(r)) {
        kt_warn("the certificate file %.300s cannot be read (%s); programs get no roots out of it", path,
                kt_code_name(r.code));
        return kt_ok();
    }
    return kt_trust_filter(kt_buf_span(&text), out);
}
