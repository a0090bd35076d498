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

/* Stretches [*start,*end), absolute, over the number of JSON source that it is a part of; data[0] is at
 * `base`. Never in front of `from`. */
void kt_boundary_number(const char *data, size_t len, size_t base, size_t from, size_t *start, size_t *end);
/* Where the number begins that data[0,at) may end in; `at` where there is none, or it is too long for one. */
size_t kt_boundary_number_before(const char *data, size_t at);

#ifdef __cplusplus
}
#endif
