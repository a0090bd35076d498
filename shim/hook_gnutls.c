/* SPDX-License-Identifier: Apache-2.0 */
/* GnuTLS: trust where the connection is captured; in the tap lane also copies of what it says and hears. */
#include "shim/caller.h"
#include "shim/gnutls_credentials.h"
#include "shim/gnutls_trust.h"
#include "shim/guard.h"
#include "shim/ssl_table.h"

#define E_PUSH_ERROR (-53)      /* GNUTLS_E_PUSH_ERROR: the connection failed, see errno */
#define E_INVALID_REQUEST (-50) /* GNUTLS_E_INVALID_REQUEST */
#define REAL(id) kt_gnutls_resolve(id, __builtin_return_address(0))
#define CALL(target, name) ((__typeof__(&name))(target).fn)

KT_HOOK int gnutls_server_name_set(gnutls_session_t session, int type, const void *name, size_t len)
{
    struct kt_gnutls_target t = REAL(KT_GNUTLS_SERVER_NAME_SET);
    if (!kt_bypass())
        kt_gnutls_named(session, name, len);
    return t.fn ? CALL(t, gnutls_server_name_set)(session, type, name, len) : E_INVALID_REQUEST;
}

KT_HOOK int gnutls_handshake(gnutls_session_t session)
{
    struct kt_gnutls_target t = REAL(KT_GNUTLS_HANDSHAKE);
    if (!t.fn || (!kt_bypass() && !kt_gnutls_before_handshake(t.api, session)))
        return E_PUSH_ERROR;
    int rc = CALL(t, gnutls_handshake)(session);
    if (kt_ssl_table_telling() && !kt_bypass())
        kt_ssl_table_told(session);
    return rc;
}

KT_HOOK void gnutls_deinit(gnutls_session_t session)
{
    struct kt_gnutls_target t = REAL(KT_GNUTLS_DEINIT);
    void *ours = kt_bypass() ? NULL : kt_gnutls_ended(session);
    if (t.fn)
        CALL(t, gnutls_deinit)(session);
    if (ours)
        t.api->gnutls_certificate_free_credentials(ours);
}

KT_HOOK void gnutls_certificate_set_verify_function(gnutls_certificate_credentials_t cred,
                                                    kt_gnutls_verify_fn fn)
{
    struct kt_gnutls_target t = REAL(KT_GNUTLS_SET_VERIFY);
    if (!kt_bypass())
        kt_gnutls_note_verify(cred, fn);
    if (t.fn)
        CALL(t, gnutls_certificate_set_verify_function)(cred, fn);
}

KT_HOOK void gnutls_certificate_free_credentials(gnutls_certificate_credentials_t cred)
{
    struct kt_gnutls_target t = REAL(KT_GNUTLS_FREE_CREDENTIALS);
    if (!kt_bypass())
        kt_gnutls_note_verify(cred, NULL);
    if (t.fn)
        CALL(t, gnutls_certificate_free_credentials)(cred);
}

/* What an outermost call has moved. */
static void copied(gnutls_session_t session, enum kt_abi_dir dir, const void *data, ssize_t n)
{
    if (n > 0 && data && !kt_inside_now() && !kt_bypass())
        kt_ssl_table_copy(session, dir, data, (size_t)n);
}

/* Runs `call`, a call of t's function, and copies. */
#define RECORD(id, dir, call)                                                                                \
    struct kt_gnutls_target t = kt_gnutls_resolve(id, KT_CALLER());                                          \
    const struct kt_inside *outer = kt_inside;                                                               \
    struct kt_inside here;                                                                                   \
    if (!t.fn)                                                                                               \
        return E_INVALID_REQUEST;                                                                            \
    KT_INSIDE(&here, t.fn);                                                                                  \
    ssize_t n = call;                                                                                        \
    kt_inside = outer;                                                                                       \
    copied(session, dir, data, n);                                                                           \
    return n

KT_HOOK ssize_t gnutls_record_send(gnutls_session_t session, const void *data, size_t len)
{
    RECORD(KT_GNUTLS_SEND, KT_ABI_OUT, CALL(t, gnutls_record_send)(session, data, len));
}

KT_HOOK ssize_t gnutls_record_send2(gnutls_session_t session, const void *data, size_t len, size_t pad,
                                    unsigned flags)
{
    RECORD(KT_GNUTLS_SEND2, KT_ABI_OUT, CALL(t, gnutls_record_send2)(session, data, len, pad, flags));
}

KT_HOOK ssize_t gnutls_record_send_range(gnutls_session_t session, const void *data, size_t len,
                                         const void *range)
{
    RECORD(KT_GNUTLS_SEND_RANGE, KT_ABI_OUT, CALL(t, gnutls_record_send_range)(session, data, len, range));
}

KT_HOOK ssize_t gnutls_record_send_early_data(gnutls_session_t session, const void *data, size_t len)
{
    RECORD(KT_GNUTLS_SEND_EARLY, KT_ABI_OUT, CALL(t, gnutls_record_send_early_data)(session, data, len));
}

/* What it sends was copied when the program gave it to gnutls_record_send, which it calls again. */
KT_HOOK int gnutls_record_uncork(gnutls_session_t session, unsigned flags)
{
    struct kt_gnutls_target t = kt_gnutls_resolve(KT_GNUTLS_UNCORK, KT_CALLER());
    const struct kt_inside *outer = kt_inside;
    struct kt_inside here;
    if (!t.fn)
        return E_INVALID_REQUEST;
    KT_INSIDE(&here, t.fn);
    int rc = CALL(t, gnutls_record_uncork)(session, flags);
    kt_inside = outer;
    return rc;
}

KT_HOOK ssize_t gnutls_record_recv(gnutls_session_t session, void *data, size_t len)
{
    RECORD(KT_GNUTLS_RECV, KT_ABI_IN, CALL(t, gnutls_record_recv)(session, data, len));
}

KT_HOOK ssize_t gnutls_record_recv_seq(gnutls_session_t session, void *data, size_t len, unsigned char *seq)
{
    RECORD(KT_GNUTLS_RECV_SEQ, KT_ABI_IN, CALL(t, gnutls_record_recv_seq)(session, data, len, seq));
}
