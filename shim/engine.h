/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The engine: loaded when first needed, never before, never unloaded. */
#include "interceptor/abi/kt_engine_abi.h"

#include <stdbool.h>

/* Loads and starts it where that has not happened. NULL where it cannot work in this process (asked once,
 * then remembered). Calls to its slots need the guard (shim/guard.h). Keeps errno. */
const struct kt_engine_abi *kt_engine_get(void);
/* The same, for what needs OpenSSL: NULL also in a fork child where that cannot be used. */
const struct kt_engine_abi *kt_engine_usable(void);
/* The engine where it is there already, else NULL. */
const struct kt_engine_abi *kt_engine_loaded(void);
/* The same, and this is its process: not a child by _Fork() or clone(), where any of its locks may be held
 * for ever. */
const struct kt_engine_abi *kt_engine_here(void);
/* engine_apart.c: the same engine, whose slots that need much stack find it. Once; borrowed for ever. */
const struct kt_engine_abi *kt_engine_apart(const struct kt_engine_abi *abi);
/* engine_missing.c: a line in kt.log, by the shim itself. Guarded. */
void kt_engine_missing(const char *why);
/* A call that such a child makes past us, or is refused: its event is written by the next who looks for those
 * of dead processes. */
void kt_shim_note_unseen(const char *host, uint16_t port);

/* False in a vfork child, whose memory is its parent's. */
bool kt_engine_is_of_this_process(void);
/* Around fork. */
void kt_engine_lock(void);
void kt_engine_forked(void); /* in the child */
void kt_engine_disown(void); /* from here on this process is served as one that has none */
void kt_engine_unlock(void);
