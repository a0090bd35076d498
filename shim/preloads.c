/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/preloads.h"

#include "shim/libc_symbol.h"

#include <dlfcn.h>
#include <link.h>
#include <stddef.h>
#include <string.h>

/* All that is looked at here was there at start and stays: no lock is needed. */

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool is_needed(const struct link_map *program, const struct link_map *m)
{
    const char *needed, *soname = kt_elf_string(m->l_addr, m->l_ld, DT_SONAME, 0);
    for (unsigned n = 0; (needed = kt_elf_string(program->l_addr, program->l_ld, DT_NEEDED, n)); n++)
        if (strcmp(last_part(needed), last_part(m->l_name)) == 0 || (soname && strcmp(needed, soname) == 0))
            return true;
    return false;
}

bool kt_preload_is_in_front(const void *fn, const char *name)
{
    for (const struct link_map *m = _r_debug.r_map; m && m->l_ld != _DYNAMIC; m = m->l_next)
        if (kt_elf_symbol(m->l_addr, m->l_ld, name) == fn)
            return true;
    return false;
}

/* The loader's order: the program, what is preloaded, what the program needs. */
static const struct link_map *behind(const char *name, void **fn)
{
    const struct link_map *program = _r_debug.r_map, *m = program;
    while (m && m->l_ld != _DYNAMIC)
        m = m->l_next;
    if (!m || m == program)
        return NULL;
    for (m = m->l_next; m && !is_needed(program, m); m = m->l_next)
        if ((*fn = kt_elf_symbol(m->l_addr, m->l_ld, name)))
            return m;
    return NULL;
}

void *kt_preload_behind(const char *name)
{
    void *fn = NULL;
    return behind(name, &fn) ? fn : NULL;
}

bool kt_preload_calls(const void *address, const char *name)
{
    Dl_info info;
    struct link_map *map = NULL;
    void *fn;
    const struct link_map *m = behind(name, &fn);
    return m && dladdr1(address, &info, (void **)&map, RTLD_DL_LINKMAP) && map == m;
}
