/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The environment of a program that is about to be executed: the caller's own, plus LD_PRELOAD and KT_* where
 * they are missing. The caller's array is never edited. No malloc and no state: this runs between vfork and
 * exec, and in handlers of a crash on an alternate stack of a few KiB.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KT_SCRATCH_ON_STACK 12288

/* Memory that was mapped for one call. */
struct kt_scratch {
    void *map;
    size_t map_size;
};
/* NULL where the system has no memory. */
void *kt_scratch_map(struct kt_scratch *s, size_t bytes);
/* Keeps errno. */
void kt_scratch_done(struct kt_scratch *s);
/* Memory for the rest of the calling function: of its stack no more than it takes. */
#define KT_SCRATCH(s, bytes)                                                                                 \
    ((bytes) <= KT_SCRATCH_ON_STACK ? __builtin_alloca(bytes) : kt_scratch_map(s, bytes))

struct kt_missing {
    size_t entries;    /* of the caller */
    uint64_t saved;    /* bit i: kt_env_saved(i) is not in the caller's */
    bool preload;      /* LD_PRELOAD does not name us, or by a path that is none any more */
    bool relative;     /* an entry holds a relative path of ours */
    size_t preload_at; /* index of the caller's LD_PRELOAD, SIZE_MAX where it has none */
};

/* What the caller's lacks, and how many bytes kt_child_env needs; 0: nothing is missing. */
size_t kt_child_env_need(struct kt_missing *m, char *const *envp);
/* The new array, which lives in `room`; `envp` itself where that is NULL. */
char *const *kt_child_env(const struct kt_missing *m, char *const *envp, void *room);
