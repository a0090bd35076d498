/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * LD_PRELOAD and KT_* as they were when the process started. A program may clear or replace its environment;
 * its children and the engine must still find ours.
 */
#include <stdbool.h>
#include <stddef.h>

#define KT_ENV_MAX_VARS 64

/* Takes the snapshot once; no lock, no allocation. Every function below calls it. */
void kt_env_snapshot(char *const *envp);

/* While one thread holds it no other changes the environment by setenv and its kin. Nests. */
void kt_shim_environ_lock(void);
void kt_shim_environ_unlock(void);

/* The value now, where it is not empty (KT_TRACE may be), else the value at start, else NULL. Borrowed: a
 * value from the program's environment lives as long as that. */
const char *kt_env_get(const char *name);

/* "KT_NAME=value" of the snapshot; NULL past the last. Borrowed for ever. */
const char *kt_env_saved(size_t i);
/* NULL, or what a child should get instead of `entry`: the program was started with a relative path in it, or
 * with a value where it is empty now. */
const char *kt_env_better(const char *entry);
/* True where the process was started with this library in LD_PRELOAD. */
bool kt_env_preloaded(void);

/* True where `entry` ("NAME=value") sets `name`, which may itself be "NAME=..." */
bool kt_env_same_name(const char *entry, const char *name);
/* True where an LD_PRELOAD value (entries parted by colons or spaces) names this library, by file name;
 * `anywhere`: not by a relative path, which is another file in another folder (a bare name is looked up by
 * the loader). */
bool kt_preload_has_us(const char *value, bool anywhere);
/* One entry of it. */
bool kt_preload_is_us(const char *entry, size_t len);
/* getenv without a hook in between and without the loader: borrowed from `envp`, NULL = not there. */
char *kt_env_scan(char *const *envp, const char *name);
