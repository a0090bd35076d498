/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a process keeps of the names that values had in earlier exchanges (kt_conversation.h): numbers by
 * scope, kind and value. Holds no value: 128-bit keyed hashes under a random key that never leaves the
 * process, so that nothing can be tried against a core dump without it. Bounded: what was used last is known,
 * twice KT_NUMBERS_MAX at most.
 *
 * Any thread. Never blocks for long: where the table is busy the answer is "not known", and a child forked
 * while it was busy starts with an empty one.
 */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_NUMBERS_MAX 8192u /* entries of one generation */
#define KT_NUMBERS_NOBODY 0xffffffffu

/* 0 where the value is not known. `scope` is a conversation, or a digest of what stands in front. */
unsigned kt_numbers_get(uint64_t scope, const char *kind, const char *value, size_t len);
/* The last one counts. `number` > 0. */
void kt_numbers_put(uint64_t scope, const char *kind, const char *value, size_t len, unsigned number);
/* The same, but where another number is known it becomes KT_NUMBERS_NOBODY and stays so: in one step. */
void kt_numbers_claim(uint64_t scope, const char *kind, const char *value, size_t len, unsigned number);
/* A keyed hash, the same as long as the process lives (but for a child that starts anew). False where that is
 * not known now: then it is 0, and must not stand for anything. */
bool kt_numbers_digest(const void *data, size_t len, uint64_t *out);
/* True where anything was put in since the process began. */
bool kt_numbers_used(void);
/* For tests: holds the table, as a thread does that works on it, until it is called with false. */
bool kt_numbers_busy(bool on);
/* As at the start of the process. */
void kt_numbers_forget(void);

#ifdef __cplusplus
}
#endif
