/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/tls_libraries.h"

#include <link.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#define BROUGHT_MAX 256 /* objects; the engine brings some forty */
#define DEPTH_MAX 8

/* Base addresses of what came with the engine. Written once, before `count` is. */
static ElfW(Addr) brought[BROUGHT_MAX];
static _Atomic unsigned brought_count;
static unsigned known; /* objects before the engine came */
static atomic_bool asked;

void kt_tls_libraries_asked(void)
{
    atomic_store_explicit(&asked, true, memory_order_relaxed);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool is_tls(const char *name)
{
    return strncmp(name, "libssl.so", 9) == 0 || strncmp(name, "libgnutls.so", 12) == 0 ||
           strncmp(name, "libssl-", 7) == 0;
}

/* ---- what the engine brings: the loader appends to its list ---- */

static int count_one(struct dl_phdr_info *info, size_t size, void *n)
{
    (void)info, (void)size;
    (*(unsigned *)n)++;
    return 0;
}

struct taking {
    unsigned at, taken;
};

static int take_new(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct taking *t = arg;
    (void)size;
    if (t->at++ >= known && t->taken < BROUGHT_MAX)
        brought[t->taken++] = info->dlpi_addr;
    return 0;
}

void kt_tls_libraries_before_engine(void)
{
    known = 0;
    dl_iterate_phdr(count_one, &known);
}

void kt_tls_libraries_after_engine(void)
{
    struct taking t = {0, 0};
    dl_iterate_phdr(take_new, &t);
    atomic_store_explicit(&brought_count, t.taken, memory_order_release);
}

static bool came_with_engine(ElfW(Addr) base)
{
    unsigned n = atomic_load_explicit(&brought_count, memory_order_acquire);
    for (unsigned i = 0; i < n; i++)
        if (brought[i] == base)
            return true;
    return false;
}

/* ---- what the program links, through the engine's libraries too where it uses them ---- */

static bool links_tls(const struct dl_phdr_info *info, int depth);

struct wanted {
    const char *name;
    int depth;
};

static int visit_wanted(struct dl_phdr_info *info, size_t size, void *arg)
{
    const struct wanted *w = arg;
    (void)size;
    return came_with_engine(info->dlpi_addr) && strcmp(base_name(info->dlpi_name), w->name) == 0 &&
           links_tls(info, w->depth);
}

static const ElfW(Dyn) * dynamic_of(const struct dl_phdr_info *info)
{
    for (unsigned i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
            return (const ElfW(Dyn) *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
    return NULL;
}

static bool links_tls(const struct dl_phdr_info *info, int depth)
{
    const ElfW(Dyn) *dynamic = dynamic_of(info);
    const char *strings = NULL;
    for (const ElfW(Dyn) *d = dynamic; d && d->d_tag != DT_NULL; d++)
        if (d->d_tag == DT_STRTAB) /* relocated by the loader, but for the vdso */
            strings = (const char *)(d->d_un.d_ptr < info->dlpi_addr ? info->dlpi_addr + d->d_un.d_ptr
                                                                     : d->d_un.d_ptr);
    for (const ElfW(Dyn) *d = dynamic; strings && d->d_tag != DT_NULL; d++) {
        if (d->d_tag != DT_NEEDED)
            continue;
        const char *name = strings + d->d_un.d_val;
        struct wanted w = {name, depth + 1};
        if (is_tls(name) || (depth < DEPTH_MAX && dl_iterate_phdr(visit_wanted, &w)))
            return true;
    }
    return false;
}

static int can_use_tls(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size, (void)arg;
    if (came_with_engine(info->dlpi_addr))
        return 0;
    return is_tls(base_name(info->dlpi_name)) || links_tls(info, 0);
}

bool kt_tls_libraries_of_program(void)
{
    return atomic_load_explicit(&asked, memory_order_relaxed) || dl_iterate_phdr(can_use_tls, NULL) != 0;
}
