/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A key from a file: read once, and again only where the file has changed. */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kt_secret_file;

/* new; NULL: no memory. */
struct kt_secret_file *kt_secret_file_new(void);
/* Wipes what it keeps. NULL does nothing. */
void kt_secret_file_free(struct kt_secret_file *f);
/* new secret, as kt_secret_resolve has it. `f` NULL: nothing is kept. Any thread. */
kt_result kt_secret_file_get(struct kt_secret_file *f, const char *path, char **out,
                             struct kt_error *err) KT_MUST;

#ifdef __cplusplus
}
#endif
