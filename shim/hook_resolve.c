/* SPDX-License-Identifier: Apache-2.0 */
/* getaddrinfo and the gethostbyname family. What a hook answers was made by the real function, so that the
 * program frees it as ever. */
#include "shim/guard.h"
#include "shim/real.h"
#include "shim/resolve.h"
#include "shim/tap.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

KT_HOOK int getaddrinfo(const char *restrict node, const char *restrict service,
                        const struct addrinfo *restrict hints, struct addrinfo **restrict res)
{
    struct kt_resolved r;
    enum kt_resolve what = KT_RESOLVE_REAL;
    if (node && !kt_bypass() && !(hints && hints->ai_flags & AI_NUMERICHOST))
        what = kt_resolve_name(node, service, hints ? hints->ai_family : AF_UNSPEC, &r);
    if (what == KT_RESOLVE_REAL || what == KT_RESOLVE_WATCH) {
        int rc = KT_REAL(getaddrinfo)(node, service, hints, res);
        if (rc == 0 && !kt_bypass())
            kt_tap_learn_list(what == KT_RESOLVE_WATCH ? r.name : NULL, *res);
        return rc;
    }
    return what == KT_RESOLVE_REFUSE ? EAI_FAIL : kt_resolve_addrinfo(&r, node, service, hints, res);
}

static enum kt_resolve ask(const char *name, int family, struct kt_resolved *r)
{
    return name && !kt_bypass() ? kt_resolve_name(name, NULL, family, r) : KT_RESOLVE_REAL;
}

/* The real answer, remembered where it is one of ours. */
static struct hostent *watched(struct hostent *h, enum kt_resolve what, const struct kt_resolved *r)
{
    if (h && !kt_bypass())
        kt_tap_learn_host(what == KT_RESOLVE_WATCH ? r->name : NULL, h);
    return h;
}

static bool is_real(enum kt_resolve what)
{
    return what == KT_RESOLVE_REAL || what == KT_RESOLVE_WATCH;
}

/* The real one answers with the literal as name; the text of the plan lives for ever. */
static struct hostent *rename_host(struct hostent *h, const struct kt_resolved *r)
{
    if (h)
        h->h_name = (char *)(uintptr_t)r->name;
    return h;
}

static struct hostent *no_host(void)
{
    h_errno = NO_RECOVERY;
    return NULL;
}

KT_HOOK struct hostent *gethostbyname(const char *name)
{
    struct kt_resolved r;
    enum kt_resolve what = ask(name, AF_INET, &r);
    if (is_real(what))
        return watched(KT_REAL(gethostbyname)(name), what, &r);
    return what == KT_RESOLVE_REFUSE ? no_host() : rename_host(KT_REAL(gethostbyname)(r.literal), &r);
}

KT_HOOK struct hostent *gethostbyname2(const char *name, int family)
{
    struct kt_resolved r;
    enum kt_resolve what = ask(name, family, &r);
    if (is_real(what))
        return watched(KT_REAL(gethostbyname2)(name, family), what, &r);
    return what == KT_RESOLVE_REFUSE ? no_host()
                                     : rename_host(KT_REAL(gethostbyname2)(r.literal, family), &r);
}

static int refuse_r(struct hostent **restrict result, int *restrict h_errnop)
{
    *result = NULL;
    *h_errnop = NO_RECOVERY;
    return 0;
}

KT_HOOK int gethostbyname_r(const char *restrict name, struct hostent *restrict ret, char *restrict buf,
                            size_t buflen, struct hostent **restrict result, int *restrict h_errnop)
{
    struct kt_resolved r;
    enum kt_resolve what = ask(name, AF_INET, &r);
    if (is_real(what)) {
        int rc = KT_REAL(gethostbyname_r)(name, ret, buf, buflen, result, h_errnop);
        watched(rc == 0 ? *result : NULL, what, &r);
        return rc;
    }
    if (what == KT_RESOLVE_REFUSE)
        return refuse_r(result, h_errnop);
    int rc = KT_REAL(gethostbyname_r)(r.literal, ret, buf, buflen, result, h_errnop);
    if (rc == 0)
        rename_host(*result, &r);
    return rc;
}

KT_HOOK int gethostbyname2_r(const char *restrict name, int family, struct hostent *restrict ret,
                             char *restrict buf, size_t buflen, struct hostent **restrict result,
                             int *restrict h_errnop)
{
    struct kt_resolved r;
    enum kt_resolve what = ask(name, family, &r);
    if (is_real(what)) {
        int rc = KT_REAL(gethostbyname2_r)(name, family, ret, buf, buflen, result, h_errnop);
        watched(rc == 0 ? *result : NULL, what, &r);
        return rc;
    }
    if (what == KT_RESOLVE_REFUSE)
        return refuse_r(result, h_errnop);
    int rc = KT_REAL(gethostbyname2_r)(r.literal, family, ret, buf, buflen, result, h_errnop);
    if (rc == 0)
        rename_host(*result, &r);
    return rc;
}
