/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside tools/supervise: whose connection is this? Read from the first bytes that a client sends. No state,
 * no allocation. */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FIRST_HOST_MAX 256
#define FIRST_BYTES_MAX 16384 /* more are never needed: then it is FIRST_UNREADABLE */

enum first_kind {
    FIRST_MORE,      /* too few bytes to tell */
    FIRST_MAYBE,     /* too few; a line that may become a request, or be all that some other protocol says */
    FIRST_OTHER,     /* neither TLS nor HTTP/1; also HTTP/2 without TLS */
    FIRST_TLS,       /* a ClientHello (RFC 8446 4.1.2); host = server_name, "" where it has none */
    FIRST_FRONT,     /* one that carries an encrypted one (RFC 9849): host may be a front */
    FIRST_HTTP,      /* HTTP/1 request; host = of its target or Host field, without the port, "" where none */
    FIRST_CONNECT,   /* a tunnel by a proxy; host = where to */
    FIRST_UNREADABLE /* TLS or HTTP that breaks its grammar or is too long */
};

/* `host` is written for the kinds that have one, else "". */
enum first_kind first_look(struct kt_span bytes, char host[FIRST_HOST_MAX]);

#ifdef __cplusplus
}
#endif
