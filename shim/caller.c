/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/caller.h"

#include "shim/near.h"
#include "shim/real.h"
#include "shim/via.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#define SLOTS 512 /* power of two */
#define PROBES 8
#define BUSY 1

/* A slot is filled once and stays until kt_caller_forget; readers check the key before and after. */
struct slot {
    _Atomic uint64_t key; /* id and return address; 0 = free, BUSY = being filled */
    _Atomic(void *) fn;
    _Atomic(const void *) extra;
};

static struct slot cache[SLOTS];
static atomic_uint generation;
__thread const struct kt_inside *kt_inside __attribute__((tls_model("initial-exec")));

static uint64_t key_of(unsigned id, const void *return_address)
{
    return (uint64_t)(uintptr_t)return_address << 6 | id; /* user addresses leave the upper bits free */
}

static unsigned place_of(uint64_t key)
{
    return (unsigned)((key * 0x9e3779b97f4a7c15ull) >> 40);
}

static bool cached(uint64_t key, struct kt_found *out)
{
    unsigned at = place_of(key);
    for (unsigned i = 0; i < PROBES; i++) {
        struct slot *s = &cache[(at + i) % SLOTS];
        if (atomic_load_explicit(&s->key, memory_order_acquire) != key)
            continue;
        out->fn = atomic_load_explicit(&s->fn, memory_order_acquire);
        out->extra = atomic_load_explicit(&s->extra, memory_order_acquire);
        return atomic_load_explicit(&s->key, memory_order_acquire) == key;
    }
    return false;
}

static void remember(uint64_t key, const struct kt_found *f, unsigned seen)
{
    unsigned at = place_of(key);
    for (unsigned i = 0; i < PROBES; i++) {
        struct slot *s = &cache[(at + i) % SLOTS];
        uint64_t none = 0;
        if (!atomic_compare_exchange_strong(&s->key, &none, BUSY))
            continue;
        atomic_store_explicit(&s->fn, f->fn, memory_order_release);
        atomic_store_explicit(&s->extra, f->extra, memory_order_release);
        atomic_store_explicit(&s->key, key, memory_order_release);
        if (atomic_load(&generation) != seen)
            atomic_store(&s->key, 0);
        return;
    }
}

void kt_caller_forget(void)
{
    atomic_fetch_add(&generation, 1);
    for (unsigned i = 0; i < SLOTS; i++)
        if (atomic_load_explicit(&cache[i].key, memory_order_relaxed) > BUSY)
            atomic_store(&cache[i].key, 0);
}

/* The linker's names for both ends of the object that this is in. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char _end[] __attribute__((visibility("hidden")));

/* Not by dladdr: it looks for the nearest of all symbols, and OpenSSL has thousands. */
bool kt_is_hook(const void *fn)
{
    return (const char *)fn >= __ehdr_start && (const char *)fn < _end;
}

/* From the object called `path` ("" = the program) and what it links. */
static void *symbol_of(const char *path, const char *name)
{
    void *handle = KT_REAL(dlopen)(*path ? path : NULL, RTLD_LAZY | RTLD_NOLOAD);
    if (!handle)
        return NULL;
    void *fn = kt_real_dlsym(handle, name);
    KT_REAL(dlclose)(handle);
    return fn && !kt_is_hook(fn) ? fn : NULL;
}

void *kt_symbol_near(const void *address, const char *name)
{
    Dl_info info;
    struct link_map *map = NULL;
    void *near;
    if (kt_near_symbol(address, name, &near) && !(near && kt_is_hook(near)))
        return near;
    if (!dladdr1(address, &info, (void **)&map, RTLD_DL_LINKMAP) || !map)
        return NULL;
    void *fn = symbol_of(map->l_name, name);
    return fn && kt_near_wraps(fn, name) ? NULL : fn;
}

static int take_libssl(struct dl_phdr_info *info, size_t size, void *path)
{
    (void)size;
    const char *base = strrchr(info->dlpi_name, '/');
    if (!base || strncmp(base, "/libssl.so", 10) != 0 || strlen(info->dlpi_name) >= PATH_MAX)
        return 0;
    memcpy(path, info->dlpi_name, strlen(info->dlpi_name) + 1);
    return 1;
}

/* A plugin that links nothing and counts on what its host loaded RTLD_GLOBAL. */
static void *symbol_anywhere(const char *name)
{
    char path[PATH_MAX];
    void *fn = kt_real_dlsym(RTLD_NEXT, name);
    if (fn || !dl_iterate_phdr(take_libssl, path))
        return fn;
    return symbol_of(path, name);
}

struct kt_found kt_caller_resolve(unsigned id, const char *name, const void *return_address,
                                  const void *(*describe)(void *fn))
{
    struct kt_found f = {NULL, NULL};
    void *meant = kt_via_take(id);
    uint64_t key = key_of(id, meant ? meant : return_address);
    if (cached(key, &f))
        return f;
    int saved = errno;
    unsigned seen = atomic_load(&generation);
    f.fn = meant ? meant : kt_symbol_near(return_address, name);
    if (!f.fn)
        f.fn = symbol_anywhere(name);
    if (f.fn) {
        void *front = meant ? NULL : kt_near_preloaded(return_address, name);
        f.extra = describe(f.fn);
        f.fn = front ? front : f.fn;
        remember(key, &f, seen);
    }
    errno = saved;
    return f;
}
