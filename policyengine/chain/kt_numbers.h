/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which number a value had in the process's earlier exchanges, so that "[EMAIL_2]" stays "[EMAIL_2]" when a
 * client drops the oldest messages of a conversation. Holds no value: 128-bit keyed hashes of kind and value
 * under a random key that never leaves the process, so that nothing can be tried against a core dump without
 * it. Bounded: the values that were used last are known, twice KT_NUMBERS_MAX at most.
 *
 * Any thread. Never blocks for long: where the table is busy the answer is "not known", and a child forked
 * while it was busy starts with an empty one.
 */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_NUMBERS_MAX 8192u /* values of one generation */

/* 0 where the value is not known. */
unsigned kt_numbers_get(const char *kind, const char *value, size_t len);
/* The last one counts. `number` > 0. */
void kt_numbers_put(const char *kind, const char *value, size_t len, unsigned number);
/* As at the start of the process. */
void kt_numbers_forget(void);

#ifdef __cplusplus
}
#endif
