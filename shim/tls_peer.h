/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What every hooked TLS library asks before a handshake: is this connection ours? */
#include "shim/fdtab.h"

#include <stdbool.h>

/* How a TLS session is connected, as far as its fd tells. */
enum kt_tls_path {
    KT_PATH_DIVERTED, /* a socket of ours */
    KT_PATH_WATCHED,  /* a socket of the program's own, to an intercepted host, in the tap lane */
    KT_PATH_FOREIGN,  /* an internet socket that is not */
    KT_PATH_UNKNOWN   /* memory, pipes, no fd */
};

/* `fd` may be -1. Fills `d` where it is diverted or watched. */
enum kt_tls_path kt_tls_path_of(int fd, struct kt_diverted *d);
/* The intercepted host that `sni` names, normalised, into host[256]; else the origin of the known socket;
 * else "". */
void kt_tls_host(const char *sni, enum kt_tls_path path, const struct kt_diverted *d, char host[256]);
/* True where a session to `host` on that path is one of ours. */
bool kt_tls_ours(enum kt_tls_path path, const char *host);
/* Is a session to `host`, which is not ours, to be tapped? Then *port is its origin's. */
bool kt_tls_tapped(enum kt_tls_path path, const struct kt_diverted *d, uint16_t *port);
/* Why a session that is not ours counts as unseen; static. */
const char *kt_tls_unseen_detail(enum kt_tls_path path);
/* Why one that is tapped counts as unseen all the same. */
extern const char kt_tls_past_hooks[] __attribute__((visibility("hidden")));
/* Writes the event `unseen`, of what is let through or refused. */
void kt_tls_report_unseen(const char *host, const char *detail, bool passes);
