/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Secrets of a known form inside of a run of base64 (either alphabet) or hex, of whole texts. */
#include "policyengine/detect/kt_secret.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_SECRET_ENCODED_MIN 24u /* letters of a run; shorter ones hold no token */

/* Each run that decodes to readable text is decoded once, in pieces of 5460 letters; one with a secret that
 * its form leaves no doubt of is a hit from its first letter to its padding. Needs kt_secret_prepare. */
kt_result kt_secret_encoded_find(const char *text, size_t len, kt_secret_hit_fn hit, void *ctx) KT_MUST;

#ifdef __cplusplus
}
#endif
