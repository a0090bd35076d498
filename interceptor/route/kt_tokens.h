/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How many tokens a text may be, without a tokenizer: from words, digits, punctuation and scripts. See
 * kt_tokens.c for how far it is off.
 */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Any bytes; one pass. 0 for an empty text, else 1 or more. */
int64_t kt_tokens_estimate(const char *text, size_t len);
/* What a message adds to its text: role and separators. */
#define KT_TOKENS_PER_MESSAGE 4

#ifdef __cplusplus
}
#endif
