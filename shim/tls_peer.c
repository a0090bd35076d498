/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/tls_peer.h"

#include "shim/engine.h"
#include "shim/guard.h"
#include "shim/names.h"
#include "shim/plan.h"
#include "shim/tap.h"

#include <string.h>
#include <sys/socket.h>

const char kt_tls_past_hooks[] = "TLS whose plaintext went past every hook";

enum kt_tls_path kt_tls_path_of(int fd, struct kt_diverted *d)
{
    int domain = 0;
    socklen_t len = sizeof domain;
    if (fd < 0)
        return KT_PATH_UNKNOWN;
    if (kt_fdtab_find(fd, d))
        return KT_PATH_DIVERTED;
    if (kt_fdtab_find_watched(fd, d))
        return KT_PATH_WATCHED;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
        (domain == AF_INET || domain == AF_INET6))
        return KT_PATH_FOREIGN;
    return KT_PATH_UNKNOWN;
}

/* A watched address may be shared by several hosts: there a name of another host tells. */
static bool known_socket(const char *sni, enum kt_tls_path path)
{
    return path == KT_PATH_DIVERTED || (path == KT_PATH_WATCHED && !sni);
}

void kt_tls_host(const char *sni, enum kt_tls_path path, const struct kt_diverted *d, char host[256])
{
    struct kt_host known;
    char plain[KT_NAME_MAX];
    host[0] = '\0';
    if (sni && kt_plan_host(sni, KT_PLAN_MAKE, false, &known) == KT_HOST_OURS &&
        kt_name_normalise(sni, plain))
        memcpy(host, plain, strlen(plain) + 1);
    else if (known_socket(sni, path) && strlen(d->origin) < 256)
        memcpy(host, d->origin, strlen(d->origin) + 1);
}

bool kt_tls_ours(enum kt_tls_path path, const char *host)
{
    return path == KT_PATH_DIVERTED || (path == KT_PATH_UNKNOWN && kt_fdtab_has_origin(host));
}

bool kt_tls_tapped(enum kt_tls_path path, const struct kt_diverted *d, uint16_t *port)
{
    if (!kt_tap_on())
        return false;
    *port = path == KT_PATH_WATCHED ? d->port : 443; /* behind a proxy or memory nothing else is known */
    return true;
}

const char *kt_tls_unseen_detail(enum kt_tls_path path)
{
    return path == KT_PATH_FOREIGN
               ? "TLS on a socket that was not diverted (a proxy, another resolver, a literal address)"
               : "TLS while no connection to this host was diverted (a proxy, another resolver)";
}

void kt_tls_report_unseen(const char *host, const char *detail, bool passes)
{
    const struct kt_engine_abi *engine = kt_engine_get();
    if (!engine) {
        kt_shim_note_unseen(host, 443);
        return;
    }
    int saved = kt_guard_enter();
    engine->report(passes ? KT_ABI_PASSED : KT_ABI_UNSEEN, host, detail);
    kt_guard_leave(saved);
}
