/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/via.h"

#include <stdatomic.h>
#include <string.h>

__thread int kt_via __attribute__((tls_model("initial-exec"), visibility("hidden")));

static const char *const names[KT_VIA_COUNT] = {
#define KT_SSL_FN(name) #name,
    KT_SSL_HOOKS(KT_SSL_FN)
#undef KT_SSL_FN
#define KT_GNUTLS_FN(id, name) #name,
        KT_GNUTLS_HOOKS(KT_GNUTLS_FN)
#undef KT_GNUTLS_FN
};

/* A place is taken once and for ever: the program keeps what dlsym gave it. */
static _Atomic(void *) real[KT_VIA_COUNT][KT_VIA_LIBS];

int kt_via_id(const char *name)
{
    /* By hand: most names are none of these, and some are asked for before strcmp may be called (sanitizers).
     */
    bool ssl = name[0] == 'S' && name[1] == 'S' && name[2] == 'L' && name[3] == '_';
    bool gnutls = name[0] == 'g' && name[1] == 'n' && name[2] == 'u' && name[3] == 't' && name[4] == 'l';
    if (!ssl && !gnutls)
        return -1;
    for (int i = 0; i < KT_VIA_COUNT; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

void *kt_via_address(int id, void *fn)
{
    for (int i = 0; i < KT_VIA_LIBS; i++) {
        void *none = NULL;
        if (atomic_compare_exchange_strong(&real[id][i], &none, fn) || none == fn)
            return (void *)(uintptr_t)(kt_via_thunks + (size_t)(id * KT_VIA_LIBS + i) * KT_VIA_SIZE);
    }
    return NULL;
}

void *kt_via_take(unsigned id)
{
    int came = kt_via;
    if (came == 0)
        return NULL;
    kt_via = 0;
    unsigned at = (unsigned)came - 1;
    return at / KT_VIA_LIBS == id ? atomic_load(&real[id][at % KT_VIA_LIBS]) : NULL;
}
