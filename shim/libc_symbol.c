/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/libc_symbol.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define HIDDEN_VERSION 0x8000 /* of a symbol that only old programs may bind to */

struct wanted {
    const char *name;
    void *found;
};

struct tables {
    const ElfW(Sym) * symbols;
    const char *strings;
    const uint32_t *hash;
    const ElfW(Half) * versions;
};

/* The loader has made addresses of the offsets, but not on every machine. */
static const void *address_of(ElfW(Addr) base, ElfW(Addr) value)
{
    return (const void *)(value < base ? base + value : value); /* NOLINT(performance-no-int-to-ptr) */
}

static bool read_tables(const struct dl_phdr_info *info, struct tables *t)
{
    const ElfW(Dyn) *d = NULL;
    memset(t, 0, sizeof *t);
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
            d = (const ElfW(Dyn) *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr); /* NOLINT */
    for (; d && d->d_tag != DT_NULL; d++) {
        const void *at = address_of(info->dlpi_addr, d->d_un.d_ptr);
        if (d->d_tag == DT_SYMTAB)
            t->symbols = at;
        else if (d->d_tag == DT_STRTAB)
            t->strings = at;
        else if (d->d_tag == DT_GNU_HASH)
            t->hash = at;
        else if (d->d_tag == DT_VERSYM)
            t->versions = at;
    }
    return t->symbols && t->strings && t->hash;
}

static uint32_t gnu_hash(const char *name)
{
    uint32_t h = 5381;
    for (; *name; name++)
        h = h * 33 + (unsigned char)*name;
    return h;
}

/* The table: buckets, first symbol, bloom words, shift; bloom; bucket heads; chains whose last word is odd.
 */
static const ElfW(Sym) * find(const struct tables *t, const char *name)
{
    uint32_t buckets = t->hash[0], first = t->hash[1], words = t->hash[2], want = gnu_hash(name);
    const uint32_t *heads = t->hash + 4 + words * (sizeof(ElfW(Addr)) / sizeof(uint32_t));
    const uint32_t *chains = heads + buckets;
    uint32_t i = buckets ? heads[want % buckets] : 0;
    for (; i >= first && i != 0; i++) {
        const ElfW(Sym) *s = &t->symbols[i];
        bool old = t->versions && (t->versions[i] & HIDDEN_VERSION);
        if ((chains[i - first] | 1) == (want | 1) && s->st_shndx != SHN_UNDEF && !old &&
            strcmp(t->strings + s->st_name, name) == 0)
            return s;
        if (chains[i - first] & 1)
            break;
    }
    return NULL;
}

static int look(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct wanted *w = arg;
    struct tables t;
    (void)size;
    const char *slash = strrchr(info->dlpi_name, '/');
    const char *base = slash ? slash + 1 : info->dlpi_name;
    if (strncmp(base, "libc.so", 7) != 0 && strncmp(base, "libdl.so", 8) != 0)
        return 0;
    const ElfW(Sym) *s = read_tables(info, &t) ? find(&t, w->name) : NULL;
    if (s)
        w->found = (void *)(info->dlpi_addr + s->st_value); /* NOLINT(performance-no-int-to-ptr) */
    return s != NULL;
}

void *kt_libc_symbol(const char *name)
{
    struct wanted w = {name, NULL};
    dl_iterate_phdr(look, &w);
    return w.found;
}
