/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The functions behind our hooks, as the next object in the search order has them (RTLD_NEXT), resolved when
 * first called. */
#include <stdbool.h>

enum kt_real_id {
#define KT_REAL_FN(name, warm) KT_REAL_ID_##name,
#include "shim/real.def"
#undef KT_REAL_FN
    KT_REAL_COUNT
};

/* NULL only where this libc has no such function (an old glibc and closefrom, say). Keeps errno. */
void *kt_real_lookup(enum kt_real_id id);

/* The same by name; false where no hook needs it (it calls another one that has one). */
bool kt_real_by_name(const char *name, void **fn);

/* dlsym, as libc has it: the shim's own is a hook. RTLD_NEXT means: behind libkt.so. */
void *kt_real_dlsym(void *handle, const char *name);

#define KT_REAL(name) ((__typeof__(&name))kt_real_lookup(KT_REAL_ID_##name))

/* Resolves what a forked child may need; called before the process gets its second thread. */
void kt_real_warm(void);
