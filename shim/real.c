/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/real.h"

#include "shim/libc_symbol.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

static const struct {
    const char *name;
    bool warm;
} symbols[KT_REAL_COUNT] = {
#define KT_REAL_FN(name, warm) {#name, warm},
#include "shim/real.def"
#undef KT_REAL_FN
};

static _Atomic(void *) found[KT_REAL_COUNT];

void *kt_real_dlsym(void *handle, const char *name)
{
    static _Atomic(void *) own;
    void *fn = atomic_load_explicit(&own, memory_order_relaxed);
    if (!fn) {
        fn = kt_libc_symbol("dlsym");
        atomic_store_explicit(&own, fn, memory_order_relaxed);
    }
    return fn ? ((__typeof__(&dlsym))fn)(handle, name) : NULL;
}

void *kt_real_lookup(enum kt_real_id id)
{
    void *fn = atomic_load_explicit(&found[id], memory_order_relaxed);
    if (__builtin_expect(fn != NULL, 1))
        return fn;
    int saved = errno;
    fn = kt_real_dlsym(RTLD_NEXT, symbols[id].name);
    atomic_store_explicit(&found[id], fn, memory_order_relaxed);
    errno = saved;
    return fn;
}

bool kt_real_by_name(const char *name, void **fn)
{
    for (int i = 0; i < KT_REAL_COUNT; i++) {
        if (strcmp(symbols[i].name, name) != 0)
            continue;
        *fn = kt_real_lookup((enum kt_real_id)i);
        return true;
    }
    return false;
}

void kt_real_warm(void)
{
    for (int i = 0; i < KT_REAL_COUNT; i++)
        if (symbols[i].warm)
            kt_real_lookup((enum kt_real_id)i);
}
