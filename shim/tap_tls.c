/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/tap_tls.h"

#include "shim/ssl_account.h"
#include "shim/ssl_table.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static void collect(struct kt_tap_tls *t, const struct iovec *iov, size_t count, size_t n)
{
    for (size_t i = 0; i < count && n > 0 && t->have < KT_TAP_TLS_HEAD; i++) {
        size_t part = iov[i].iov_len < n ? iov[i].iov_len : n, room = (size_t)(KT_TAP_TLS_HEAD - t->have);
        n -= part;
        part = part < room ? part : room;
        memcpy(t->head + t->have, iov[i].iov_base, part);
        t->have = (uint8_t)(t->have + part);
    }
}

/* No ClientHello, or one of a session that no hook knows. */
static bool is_unknown(struct kt_tap_tls *t)
{
    struct kt_client_hello h;
    enum kt_hello kind = kt_client_hello_read(t->head, t->have, &h);
    if (h.has_random)
        return !kt_ssl_table_claims(h.random, &t->account);
    return kind != KT_HELLO_MORE || t->have == KT_TAP_TLS_HEAD;
}

/* Once; true: it must not be said again. */
static bool is_reported(struct kt_tap_tls *t)
{
    return atomic_exchange(&t->account->reported, true);
}

enum kt_tap_tls_state kt_tap_tls_feed(struct kt_tap_tls *t, bool out, const struct iovec *iov, size_t count,
                                      size_t n)
{
    if (out && t->have < KT_TAP_TLS_HEAD) {
        collect(t, iov, count, n);
        if (is_unknown(t))
            return KT_TAP_TLS_UNKNOWN;
    }
    for (size_t i = 0; i < count && n > 0; i++) {
        size_t part = iov[i].iov_len < n ? iov[i].iov_len : n;
        kt_tls_records_feed(&t->records, out, iov[i].iov_base, part);
        n -= part;
    }
    if (!t->account)
        return KT_TAP_TLS_OPEN;
    if (atomic_load(&t->account->copies) > 0)
        return KT_TAP_TLS_READ;
    /* An answer proves it: by then a hook would have had the request. */
    if (!kt_tls_records_answered(&t->records))
        return KT_TAP_TLS_OPEN;
    return is_reported(t) ? KT_TAP_TLS_READ : KT_TAP_TLS_PAST_HOOKS;
}

/* All that the program has written; 0 where the kernel does not say, or makes TLS of it itself. */
static uint64_t written(int fd)
{
    struct tcp_info info;
    char ulp[16] = "";
    socklen_t len = sizeof info, ulp_len = sizeof ulp;
    int waiting = 0;
    memset(&info, 0, sizeof info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_ULP, ulp, &ulp_len) == 0 && ulp_len > 0 && ulp[0])
        return 0;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 || ioctl(fd, SIOCOUTQ, &waiting) != 0)
        return 0;
    return info.tcpi_bytes_acked + (uint64_t)waiting;
}

bool kt_tap_tls_counts(const struct kt_tap_tls *t)
{
    return t->account && atomic_load(&t->account->counts);
}

enum kt_tap_tls_state kt_tap_tls_ends(struct kt_tap_tls *t, int fd)
{
    struct kt_ssl_account *a = t->account;
    bool past = a && atomic_load(&a->copies) == 0 && kt_tls_records_spoke(&t->records);
    if (a && !past && kt_tap_tls_counts(t))
        past = atomic_load(&a->copies) > 0 && written(fd) > atomic_load(&a->said) + KT_ACCOUNT_SLACK;
    return past && !is_reported(t) ? KT_TAP_TLS_PAST_HOOKS : KT_TAP_TLS_OPEN;
}

void kt_tap_tls_forget(struct kt_tap_tls *t)
{
    kt_ssl_account_unref(t->account);
    t->account = NULL;
}
