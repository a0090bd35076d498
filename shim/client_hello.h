/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Whom a ClientHello (RFC 8446 §4.1.2) means. Reads `len` bytes and no more; no state. */
#include <stdbool.h>
#include <stddef.h>

#define KT_HELLO_HOST_MAX 256
#define KT_HELLO_RECORD 22 /* its first byte: a record of the handshake */

/* The server name (RFC 6066 §3) of the ClientHello that begins `data`; false where none is in these bytes. */
bool kt_client_hello_name(const void *data, size_t len, char host[KT_HELLO_HOST_MAX]);
