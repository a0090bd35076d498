/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/libc_symbol.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No function is called here: a sanitizer in the program stands in front of most of libc, and asks for dlsym
 * while it is not ready itself. */

#define HIDDEN_VERSION 0x8000 /* of a symbol that only old programs may bind to */

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

static bool read_object(ElfW(Addr) base, const ElfW(Dyn) * dyn, struct tables *t)
{
    *t = (struct tables){NULL, NULL, NULL, NULL};
    for (const ElfW(Dyn) *d = dyn; d && d->d_tag != DT_NULL; d++) {
        const void *at = address_of(base, d->d_un.d_ptr);
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

static bool read_tables(const struct link_map *m, struct tables *t)
{
    return read_object(m->l_addr, m->l_ld, t);
}

/* Is `prefix` the beginning of text, or all of it? */
static bool begins(const char *text, const char *prefix, bool whole)
{
    while (*prefix && *prefix == *text) {
        prefix++;
        text++;
    }
    return *prefix == '\0' && (!whole || *text == '\0');
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
            begins(t->strings + s->st_name, name, true))
            return s;
        if (chains[i - first] & 1)
            break;
    }
    return NULL;
}

static bool is_libc(const char *path)
{
    const char *base = path;
    for (; *path; path++)
        if (*path == '/')
            base = path + 1;
    return begins(base, "libc.so", false) || begins(base, "libdl.so", false);
}

void *kt_libc_symbol(const char *name)
{
    for (const struct link_map *m = _r_debug.r_map; m; m = m->l_next) {
        struct tables t;
        const ElfW(Sym) *s = m->l_name && is_libc(m->l_name) && read_tables(m, &t) ? find(&t, name) : NULL;
        if (s)
            return (void *)(m->l_addr + s->st_value); /* NOLINT(performance-no-int-to-ptr) */
    }
    return NULL;
}

bool kt_libc_is_first(const char *name)
{
    for (const struct link_map *m = _r_debug.r_map; m; m = m->l_next) {
        struct tables t;
        if (m->l_name && read_tables(m, &t) && find(&t, name))
            return is_libc(m->l_name);
    }
    return true;
}

bool kt_object_defines(const void *address, const char *name)
{
    const struct link_map *holds = NULL;
    struct tables t;
    for (const struct link_map *m = _r_debug.r_map; m; m = m->l_next)
        if (m->l_addr <= (ElfW(Addr))address && (!holds || m->l_addr >= holds->l_addr))
            holds = m;
    return holds && read_tables(holds, &t) && find(&t, name);
}

void *kt_elf_symbol(ElfW(Addr) base, const ElfW(Dyn) * dyn, const char *name)
{
    struct tables t;
    const ElfW(Sym) *s = read_object(base, dyn, &t) ? find(&t, name) : NULL;
    if (!s || ELF64_ST_TYPE(s->st_info) == STT_GNU_IFUNC)
        return NULL;
    return (void *)(base + s->st_value); /* NOLINT(performance-no-int-to-ptr) */
}

const char *kt_elf_string(ElfW(Addr) base, const ElfW(Dyn) * dyn, ElfW(Sxword) tag, unsigned n)
{
    const char *strings = NULL;
    for (const ElfW(Dyn) *d = dyn; d->d_tag != DT_NULL; d++)
        if (d->d_tag == DT_STRTAB)
            strings = address_of(base, d->d_un.d_ptr);
    for (const ElfW(Dyn) *d = dyn; strings && d->d_tag != DT_NULL; d++)
        if (d->d_tag == tag && n-- == 0)
            return strings + d->d_un.d_val;
    return NULL;
}
