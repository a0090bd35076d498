/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Keccak-256 as Ethereum uses it (padding of the first submission, not of SHA-3); len < 136. */
void kt_pii_keccak256(const void *data, size_t len, uint8_t out[32]);

#ifdef __cplusplus
}
#endif
