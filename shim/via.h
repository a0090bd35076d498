/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What dlsym hands out for a function of a TLS library that has a hook: a thunk, one per hook and library. It
 * notes which one it is and jumps to the hook, which so knows the very function that the program asked for:
 * the return address does not tell where the caller links nothing, and two libraries must not be mixed up.
 */
#include "shim/gnutls_api.h"
#include "shim/ssl_api.h"

#define KT_VIA_LIBS 4 /* of each function; the next one is found as for any caller */
#define KT_VIA_COUNT (KT_SSL_COUNT + KT_GNUTLS_COUNT)

/* Of the hook of this name: its id, as kt_caller_resolve has it; -1 = it has none. */
int kt_via_id(const char *name);
/* What to hand out for `fn`, the real function behind the hook `id`; NULL where no thunk is left. */
void *kt_via_address(int id, void *fn);
/* The function that the thunk stood for by which this thread came to hook `id`; NULL = by none. Once. */
void *kt_via_take(unsigned id);

/* The thunk that this thread came by: 1 + id * KT_VIA_LIBS + place; 0 = none. Set by thunks alone. */
extern __thread int kt_via __attribute__((tls_model("initial-exec"), visibility("hidden")));
/* KT_VIA_COUNT * KT_VIA_LIBS thunks of this size (hook_via.c). */
#define KT_VIA_SIZE 32
extern const unsigned char kt_via_thunks[] __attribute__((visibility("hidden")));
