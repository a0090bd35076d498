/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "policyengine/base/kt_base.h"

/* Decodes base64 of either alphabet up to the first byte that is none, and at most `cap` bytes. Returns their
 * number. */
size_t kt_secret_base64(const char *text, size_t len, char *out, size_t cap);
