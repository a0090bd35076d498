/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where a text may be cut: between characters, and in JSON source between escapes. */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The largest place <= `at` of data[0,len) that lies in no UTF-8 character and, where `json`, in no escape
 * sequence and not between two that make one character (UTF-16 surrogates). data[0] begins a character. A
 * character or an escape that the data end in counts as one that goes on. */
size_t kt_boundary_before(const char *data, size_t len, size_t at, bool json);
/* The smallest one >= `at`; `len` where there is none. */
size_t kt_boundary_behind(const char *data, size_t len, size_t at, bool json);

#ifdef __cplusplus
}
#endif
