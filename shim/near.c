/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/near.h"

#include "shim/libc_symbol.h"

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define OBJECTS 128 /* of one closure whose links are followed */

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

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* A library without a soname may be needed by the path that the linker was given. */
static bool is_called(const struct dl_phdr_info *info, const struct object *o, const char *needed)
{
    const char *soname = kt_elf_string(o->base, o->dyn, DT_SONAME, 0);
    return strcmp(base_of(info->dlpi_name), base_of(needed)) == 0 || (soname && strcmp(soname, needed) == 0);
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

/* What stands in front of a library has some of its functions, never this one. NULL: not asked for `name`. */
static const char *const *marks_of(const char *name)
{
    static const char *const ssl[] = {"OPENSSL_init_ssl", "SSL_library_init", NULL};
    static const char *const gnutls[] = {"gnutls_global_init", NULL};
    return strncmp(name, "SSL_", 4) == 0 ? ssl : strncmp(name, "gnutls_", 7) == 0 ? gnutls : NULL;
}

static bool is_wrapper(const struct object *o, const char *name)
{
    const char *const *mark = marks_of(name);
    for (; mark && *mark; mark++)
        if (kt_elf_symbol(o->base, o->dyn, *mark))
            return false;
    return mark && kt_elf_symbol(o->base, o->dyn, name);
}

static const char here; /* in this object */

struct order {
    const void *address;
    const char *name;
    bool met, us;  /* its object, and our own, were seen */
    bool in_front; /* it was met before */
    bool over;     /* behind libc nothing was preloaded; and who has its own behind us means that */
    void *wrapper; /* the first one behind us */
};

static int look_in_order(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct order *s = arg;
    const struct object o = {info->dlpi_addr, dynamic_of(info)};
    (void)size;
    if (holds(info, s->address)) {
        s->met = true;
        s->in_front = !s->us;
        s->over = s->us && is_wrapper(&o, s->name);
        s->wrapper = s->over ? NULL : s->wrapper;
    } else if (holds(info, &here)) {
        s->us = true;
    } else if (s->us && !s->wrapper && o.dyn && is_wrapper(&o, s->name)) {
        s->wrapper = kt_elf_symbol(o.base, o.dyn, s->name);
    }
    s->over = s->over || strncmp(base_of(info->dlpi_name), "libc.so", 7) == 0;
    return s->over;
}

void *kt_near_preloaded(const void *address, const char *name)
{
    struct order s = {.address = address, .name = name};
    dl_iterate_phdr(look_in_order, &s);
    return s.wrapper;
}

bool kt_near_wraps(const void *fn, const char *name)
{
    struct order s = {.address = fn, .name = name};
    struct search own = {.address = fn};
    dl_iterate_phdr(look_in_order, &s);
    return s.met && s.in_front && find(&own) && is_wrapper(&own.found, name);
}

bool kt_near_defines(const void *address, const char *name)
{
    struct search s = {.address = address};
    return find(&s) && kt_elf_symbol(s.found.base, s.found.dyn, name) != NULL;
}

/* In the order of the loader. What is in none of those that are found may be in one that is not. */
bool kt_near_symbol(const void *address, const char *name, void **out)
{
    struct object all[OBJECTS];
    struct search first = {.address = address};
    bool whole = true;
    *out = NULL;
    if (!find(&first))
        return false;
    unsigned count = 1;
    all[0] = first.found;
    if (!kt_near_wraps(address, name))
        *out = kt_elf_symbol(all[0].base, all[0].dyn, name);
    for (unsigned i = 0; i < count && !*out; i++) {
        const char *needed;
        for (unsigned n = 0; !*out && (needed = kt_elf_string(all[i].base, all[i].dyn, DT_NEEDED, n)); n++) {
            struct search s = {.needed = needed};
            bool found = find(&s);
            if (s.count > 1)
                return false;
            if (found && knows(all, count, &s.found))
                continue;
            if (found)
                *out = kt_elf_symbol(s.found.base, s.found.dyn, name);
            if (found && count < OBJECTS)
                all[count++] = s.found;
            else
                whole = false;
        }
    }
    return *out || whole;
}
