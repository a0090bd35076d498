/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "policyengine/detect/kt_pii.h"

#ifdef __cplusplus
extern "C" {
#endif

/* First byte in front of `at` that an address with its '@' at `at` or later could still take in: at most
 * KT_PII_BEHIND bytes back. */
size_t kt_pii_email_reach(const struct kt_pii_view *v, size_t at);

#ifdef __cplusplus
}
#endif
