/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One TLS handshake from nothing to its end, in memory: keys, certificates, random numbers, both ends. Takes
 * each lock of OpenSSL that a flow and a connection to a target take, and so waits for ever where one of them
 * was left taken by a fork. About 1 ms. False where OpenSSL cannot do it. */
bool kt_tls_rehearsal(void);

#ifdef __cplusplus
}
#endif
