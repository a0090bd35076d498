/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/gnutls_credentials.h"

#include "shim/ssl_table.h"

#include <errno.h>
#include <stdlib.h>

/* Values of GnuTLS's headers. */
#define CRD_CERTIFICATE 1
#define X509_FMT_DER 0

/* GnuTLS tells nobody which function credentials have. Under the lock of ssl_table.h, which forks know. */
struct verifier {
    const void *cred;
    kt_gnutls_verify_fn fn;
    struct verifier *next;
};
static struct verifier *verifiers;

/* Lock held: the link to the entry, or to NULL. */
static struct verifier **link_of(const void *cred)
{
    struct verifier **l = &verifiers;
    while (*l && (*l)->cred != cred)
        l = &(*l)->next;
    return l;
}

void kt_gnutls_note_verify(const void *cred, kt_gnutls_verify_fn fn)
{
    int saved = errno;
    struct verifier *fresh = fn ? malloc(sizeof *fresh) : NULL, *old;
    kt_ssl_table_lock();
    struct verifier **l = link_of(cred);
    old = *l;
    if (old)
        *l = old->next;
    if (fresh) {
        *fresh = (struct verifier){cred, fn, verifiers};
        verifiers = fresh;
    }
    kt_ssl_table_unlock();
    free(old);
    errno = saved;
}

static kt_gnutls_verify_fn verify_of(const void *cred)
{
    kt_ssl_table_lock();
    const struct verifier *v = *link_of(cred);
    kt_gnutls_verify_fn fn = v ? v->fn : NULL;
    kt_ssl_table_unlock();
    return fn;
}

void *kt_gnutls_own_credentials(const struct kt_gnutls_api *g, gnutls_session_t session, const uint8_t *der,
                                size_t len)
{
    const struct kt_gnutls_datum ca = {der, (unsigned)len};
    void *theirs = NULL;
    gnutls_certificate_credentials_t ours = NULL;
    if (len == 0 || g->gnutls_credentials_get(session, CRD_CERTIFICATE, &theirs) < 0 || !theirs ||
        g->gnutls_certificate_allocate_credentials(&ours) < 0)
        return NULL;
    kt_gnutls_verify_fn verify = verify_of(theirs);
    if (verify)
        g->gnutls_certificate_set_verify_function(ours, verify);
    if (g->gnutls_certificate_set_x509_trust_mem(ours, &ca, X509_FMT_DER) >= 0 &&
        g->gnutls_credentials_set(session, CRD_CERTIFICATE, ours) >= 0)
        return ours;
    g->gnutls_certificate_free_credentials(ours);
    return NULL;
}
