/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/near.h"

#include "shim/libc_symbol.h"

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define OBJECTS 32 /* of one closure; beyond it the loader is asked */

struct object {
    ElfW(Addr) base;
    const ElfW(Dyn) * dyn;
};

struct search {
    const void *address; /* what the object holds, or NULL */
    const char *needed;  /* else its name, as those that link it have it */
    struct object found;
    unsigned count;
};

static const ElfW(Dyn) * dynamic_of(const struct dl_phdr_info *info)
{
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
            return (const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr); /* NOLINT */
    return NULL;
}

static bool holds(const struct dl_phdr_info *info, const void *address)
{
    ElfW(Addr) at = (ElfW(Addr))address - info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_LOAD && at >= p->p_vaddr && at - p->p_vaddr < p->p_memsz)
            return true;
    }
    return false;
}

static bool is_called(const struct dl_phdr_info *info, const struct object *o, const char *needed)
{
    const char *base = strrchr(info->dlpi_name, '/'), *soname = kt_elf_string(o->base, o->dyn, DT_SONAME, 0);
    return strcmp(base ? base + 1 : info->dlpi_name, needed) == 0 || (soname && strcmp(soname, needed) == 0);
}

static int look_at(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct search *s = arg;
    const struct object o = {info->dlpi_addr, dynamic_of(info)};
    (void)size;
    if (!o.dyn || !(s->address ? holds(info, s->address) : is_called(info, &o, s->needed)))
        return 0;
    s->found = o;
    s->count++;
    return s->address != NULL;
}

/* False: none, or several of that name, between which the loader knows to choose. */
static bool find(struct search *s)
{
    dl_iterate_phdr(look_at, s);
    return s->count == 1;
}

static bool knows(const struct object *all, unsigned count, const struct object *o)
{
    for (unsigned i = 0; i < count; i++)
        if (all[i].dyn == o->dyn)
            return true;
    return false;
}

bool kt_near_defines(const void *address, const char *name)
{
    struct search s = {.address = address};
    return find(&s) && kt_elf_symbol(s.found.base, s.found.dyn, name) != NULL;
}

bool kt_near_symbol(const void *address, const char *name, void **out)
{
    struct object all[OBJECTS];
    struct search first = {.address = address};
    *out = NULL;
    if (!find(&first))
        return false;
    unsigned count = 1;
    all[0] = first.found;
    for (unsigned i = 0; i < count; i++) {
        if ((*out = kt_elf_symbol(all[i].base, all[i].dyn, name)))
            return true;
        const char *needed;
        for (unsigned n = 0; (needed = kt_elf_string(all[i].base, all[i].dyn, DT_NEEDED, n)); n++) {
            struct search s = {.needed = needed};
            if (count == OBJECTS || !find(&s))
                return false;
            if (!knows(all, count, &s.found))
                all[count++] = s.found;
        }
    }
    return true;
}
