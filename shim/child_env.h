/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The environment of a program that is about to be executed: the caller's own, plus LD_PRELOAD and KT_* where
 * they are missing. The caller's array is never edited. No malloc and no state: this runs between vfork and
 * exec.
 */
#include <stdarg.h>
#include <stddef.h>

#define KT_SCRATCH_FIXED 12288

/* Memory for one call: on the stack, or mapped where that is too small. */
struct kt_scratch {
    void *map;
    size_t map_size;
    _Alignas(16) char fixed[KT_SCRATCH_FIXED];
};
/* NULL where the system has no memory. */
void *kt_scratch_get(struct kt_scratch *s, size_t bytes);
/* Keeps errno. */
void kt_scratch_done(struct kt_scratch *s);

/* Returns `envp` itself where nothing is missing, else a new array that lives in `s`. */
char *const *kt_child_env(struct kt_scratch *s, char *const *envp);

/* argv of execl(path, arg, ...): reads `ap` up to the NULL. NULL where memory is short. */
char **kt_collect_args(struct kt_scratch *s, const char *arg, va_list ap);
