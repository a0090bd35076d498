/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The environment, as threads of ours read it: the program may be in setenv at that moment, which is its
 * right where none of its own threads looks there. */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Keeps the program's setenv and its kin out between the two; they do not nest. Without kt_environ_use:
 * nothing. Take no other lock between them. */
void kt_environ_lock(void);
void kt_environ_unlock(void);
/* Before a thread of ours exists. NULL, NULL takes it back. */
void kt_environ_use(void (*lock)(void), void (*unlock)(void));
/* new copy in *out; NULL where it is not set. KT_ERR_MEMORY. */
kt_result kt_environ_copy(const char *name, char **out) KT_MUST;

#ifdef __cplusplus
}
#endif
