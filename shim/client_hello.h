/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Whom a ClientHello (RFC 8446 §4.1.2) means. Reads `len` bytes and no more; no state. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KT_HELLO_HOST_MAX 256
#define KT_HELLO_RECORD 22 /* its first byte: a record of the handshake */
#define KT_HELLO_RANDOM 32

struct kt_client_hello {
    char host[KT_HELLO_HOST_MAX];    /* the server name (RFC 6066 §3); "" = none, in these bytes */
    uint8_t random[KT_HELLO_RANDOM]; /* where `has_random`: which handshake it is */
    bool has_random;
    bool encrypted; /* it carries another one that is encrypted (RFC 9849), or says that it does: `host` may
                       be a front */
};

enum kt_hello {
    KT_HELLO_NONE, /* no ClientHello, or one that breaks its grammar before it named anybody */
    KT_HELLO_MORE, /* its beginning; what these bytes tell is in *out */
    KT_HELLO_WHOLE /* there is no more to learn */
};

/* It may be spread over several records. What was found does not change with more bytes. */
enum kt_hello kt_client_hello_read(const void *data, size_t len, struct kt_client_hello *out);
